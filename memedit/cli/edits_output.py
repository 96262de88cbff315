"""Edits and events for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from memedit.cli.console import print_json, print_table
from memedit.edits import Edit

if TYPE_CHECKING:
    from memedit.memory import Event


def show_one(edit: Edit, *, as_json: bool) -> None:
    """Show an edit with all its fields."""
    values = edit.to_dict()
    if as_json:
        print_json(values)
        return
    rows = [[name, _plain(value)] for name, value in values.items() if value not in (None, [], {})]
    print_table(f"Edit {edit.id}", ["field", "value"], rows)


def show_list(title: str, edits: Sequence[Edit], *, as_json: bool) -> None:
    """Show edits, one per line."""
    if as_json:
        print_json([edit.to_dict() for edit in edits])
        return
    rows = [[edit.id, edit.kind, edit.prompt, edit.target, edit.namespace] for edit in edits]
    print_table(title, ["id", "kind", "prompt", "target", "namespace"], rows)


def show_events(title: str, events: Iterable[Event], *, as_json: bool) -> None:
    """Show events of the journal, one per line."""
    listed = list(events)
    if as_json:
        print_json(
            [
                {
                    "revision": event.revision,
                    "action": event.action,
                    "at": event.at.isoformat(),
                    "reverts": event.reverts,
                    "edit": event.edit.to_dict(),
                }
                for event in listed
            ]
        )
        return
    rows = [
        [
            str(event.revision),
            event.at.isoformat(timespec="seconds"),
            event.action,
            event.edit.id,
            event.edit.prompt,
            event.edit.target,
        ]
        for event in listed
    ]
    print_table(title, ["revision", "at", "action", "edit", "prompt", "target"], rows)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
