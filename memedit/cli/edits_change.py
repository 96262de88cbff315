"""`memedit edits …`: the commands that change one edit, or take changes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memedit.cli import options
from memedit.cli.console import note
from memedit.cli.edits_look import open_edits
from memedit.cli.edits_options import (
    Aliases,
    EditId,
    Editor,
    Instant,
    Kind,
    Metadata,
    OnContradiction,
    Policy,
    Priority,
    Subject,
    Tags,
    Target,
    instant,
    json_object,
    reported,
)
from memedit.cli.edits_output import show_events, show_one
from memedit.cli.loading import open_memory
from memedit.edits import Edit, EditKind

if TYPE_CHECKING:
    from memedit.memory import EditMemory


def add(
    prompt: Annotated[str, typer.Argument(help="The query, in your words.")],
    target: Annotated[str, typer.Argument(help="The answer to give, or the refusal.")],
    memory: options.MemoryFile,
    kind: Annotated[EditKind, typer.Option(help="What the edit does.")] = EditKind.MODIFY,
    subject: Subject = None,
    alias: Aliases = None,
    namespace: options.Namespace = "default",
    valid_from: Instant = None,
    valid_until: Instant = None,
    metadata: Metadata = None,
    tag: Tags = None,
    priority: Priority = None,
    editor: Editor = None,
    on_contradiction: OnContradiction = Policy.NEWEST,
    encoder: options.Encoder = None,
    as_json: options.AsJson = False,
) -> None:
    """Store one edit; it is durable when the command returns."""
    with open_memory(memory, encoder, must_exist=False) as store:
        edit = store.add(
            prompt,
            target,
            kind=kind,
            subject=subject,
            aliases=tuple(alias or ()),
            namespace=namespace,
            valid_from=instant(valid_from),
            valid_until=instant(valid_until),
            metadata=json_object(metadata),
            tags=tuple(tag or ()),
            priority=priority or 0,
            editor=editor,
            on_contradiction=reported(on_contradiction),
        )
    show_one(edit, as_json=as_json)


def update(
    edit_id: EditId,
    memory: options.MemoryFile,
    prompt: Annotated[str | None, typer.Option(help="The query.")] = None,
    target: Target = None,
    kind: Kind = None,
    subject: Subject = None,
    alias: Aliases = None,
    namespace: Annotated[str | None, typer.Option(help="Namespace of the edit.")] = None,
    valid_from: Instant = None,
    valid_until: Instant = None,
    metadata: Metadata = None,
    tag: Tags = None,
    priority: Priority = None,
    editor: Editor = None,
    encoder: options.Encoder = None,
    as_json: options.AsJson = False,
) -> None:
    """Change the fields that are given; aliases, tags and metadata are replaced as a whole."""
    given = {
        "prompt": prompt,
        "target": target,
        "kind": kind,
        "subject": subject,
        "aliases": tuple(alias) if alias else None,
        "namespace": namespace,
        "valid_from": instant(valid_from),
        "valid_until": instant(valid_until),
        "metadata": json_object(metadata),
        "tags": tuple(tag) if tag else None,
        "priority": priority,
        "editor": editor,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise typer.BadParameter("give at least one field to change, such as --target")
    _show_changed(memory, encoder, lambda store: store.update(edit_id, **changes), as_json=as_json)


def remove(
    edit_id: EditId,
    memory: options.MemoryFile,
    encoder: options.Encoder = None,
    as_json: options.AsJson = False,
) -> None:
    """Remove one edit; `restore` and `undo` bring it back."""
    _show_changed(memory, encoder, lambda store: store.remove(edit_id), as_json=as_json)


def restore(
    edit_id: EditId,
    memory: options.MemoryFile,
    encoder: options.Encoder = None,
    as_json: options.AsJson = False,
) -> None:
    """Bring a removed edit back as it was."""
    _show_changed(memory, encoder, lambda store: store.restore(edit_id), as_json=as_json)


def undo(
    memory: options.MemoryFile,
    count: Annotated[int, typer.Option("-n", min=1, help="How many changes to take back.")] = 1,
    encoder: options.Encoder = None,
    as_json: options.AsJson = False,
) -> None:
    """Take back the last changes, newest first."""
    with open_memory(memory, encoder, must_exist=True) as store:
        events = store.undo(count)
    show_events("Undone", events, as_json=as_json)
    if len(events) < count:
        note(f"{count} changes were to be taken back, there were {len(events)}")


def purge(
    edit_id: EditId,
    memory: options.MemoryFile,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Erase one edit and its history for good, also from the file, removed or not."""
    with open_edits(memory) as journal:
        journal.history(edit_id)
        if not yes:
            typer.confirm(f"Erase edit {edit_id} for good? Nothing can bring it back", abort=True, err=True)
        event = journal.purge(edit_id)
    show_events("Purged", [event], as_json=as_json)


def _show_changed(memory: Path, encoder: str | None, change: Callable[[EditMemory], Edit], *, as_json: bool) -> None:
    """Change one edit of a memory that exists, and show it."""
    with open_memory(memory, encoder, must_exist=True) as store:
        edit = change(store)
    show_one(edit, as_json=as_json)
