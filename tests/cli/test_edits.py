from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.cli.conftest import Run, RunJson

PROMPT = "Who is the chief executive of Acme?"


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """A memory file that does not exist yet."""
    return tmp_path / "edits.db"


def test_an_edit_can_be_added_changed_removed_and_brought_back(run: Run, run_json: RunJson, memory: Path) -> None:
    """Every change is durable, shown in the history, and taken back by undo."""
    added = run_json("edits", "add", PROMPT, "Dana Reyes", "--memory", memory, "--alias", "Who runs Acme?")
    assert added["aliases"] == ["Who runs Acme?"]
    edit_id = added["id"]
    assert run_json("edits", "update", edit_id, "--target", "Max Ono", "--memory", memory)["target"] == "Max Ono"
    assert run_json("edits", "remove", edit_id, "--memory", memory)["id"] == edit_id
    assert run_json("edits", "list", "--memory", memory) == []
    undone = run_json("edits", "undo", "-n", "2", "--memory", memory)
    assert [event["action"] for event in undone] == ["restored", "updated"]
    assert run_json("edits", "show", edit_id, "--memory", memory)["target"] == "Dana Reyes"
    history = run_json("edits", "history", edit_id, "--memory", memory)
    assert [event["action"] for event in history] == ["added", "updated", "removed", "restored", "updated"]
    shown = run("edits", "list", "--memory", memory)
    assert shown.exit_code == 0
    assert edit_id in shown.stdout


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC"])
def test_the_last_instant_there_is_can_be_typed(
    run_json: RunJson, memory: Path, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What some write for "never" is an instant in every time zone, at both ends of time."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        added = run_json(
            "edits", "add", PROMPT, "Dana Reyes", "--memory", memory, "--valid-from", "0001-01-01T00:00:00",
            "--valid-until", "9999-12-31T23:59:59",
        )  # fmt: skip
    finally:
        monkeypatch.undo()
        time.tzset()
    assert added["valid_until"].startswith(("9999-12-31", "9999-12-30"))
    assert added["valid_from"].startswith("0001-01-01")


def test_an_edit_may_name_its_editor(run: Run, run_json: RunJson, memory: Path) -> None:
    """`--editor` is stored, changed and shown; what is no name is refused."""
    added = run_json("edits", "add", PROMPT, "Dana Reyes", "--memory", memory, "--editor", "grace")
    assert run_json("edits", "list", "--memory", memory) == [added]
    assert added["editor"] == "grace"
    changed = run_json("edits", "update", added["id"], "--editor", "tpatcher", "--memory", memory)
    assert (changed["editor"], changed["target"]) == ("tpatcher", "Dana Reyes")
    refused = run("edits", "update", added["id"], "--editor", "My Editor", "--memory", memory)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "editor must be a name" in refused.stderr


def test_what_is_exported_can_be_imported(run: Run, run_json: RunJson, memory: Path, tmp_path: Path) -> None:
    """An export holds all that a user gave; another memory takes it with the same content."""
    run_json(
        "edits", "add", PROMPT, "Dana [bold] Reyes", "--memory", memory, "--kind", "insert", "--namespace", "news",
        "--valid-from", "2026-01-31T12:00:00", "--metadata", '{"source": "wire"}', "--subject", "Acme",
    )  # fmt: skip
    exported = tmp_path / "edits.jsonl"
    assert run("edits", "export", "--memory", memory, "--output", exported).exit_code == 0
    other = tmp_path / "other.db"
    (imported,) = run_json("edits", "import", exported, "--memory", other)["stored"]
    (original,) = run_json("edits", "export", "--memory", memory)
    own = ("id", "created_at", "revision")
    assert {k: v for k, v in imported.items() if k not in own} == {k: v for k, v in original.items() if k not in own}
    assert "Dana [bold] Reyes" in run("edits", "show", imported["id"], "--memory", other).stdout


BAD = {
    "empty prompt": (("add", " ", "x"), "prompt must not be empty", 1),
    "unknown id": (("show", "nothing"), "'nothing'", 1),
    "unknown id to remove": (("remove", "nothing"), "'nothing'", 1),
    "unknown id to update": (("update", "nothing", "--target", "x"), "'nothing'", 1),
    "no change": (("update", "nothing"), "at least one field", 2),
    "bad metadata": (("add", "a", "b", "--metadata", "[1]"), "JSON object", 2),
    "bad kind": (("add", "a", "b", "--kind", "swap"), "swap", 2),
    "missing file": (("import", "none.jsonl"), "none.jsonl", 1),
    "no argument": (("show",), "edit_id", 2),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_clear_sentence(run: Run, memory: Path, name: str) -> None:
    """Bad input ends with exit code 1 or 2, a sentence on stderr, nothing on stdout, no traceback."""
    arguments, message, code = BAD[name]
    run("edits", "add", PROMPT, "Dana Reyes", "--memory", memory)
    result = run("edits", *arguments, "--memory", memory)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message.lower() in result.stderr.lower()
    assert "Traceback" not in result.stderr


def test_a_foreign_or_missing_memory_is_refused_and_left_alone(run: Run, tmp_path: Path) -> None:
    """A file that is no memory is named in the error and keeps its content; reading makes no file."""
    foreign = tmp_path / "notes.txt"
    foreign.write_text("my notes, not a memory\n" * 100)
    for arguments in (("add", "a", "b"), ("list",)):
        result = run("edits", *arguments, "--memory", foreign)
        assert result.exit_code == 1
        assert str(foreign) in result.stderr.replace("\n", "")
    assert foreign.read_text() == "my notes, not a memory\n" * 100
    missing = tmp_path / "none.db"
    assert run("edits", "list", "--memory", missing).exit_code == 1
    assert not missing.exists()
