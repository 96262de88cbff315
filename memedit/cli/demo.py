"""`memedit demo`: everything at once on the shipped models, offline."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memedit.cli import options
from memedit.cli.console import note, print_json, print_table
from memedit.errors import MemoryFileError

if TYPE_CHECKING:
    from memedit.cli.demo_run import Demo, Row


def demo(
    memory: Annotated[Path | None, typer.Option("--memory", help="Keep the edits in this new file.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Edit the shipped model while it runs, and check every promise.

    Exit code 1 if one of them is not kept.
    """
    if memory is not None and memory.exists():
        raise MemoryFileError(f"the demo needs a memory file of its own, {memory} exists already")
    with tempfile.TemporaryDirectory(prefix="memedit-demo-") as folder:
        done = _run(memory if memory is not None else Path(folder) / "edits.db")
    if as_json:
        print_json(done.to_dict())
    else:
        _print(done, memory)
    if not all(done.checks.values()):
        raise typer.Exit(1)


def _run(memory: Path) -> Demo:
    note("Loading the models …")
    from memedit.cli.demo_run import run_demo
    from memedit.cli.demo_script import SCRIPT
    from memedit.cli.loading import load_base
    from memedit.pipelines import wrap
    from memedit.scope import ScopeClassifier, SentenceEncoder

    base, tokenizer = load_base(None)
    encoder = SentenceEncoder.from_pretrained()
    classifier = ScopeClassifier.beside(encoder)

    def edited(file: Path) -> Any:
        return wrap(base, tokenizer, memory=file, scope=classifier, encoder=encoder)

    note("Asking, editing, asking again …")
    return run_demo(edited, memory, SCRIPT)


def _print(done: Demo, memory: Path | None) -> None:
    known = [[question, base, true] for question, true, base in done.known]
    print_table("What the base model knows", ["question", "base", "true"], known)
    edits = [
        [edit.kind, edit.prompt, edit.target, f"{ms:.1f}"]
        for edit, ms in zip(done.edits, done.milliseconds, strict=True)
    ]
    print_table("Edits made while it runs", ["kind", "prompt", "target", "ms"], edits)
    for step in dict.fromkeys(row.step for row in done.rows):
        rows = [_cells(row) for row in done.rows if row.step == step]
        columns = ["", "question", "base says", "memedit says", "why"]
        print_table(f"Answers {step}", columns, rows)
    checks = [["yes" if kept else "NO", promise] for promise, kept in done.checks.items()]
    print_table(f"Promises kept, checked in {done.seconds:.1f} s", ["kept", "promise"], checks)
    if memory is not None:
        typer.echo(f"The edits are in {memory}; try: memedit edits list --memory {memory}")


def _cells(row: Row) -> list[str]:
    mark = "" if row.passed else " ✗"
    same = " (same tokens)" if row.tokens_equal else ""
    why = f"edit: {row.fired}" if row.fired else row.reason
    return [row.kind + mark, row.question, row.base, row.memedit + same, why]
