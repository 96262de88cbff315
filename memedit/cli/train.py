"""`memedit train …`: the scope classifier on one's own edits, and the recipes of the checkpoints."""

from __future__ import annotations

import importlib
import sys

import typer

from memedit.cli.console import print_json
from memedit.cli.train_scope import scope

train = typer.Typer(help="Train the parts of memedit.", no_args_is_help=True)
train.command()(scope)

# The recipes have options of their own, `--help` among them, and get all that is given.
_FORWARD = {"allow_extra_args": True, "ignore_unknown_options": True}


@train.command(context_settings=_FORWARD, add_help_option=False)
def counterfactual(context: typer.Context) -> None:
    """Train the adapter that lets a base model read edits (`training/counterfactual.py`)."""
    run_recipe("counterfactual", context.args)


@train.command(context_settings=_FORWARD, add_help_option=False)
def base(context: typer.Context) -> None:
    """Train the small base model that ships as checkpoints/mini (`training/base.py`)."""
    run_recipe("base", context.args)


def run_recipe(name: str, arguments: list[str]) -> None:
    """Run `training/<name>.py`; with `--json` tell on stdout what was run.

    Raises:
        CheckpointError: This installation holds no recipes.
    """
    from memedit.checkpoints import recipes

    folder = str(recipes())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    forwarded = [argument for argument in arguments if argument != "--json"]
    importlib.import_module(f"training.{name}").main(forwarded)
    if "--json" in arguments:
        print_json({"recipe": name, "arguments": forwarded})
