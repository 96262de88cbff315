"""`memedit edits …`: the edits of a memory file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memedit.cli import options
from memedit.cli.console import note, print_json, print_table
from memedit.cli.loading import open_journal, open_memory
from memedit.edits import Edit, EditKind
from memedit.errors import DatasetError, MemoryFileError, UnknownEditError

if TYPE_CHECKING:
    from memedit.memory import Event

edits = typer.Typer(help="Add, show, change, remove and undo edits.", no_args_is_help=True)

EditId = Annotated[str, typer.Argument(help="Id of the edit.")]
Target = Annotated[str | None, typer.Option(help="The answer to give.")]
Kind = Annotated[EditKind | None, typer.Option(help="What the edit does.")]
Subject = Annotated[str | None, typer.Option(help="The entity it speaks about.")]
Aliases = Annotated[list[str] | None, typer.Option("--alias", help="Another wording of the prompt; repeatable.")]
Instant = Annotated[datetime | None, typer.Option(help="Local time, as 2026-01-31T12:00:00.")]
Metadata = Annotated[str | None, typer.Option(help="A JSON object with values of your own.")]
_NOT_IMPORTED = frozenset({"id", "created_at", "revision"})


@edits.command()
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
            valid_from=_instant(valid_from),
            valid_until=_instant(valid_until),
            metadata=_json_object(metadata),
        )
    _show_one(edit, as_json=as_json)


@edits.command("add-many")
def add_many(
    file: Annotated[Path, typer.Argument(help='JSON Lines of {"prompt": …, "target": …, …}.')],
    memory: options.MemoryFile,
    encoder: options.Encoder = None,
    as_json: options.AsJson = False,
) -> None:
    """Store all edits of a file, or none if one of them is invalid."""
    _store_all(_edit_rows(file), memory, encoder, as_json=as_json)


@edits.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="What `export` wrote, or a data file (--format).")],
    memory: options.MemoryFile,
    form: Annotated[options.DataFormat | None, typer.Option("--format", help="Format of a data file.")] = None,
    encoder: options.Encoder = None,
    as_json: options.AsJson = False,
) -> None:
    """Store the edits of an export or of a data set; they get ids of this memory."""
    if form is None:
        rows = _edit_rows(file)
    else:
        from memedit.evaluation.datasets import load_dataset

        dataset = load_dataset(file, form)
        rows = [{"prompt": case.prompt, "target": case.target, "subject": case.subject} for case in dataset.cases]
        for reason, count in dataset.dropped.items():
            note(f"left out {count} records: {reason}")
    _store_all(rows, memory, encoder, as_json=as_json)


@edits.command()
def export(
    memory: options.MemoryFile,
    output: Annotated[Path | None, typer.Option("--output", help="Where to write; default: stdout.")] = None,
    namespace: Annotated[str | None, typer.Option(help="Only this namespace.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Write all edits as JSON Lines, one edit per line; --json makes it one JSON list."""
    with open_journal(memory) as store:
        rows = [edit.to_dict() for edit in store.edits(namespace)]
    if as_json:
        text = json.dumps(rows, ensure_ascii=False, indent=2) + "\n"
    else:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MemoryFileError(f"cannot write {output}: {error.strerror}") from None
    note(f"wrote {len(rows)} edits to {output}")


