"""`memedit edits …`: the commands that only look; they need no encoder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memedit.cli import options
from memedit.cli.console import print_json, print_table
from memedit.cli.edits_options import AtRevision, EditId, OnlyNamespace, json_object
from memedit.cli.edits_output import show_events, show_list, show_one
from memedit.cli.loading import open_journal
from memedit.edits import EditKind

if TYPE_CHECKING:
    from memedit.memory import Difference, Journal, MemoryView


@contextmanager
def open_edits(path: Path) -> Iterator[Journal]:
    """Open a memory file that exists, to read, copy or purge its edits.

    Raises:
        MemoryFileError: It does not exist or cannot be used.
    """
    with open_journal(path) as store:
        from memedit.memory import Journal

        yield Journal(store)


def state(journal: Journal, revision: int | None) -> Journal | MemoryView:
    """The edits as they were at a revision; as they are if it is None.

    Raises:
        typer.BadParameter: There is no such revision.
    """
    if revision is None:
        return journal
    try:
        return journal.at(revision)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def list_(
    memory: options.MemoryFile,
    namespace: OnlyNamespace = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Only edits with this tag; repeatable.")] = None,
    kind: Annotated[EditKind | None, typer.Option(help="Only edits of this kind.")] = None,
    text: Annotated[str | None, typer.Option(help="Only edits that contain this, in any case.")] = None,
    metadata: Annotated[str | None, typer.Option(help="A JSON object of values they must hold.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="How many to show at most.")] = None,
    offset: Annotated[int, typer.Option(min=0, help="How many to pass over first.")] = 0,
    at: AtRevision = None,
    as_json: options.AsJson = False,
) -> None:
    """Show edits, in the order in which they were first added."""
    tags, values = tuple(tag or ()), json_object(metadata)
    with open_edits(memory) as journal:
        shown = state(journal, at)
        found = shown.list(namespace, tags=tags, metadata=values, kind=kind, text=text, limit=limit, offset=offset)
        total = shown.count(namespace, tags=tags, metadata=values, kind=kind, text=text)
    title = f"{total} edits" if len(found) == total else f"{len(found)} of {total} edits"
    show_list(title, found, as_json=as_json)


def show(
    edit_id: EditId,
    memory: options.MemoryFile,
    at: AtRevision = None,
    as_json: options.AsJson = False,
) -> None:
    """Show one edit with all its fields."""
    with open_edits(memory) as journal:
        edit = state(journal, at).get(edit_id)
    show_one(edit, as_json=as_json)


def linked(
    edit_id: EditId,
    memory: options.MemoryFile,
    depth: Annotated[int, typer.Option(min=1, help="How many links to follow.")] = 1,
    as_json: options.AsJson = False,
) -> None:
    """Show the edits about this one's target, and those whose target this one is about."""
    with open_edits(memory) as journal:
        links = journal.linked(edit_id, depth=depth)
    directions = {"onward": links.onward, "back": links.back}
    if as_json:
        print_json({name: [edit.to_dict() for edit in found] for name, found in directions.items()})
        return
    rows = [[name, edit.id, edit.prompt, edit.target] for name, found in directions.items() for edit in found]
    print_table(f"Linked with {edit_id}", ["direction", "id", "prompt", "target"], rows)


def history(
    edit_id: EditId,
    memory: options.MemoryFile,
    as_json: options.AsJson = False,
) -> None:
    """Show all that happened to one edit, oldest first."""
    with open_edits(memory) as journal:
        events = journal.history(edit_id)
    show_events(f"History of {edit_id}", events, as_json=as_json)


def diff(
    first: Annotated[int, typer.Argument(help="A revision.")],
    memory: options.MemoryFile,
    second: Annotated[int | None, typer.Argument(help="Another one; default: the newest.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what changed from one revision to another; 0 is the empty memory."""
    with open_edits(memory) as journal:
        try:
            found = journal.diff(first, journal.revision if second is None else second)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    if as_json:
        print_json(
            {
                "added": [edit.to_dict() for edit in found.added],
                "changed": [{"before": old.to_dict(), "after": new.to_dict()} for old, new in found.changed],
                "removed": [edit.to_dict() for edit in found.removed],
            }
        )
        return
    print_table("Changes", ["change", "id", "prompt", "target"], _changes(found))


def _changes(found: Difference) -> list[list[str]]:
    rows = [["added", edit.id, edit.prompt, edit.target] for edit in found.added]
    for old, new in found.changed:
        rows.append(["changed", new.id, _step(old.prompt, new.prompt), _step(old.target, new.target)])
    return [*rows, *(["removed", edit.id, edit.prompt, edit.target] for edit in found.removed)]


def _step(before: str, after: str) -> str:
    return after if before == after else f"{before} → {after}"
