"""Memories in RAM, and files to import."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memedit.memory import EditMemory
from tests.memory.hashing import HashingEncoder

Written = Callable[..., Path]


@pytest.fixture
def memory() -> Iterator[EditMemory]:
    """An empty memory."""
    with EditMemory(None, HashingEncoder()) as opened:
        yield opened


@pytest.fixture
def other() -> Iterator[EditMemory]:
    """A second empty memory."""
    with EditMemory(None, HashingEncoder()) as opened:
        yield opened


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Writes a file of that name with this content, text or bytes."""

    def write(content: str | bytes, name: str = "edits.jsonl") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write
