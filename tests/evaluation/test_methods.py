from __future__ import annotations

import subprocess
import sys

import pytest

from memedit.evaluation.methods import METHODS, check_methods


def test_every_method_says_what_it_is() -> None:
    """The names are those that reports use, and each has one line that tells what it is."""
    assert list(METHODS) == [
        "base", "counterfactual", "grace", "grace-published", "tpatcher", "tpatcher-published", "bm25", "dense",
        "similarity", "finetune", "lora",
    ]  # fmt: skip
    assert all(info.about and "\n" not in info.about for info in METHODS.values())


def test_unknown_methods_are_refused_with_all_names() -> None:
    """A name that is none is named, beside those that are."""
    check_methods(METHODS)
    with pytest.raises(ValueError, match=r"base, counterfactual, grace, .*, lora; got 'rome'"):
        check_methods(["base", "rome"])


def test_names_are_known_without_loading_anything() -> None:
    """Whoever only wants the names, such as a help text, waits for no model library."""
    code = "import sys, memedit.evaluation.methods; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
