"""`memedit edits …`: files of edits, into a memory and out of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from memedit.cli import options
from memedit.cli.console import note, print_json
from memedit.cli.edits_look import open_edits, state
from memedit.cli.edits_options import AtRevision, OnContradiction, OnlyNamespace, Policy, reported
from memedit.cli.loading import open_memory
from memedit.transfer import (
    BadRow,
    EditFormat,
    ImportReport,
    format_edits,
    newest_last,
    read_edits,
    store_edits,
    write_file,
)

SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Store the good rows if others are bad.")]
Into = Annotated[
    str | None,
    typer.Option("--namespace", help="Store all in this namespace, whatever the file says."),
]


def import_(
    file: Annotated[Path, typer.Argument(help="What `export` wrote, a table, or a benchmark's file (--format).")],
    memory: options.MemoryFile,
    form: Annotated[
        EditFormat | None, typer.Option("--format", help="Default: csv for a file named .csv, else jsonl.")
    ] = None,
    skip_bad: SkipBad = False,
    namespace: Into = None,
    on_contradiction: OnContradiction = Policy.NEWEST,
    encoder: options.Encoder = None,
    as_json: options.AsJson = False,
) -> None:
    """Store the edits of a file, all or none; every bad row is reported with its line."""
    found = read_edits(file, format=form)
    if found.bad and not skip_bad:
        _show(ImportReport([], found.bad, found.left_out), as_json=as_json)
        note(f"Error: {file} has {_rows(len(found.bad))}; nothing was stored (--skip-bad stores the others)")
        raise typer.Exit(1)
    with open_memory(memory, encoder, must_exist=False) as store:
        report = store_edits(
            store,
            found,
            skip_bad=skip_bad,
            namespace=namespace,
            on_contradiction=reported(on_contradiction),
            progress=True,
        )
        total = len(store)
    _show(report, as_json=as_json)
    if not as_json:
        typer.echo(f"stored {len(report.stored)} edits; the memory holds {total}")


def add_many(
    file: Annotated[Path, typer.Argument(help='JSON Lines of {"prompt": …, "target": …, …}.')],
    memory: options.MemoryFile,
    encoder: options.Encoder = None,
    as_json: options.AsJson = False,
) -> None:
    """Store all edits of a JSON Lines file, or none if one is invalid: `import` without its options."""
    import_(file, memory, EditFormat.JSONL, encoder=encoder, as_json=as_json)


def export(
    memory: options.MemoryFile,
    output: Annotated[Path | None, typer.Option("--output", help="Where to write; default: stdout.")] = None,
    form: Annotated[
        EditFormat | None, typer.Option("--format", help="jsonl or csv. Default: by the output's name, else jsonl.")
    ] = None,
    namespace: OnlyNamespace = None,
    at: AtRevision = None,
    as_json: options.AsJson = False,
) -> None:
    """Write all edits so that `import` takes them back; --json writes a JSON list with their ids."""
    with open_edits(memory) as journal:
        edits = state(journal, at).list(namespace)
    if as_json:
        text = json.dumps([edit.to_dict() for edit in newest_last(edits)], ensure_ascii=False, indent=2) + "\n"
    else:
        text = format_edits(edits, EditFormat.of(form, output or Path()))
    if output is None:
        typer.echo(text.encode(), nl=False)  # as in a file, whatever the terminal's encoding
        return
    write_file(output, text)
    note(f"wrote {len(edits)} edits to {output}")


def backup(
    file: Annotated[Path, typer.Argument(help="A new file.")],
    memory: options.MemoryFile,
) -> None:
    """Copy the memory with its whole history, while others may use it."""
    with open_edits(memory) as journal:
        journal.backup(file)
    note(f"copied {memory} to {file}")


def _show(report: ImportReport, *, as_json: bool) -> None:
    if as_json:
        values: dict[str, Any] = {
            "stored": [edit.to_dict() for edit in report.stored],
            "bad": [asdict(row) for row in report.bad],
            "left_out": dict(report.left_out),
        }
        print_json(values)
    elif report.bad:
        _show_bad(report.bad)
    for reason, count in report.left_out.items():
        note(f"left out {count} records: {reason}")


def _show_bad(bad: Sequence[BadRow]) -> None:
    """A table on stderr: stdout is for what was stored."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=_rows(len(bad)), title_justify="left")
    table.add_column("line", justify="right")
    table.add_column("what is wrong", overflow="fold")
    for row in bad:
        table.add_row(str(row.line), Text(row.reason))
    Console(stderr=True).print(table)


def _rows(count: int) -> str:
    return "1 bad row" if count == 1 else f"{count} bad rows"
