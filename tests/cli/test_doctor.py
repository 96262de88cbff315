from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from memedit.checkpoints import shipped
from tests.cli.conftest import Run, RunJson


def test_doctor_shows_versions_checkpoints_and_hashes(run: Run) -> None:
    """The doctor names versions, devices, the encoder and a hash for each file of a checkpoint."""
    result = run("doctor", "--json")
    found = json.loads(result.stdout)
    assert found["versions"]["torch"]
    assert found["encoder"]["dimension"] == 384
    assert len(found["checkpoints"]["mini"]["sha256"]["model.safetensors"]) == 64
    assert result.exit_code == bool(found["problems"])


@pytest.mark.parametrize("damage", ["missing", "cut off"])
def test_doctor_finds_a_broken_checkpoint(
    damage: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that are not there, or not whole, are a problem, said in a sentence, with exit code 1."""
    for name in ("mini", "counterfactual-mini", "scope"):
        shutil.copytree(shipped(name), tmp_path / name)
    weights = tmp_path / "scope" / "adapter.safetensors"
    if damage == "missing":
        weights.unlink()
    else:
        weights.write_bytes(weights.read_bytes()[:-8])
    monkeypatch.setattr("memedit.checkpoints.shipped", lambda name: tmp_path / name)
    result = run("doctor", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)["checkpoints"]
    assert "adapter.safetensors is" in found["scope"]["error"]
    assert "sha256" in found["mini"]


def test_doctor_finds_a_broken_memory(run: Run, tmp_path: Path) -> None:
    """A file that is no memory is a problem, said in a sentence, with exit code 1."""
    broken = tmp_path / "broken.db"
    broken.write_text("this is no memory" * 100)
    result = run("doctor", "--memory", broken, "--json")
    assert result.exit_code == 1
    assert "error" in json.loads(result.stdout)["memory"]


def test_doctor_finds_and_repairs_what_is_derived(run: Run, run_json: RunJson, tmp_path: Path) -> None:
    """A damaged vector is a problem until --repair has computed it again; the check alone repairs nothing."""
    path = tmp_path / "edits.db"
    run_json("edits", "add", "--memory", path, "The capital of France is", "Lyon")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE vectors SET vector = zeroblob(length(vector))")
    for _ in range(2):
        result = run("doctor", "--memory", path, "--json")
        assert result.exit_code == 1
        [problem] = memory_problems(result.stdout)
        assert "with damaged ones (--repair puts it right)" in problem
    found = json.loads(run("doctor", "--memory", path, "--repair", "--json").stdout)
    assert [fault["part"] for fault in found["memory"]["repaired"]] == ["vectors"]
    assert found["memory"]["faults"] == []
    assert (found["memory"]["edits"], found["memory"]["vectors"]) == (1, 1)
    result = run("doctor", "--memory", path, "--json")
    assert memory_problems(result.stdout) == []


def test_doctor_repairs_only_a_memory(run: Run) -> None:
    """--repair without a memory file is refused."""
    result = run("doctor", "--repair")
    assert result.exit_code == 2
    assert "--memory" in result.stderr


def memory_problems(stdout: str) -> list[str]:
    """What the doctor says against the memory file."""
    return [problem for problem in json.loads(stdout)["problems"] if problem.startswith("memory, ")]
