from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_doctor_shows_versions_checkpoints_and_hashes(run: Run) -> None:
    """The doctor names versions, devices, the encoder and a hash for each file of a checkpoint."""
    result = run("doctor", "--json")
    found = json.loads(result.stdout)
    assert found["versions"]["torch"]
    assert found["encoder"]["dimension"] == 384
    assert len(found["checkpoints"]["mini"]["sha256"]["model.safetensors"]) == 64
    assert result.exit_code == bool(found["problems"])


def test_doctor_finds_a_broken_memory(run: Run, tmp_path: Path) -> None:
    """A file that is no memory is a problem, said in a sentence, with exit code 1."""
    broken = tmp_path / "broken.db"
    broken.write_text("this is no memory" * 100)
    result = run("doctor", "--memory", broken, "--json")
    assert result.exit_code == 1
    assert "error" in json.loads(result.stdout)["memory"]
