"""Find what ships with memedit: its checkpoints and the recipes that made them."""

from __future__ import annotations

from pathlib import Path

from memedit.errors import CheckpointError

_PACKAGE = Path(__file__).parent


def _root() -> Path:
    """The folder that holds `checkpoints` and `training`: inside the wheel, or the source tree."""
    shipped_in_wheel = _PACKAGE / "_shipped"
    return shipped_in_wheel if shipped_in_wheel.is_dir() else _PACKAGE.parent


def shipped(name: str) -> Path:
    """The folder of a checkpoint that ships with memedit: `mini`, `counterfactual-mini` or `scope`.

    Raises:
        CheckpointError: There is no such checkpoint in this installation.
    """
    folder = _root() / "checkpoints" / name
    if not folder.is_dir():
        raise CheckpointError(f"expected the checkpoint {name!r} in {folder.parent}, found none; reinstall memedit")
    return folder


def recipes() -> Path:
    """The folder above the package `training`, which holds the recipes.

    Raises:
        CheckpointError: This installation holds no recipes.
    """
    if not (_root() / "training").is_dir():
        raise CheckpointError(f"expected the training recipes in {_root()}, found none; reinstall memedit")
    return _root()
