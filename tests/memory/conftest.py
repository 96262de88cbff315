"""Fixtures of the edit memory: files in a temporary folder, and an encoder that needs no model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memedit.memory import EditMemory
from tests.memory.hashing import HashingEncoder


@pytest.fixture
def hashing() -> HashingEncoder:
    """An encoder that needs no model and counts its work."""
    return HashingEncoder()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the test's memory file is to be."""
    return tmp_path / "edits.db"


@pytest.fixture
def memory(path: Path, hashing: HashingEncoder) -> Iterator[EditMemory]:
    """An empty memory on `path`."""
    with EditMemory(path, hashing) as opened:
        yield opened
