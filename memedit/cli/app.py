"""The `memedit` command with everything below it."""

from __future__ import annotations

import typer

from memedit.cli.ask import ask
from memedit.cli.calibrate import calibrate
from memedit.cli.console import ErrorReportingGroup
from memedit.cli.demo import demo
from memedit.cli.doctor import doctor
from memedit.cli.edits import edits
from memedit.cli.evaluate import evaluate
from memedit.cli.train import train

app = typer.Typer(
    name="memedit",
    help="An edit memory beside a frozen language model.",
    cls=ErrorReportingGroup,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.command()(demo)
app.command()(ask)
app.add_typer(edits, name="edits")
app.command()(evaluate)
app.add_typer(train, name="train")
app.command()(calibrate)
app.command()(doctor)


def main() -> None:
    """Entry point of the `memedit` command."""
    app()
