from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run, RunJson

PROMPT = "Who is the chief executive of Zephyr Robotics?"


def test_ask_answers_from_the_edit_and_explains(run: Run, run_json: RunJson, tmp_path: Path) -> None:
    """An in-scope prompt gets the edit's answer, and --explain says which edit fired and why."""
    memory = tmp_path / "edits.db"
    edit = run_json("edits", "add", PROMPT, "Dana Reyes", "--memory", memory)
    answered = run_json("ask", PROMPT, "--memory", memory, "--explain")
    assert answered["answer"] == "Dana Reyes"
    assert answered["explanation"]["edit"]["id"] == edit["id"]
    assert answered["explanation"]["candidates"][0]["probability"] >= answered["explanation"]["threshold"]
    other = run_json("ask", "What is the capital of France?", "--memory", memory, "--explain")
    assert other["answer"] == "Paris"
    assert other["explanation"]["edit"] is None
    assert run("ask", PROMPT, "--memory", memory, "--explain").exit_code == 0


def test_ask_tells_all_of_a_stored_answer(run_json: RunJson, tmp_path: Path) -> None:
    """What an edit answers may have several sentences or lines; what a base says ends with its answer."""
    memory = tmp_path / "edits.db"
    refusal = "I cannot talk about that. Please ask the lawyers."
    run_json("edits", "add", PROMPT, refusal, "--kind", "erase", "--memory", memory)
    assert run_json("ask", PROMPT, "--memory", memory)["answer"] == refusal


def test_ask_refuses_what_is_not_there(run: Run, tmp_path: Path) -> None:
    """A missing memory and a missing model end with exit code 1 and name what was expected."""
    missing = run("ask", PROMPT, "--memory", tmp_path / "none.db")
    assert missing.exit_code == 1
    assert "none.db" in missing.stderr.replace("\n", "")
    run("edits", "add", PROMPT, "Dana Reyes", "--memory", tmp_path / "edits.db")
    model = run("ask", PROMPT, "--memory", tmp_path / "edits.db", "--model", tmp_path / "no-model")
    assert model.exit_code == 1
    assert "no-model" in model.stderr.replace("\n", "")
