from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.memory.crashing import kill_often

KILLS = 30


@pytest.mark.skipif(os.name != "posix", reason="kills and forks as POSIX does")
def test_a_killed_writer_loses_nothing_and_leaves_no_half(path: Path) -> None:
    """After each kill -9 the memory holds every acknowledged change, the one under way whole or not at all."""
    *_, counts = kill_often(path, KILLS)
    assert counts.kills == KILLS
    assert counts.acknowledged > KILLS
    assert (counts.lost, counts.corrupt) == ([], [])
