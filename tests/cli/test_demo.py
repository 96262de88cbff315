from __future__ import annotations

import json
from pathlib import Path

from memedit.cli.demo_script import SCRIPT
from memedit.edits import EditKind
from tests.cli.conftest import Run, RunJson


def test_the_script_shows_every_kind_of_edit() -> None:
    """The demo makes a dozen edits of all kinds, each prompt once, the last one an ordinary one to undo."""
    assert len(SCRIPT.edits) == 12
    assert {edit.kind for edit in SCRIPT.edits} == set(EditKind)
    assert SCRIPT.edits[-1].kind is EditKind.MODIFY
    questions = [q for edit in SCRIPT.edits for q in (edit.prompt, *edit.paraphrases, *edit.near_misses)]
    questions += SCRIPT.unrelated
    assert len(set(questions)) == len(questions)


def test_the_demo_keeps_all_its_promises(run: Run, run_json: RunJson, tmp_path: Path) -> None:
    """On the shipped models every check of the demo holds, and its memory can be used afterwards."""
    memory = tmp_path / "demo.db"
    result = run("demo", "--memory", memory, "--json")
    demo = json.loads(result.stdout)
    failed = [row for row in demo["rows"] if not row["passed"]]
    assert (demo["checks"], failed) == (dict.fromkeys(demo["checks"], True), [])
    assert result.exit_code == 0
    assert len(run_json("edits", "list", "--memory", memory)) == len(SCRIPT.edits) - 1
    again = run("demo", "--memory", memory)
    assert again.exit_code == 1
    assert "exists already" in again.stderr.replace("\n", " ")
