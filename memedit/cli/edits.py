"""`memedit edits …`: the edits of a memory file."""

from __future__ import annotations

import typer

from memedit.cli import edits_change, edits_files, edits_look

edits = typer.Typer(help="Add, show, change, remove, undo, import and export edits.", no_args_is_help=True)

edits.command()(edits_change.add)
edits.command("list")(edits_look.list_)
edits.command()(edits_look.show)
edits.command()(edits_look.linked)
edits.command()(edits_look.history)
edits.command()(edits_look.diff)
edits.command()(edits_change.update)
edits.command()(edits_change.remove)
edits.command()(edits_change.restore)
edits.command()(edits_change.undo)
edits.command()(edits_change.purge)
edits.command("import")(edits_files.import_)
edits.command("add-many")(edits_files.add_many)
edits.command()(edits_files.export)
edits.command()(edits_files.backup)
