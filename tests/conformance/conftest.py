"""The wrapped models, made once; a family that has linear layers is wrapped with a random adapter."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from memedit import EditedModel
from tests.conformance.families import EDIT, LONGER_EDIT, beside

Wrapped = Callable[[str, bool], EditedModel]
WHOLE = os.environ.get("MEMEDIT_CONFORMANCE") == "whole"
"""Whether every call meets every family (`make conformance`); else the families take turns."""


@pytest.fixture(scope="session")
def wrapped(tmp_path_factory: pytest.TempPathFactory) -> Wrapped:
    """Gives a family's wrapped model, with two edits or with an empty memory."""
    made: dict[tuple[str, bool], EditedModel] = {}

    def of(family: str, stored: bool) -> EditedModel:
        if (family, stored) not in made:
            # GPT-2's layers are of a kind of their own, which no adapter is laid over.
            folder = None if family == "gpt2" else tmp_path_factory.mktemp(family)
            made[family, stored] = beside(family, folder)
            if stored:
                made[family, stored].edits.add(*EDIT)
                made[family, stored].edits.add(*LONGER_EDIT)
        return made[family, stored]

    return of
