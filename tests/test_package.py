from __future__ import annotations

import subprocess
import sys

import pytest

import memedit
from memedit import checkpoints
from memedit.errors import CheckpointError


def test_every_public_name_can_be_imported() -> None:
    """`__all__`, `dir()` and what can be imported are the same names."""
    for name in memedit.__all__:
        assert getattr(memedit, name).__name__ == name
    assert dir(memedit) == sorted(memedit.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = memedit.nothing


def test_importing_the_package_loads_no_model_library() -> None:
    """`import memedit` is light: torch and transformers come with the first name that needs them."""
    code = "import sys, memedit; print('torch' in sys.modules or 'transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_unknown_checkpoint_is_named() -> None:
    """Asking for a checkpoint that does not ship says so."""
    assert (checkpoints.shipped("mini") / "config.json").is_file()
    assert (checkpoints.recipes() / "training" / "base.py").is_file()
    with pytest.raises(CheckpointError, match="giant"):
        checkpoints.shipped("giant")