@edits.command("list")
def list_(
    memory: options.MemoryFile,
    namespace: Annotated[str | None, typer.Option(help="Only this namespace.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Show all current edits."""
    with open_journal(memory) as store:
        found = store.edits(namespace)
    if as_json:
        print_json([edit.to_dict() for edit in found])
        return
    rows = [[edit.id, edit.kind, edit.prompt, edit.target, edit.namespace] for edit in found]
    print_table(f"{len(found)} edits", ["id", "kind", "prompt", "target", "namespace"], rows)


@edits.command()
def show(
    edit_id: EditId,
    memory: options.MemoryFile,
    as_json: options.AsJson = False,
) -> None:
    """Show one edit with all its fields."""
    with open_journal(memory) as store:
        edit = store.get([edit_id]).get(edit_id)
    if edit is None:
        raise UnknownEditError(f"no edit has the id {edit_id!r}")
    _show_one(edit, as_json=as_json)


@edits.command()
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
    encoder: options.Encoder = None,
    as_json: options.AsJson = False,
) -> None:
    """Change the fields that are given; aliases and metadata are replaced as a whole."""
    given = {
        "prompt": prompt,
        "target": target,
        "kind": kind,
        "subject": subject,
        "aliases": tuple(alias) if alias else None,
        "namespace": namespace,
        "valid_from": _instant(valid_from),
        "valid_until": _instant(valid_until),
        "metadata": _json_object(metadata),
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise typer.BadParameter("give at least one field to change, such as --target")
    with open_memory(memory, encoder, must_exist=True) as store:
        edit = store.update(edit_id, **changes)
    _show_one(edit, as_json=as_json)


@edits.command()
def remove(
    edit_id: EditId,
    memory: options.MemoryFile,
    encoder: options.Encoder = None,
    as_json: options.AsJson = False,
) -> None:
    """Remove one edit; `undo` brings it back."""
    with open_memory(memory, encoder, must_exist=True) as store:
        edit = store.remove(edit_id)
    _show_one(edit, as_json=as_json)


@edits.command()
def undo(
    memory: options.MemoryFile,
    count: Annotated[int, typer.Option("-n", min=1, help="How many changes to take back.")] = 1,
    encoder: options.Encoder = None,
    as_json: options.AsJson = False,
) -> None:
    """Take back the last changes, newest first."""
    with open_memory(memory, encoder, must_exist=True) as store:
        events = store.undo(count)
    _show_events("Undone", events, as_json=as_json)
    if len(events) < count:
        note(f"{count} changes were to be taken back, there were {len(events)}")


@edits.command()
def history(
    edit_id: EditId,
    memory: options.MemoryFile,
    as_json: options.AsJson = False,
) -> None:
    """Show all that happened to one edit, oldest first."""
    with open_journal(memory) as store:
        events = store.history(edit_id)
    if not events:
        raise UnknownEditError(f"no edit has or had the id {edit_id!r}")
    _show_events(f"History of {edit_id}", events, as_json=as_json)


def _edit_rows(file: Path) -> list[dict[str, Any]]:
    """Mappings for `add_many` from JSON Lines or a JSON list; instants become datetimes."""
    from memedit.evaluation.records import read_records

    rows = []
    for record in read_records(file):
        row = {name: value for name, value in record.values.items() if name not in _NOT_IMPORTED}
        for name in ("valid_from", "valid_until"):
            if row.get(name) is not None:
                row[name] = _parsed_instant(row[name], record.error)
        rows.append(row)
    return rows


def _parsed_instant(value: object, error: Any) -> datetime:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        raise error(f"expected an instant such as 2026-01-31T12:00:00Z, got {value!r}") from None


def _store_all(rows: Iterable[dict[str, Any]], memory: Path, encoder: str | None, *, as_json: bool) -> None:
    items = list(rows)
    if not items:
        raise DatasetError("the file holds no edits")
    with open_memory(memory, encoder, must_exist=False) as store:
        stored = store.add_many(items, progress=True)
        total = len(store)
    if as_json:
        print_json([edit.to_dict() for edit in stored])
    else:
        typer.echo(f"stored {len(stored)} edits; the memory holds {total}")


def _show_one(edit: Edit, *, as_json: bool) -> None:
    values = edit.to_dict()
    if as_json:
        print_json(values)
        return
    rows = [[name, _plain(value)] for name, value in values.items() if value not in (None, [], {})]
    print_table(f"Edit {edit.id}", ["field", "value"], rows)


def _show_events(title: str, events: Iterable[Event], *, as_json: bool) -> None:
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


def _instant(value: datetime | None) -> datetime | None:
    """A time typed without a zone is meant in the zone of this machine."""
    return None if value is None else value.astimezone(UTC)


def _json_object(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"metadata must be a JSON object: {error}") from None
    if not isinstance(value, dict):
        raise typer.BadParameter(f"metadata must be a JSON object, got {text}")
    return value
