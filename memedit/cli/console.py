"""What all commands share: output for people and for programs, and errors in one sentence."""

from __future__ import annotations

import json
import logging
from typing import Any

import typer
from typer.core import TyperGroup

from memedit.errors import MemeditError


class ErrorReportingGroup(TyperGroup):
    """Commands whose memedit errors become one sentence on stderr and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
        try:
            return super().invoke(ctx)
        except MemeditError as error:
            typer.echo(f"Error: {error}", err=True)
            raise typer.Exit(1) from None


def print_json(value: Any) -> None:
    """Write a value to stdout as indented JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Write a table to stdout, as wide as the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        # As `Text`, since square brackets in a user's words are no markup.
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def note(message: str) -> None:
    """Tell the user something beside the data: a line on stderr."""
    typer.echo(message, err=True)
