from __future__ import annotations

import json
from pathlib import Path

import pytest

from memedit.cli.options import DataFormat
from memedit.evaluation import FORMATS
from tests.cli.conftest import Run

ROWS = [
    {
        "prompt": f"The twin city of {city} is",
        "target_new": target,
        "subject": city,
        "ground_truth": "Paris",
        "rephrase_prompt": f"What is the twin city of {city}? It is",
        "locality_prompt": f"The twin city of {other} is",
        "locality_ground_truth": "Paris",
    }
    for city, target, other in (("Rome", "Oslo", "Lyon"), ("Lima", "Cairo", "Bonn"), ("Kyiv", "Delhi", "Turin"))
]


def test_evaluate_writes_all_figures(run: Run, tmp_path: Path) -> None:
    """The figures, with settings enough to run them again, are written to the file that was named."""
    data, nq = tmp_path / "data.json", tmp_path / "nq.jsonl"
    data.write_text(json.dumps(ROWS))
    nq.write_text('{"question": "who wrote the song", "answer": ["x"]}\n')
    out, answers = tmp_path / "out.json", tmp_path / "answers.jsonl"
    result = run(
        "evaluate", "--data", data, "--format", "counterfact", "--edits", 9, "--queries", 2, "--unrelated", nq,
        "--seed", 4, "--json", out, "--answers", answers,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "3 usable records" in result.stderr
    report = json.loads(out.read_text())
    assert set(report["locality"]) >= {"unrelated", "neighbour", "same_subject"}
    assert report["locality"]["same_subject"] is None
    assert report["portability"] is None
    assert report["counts"]["edits"] == 3
    assert report["settings"]["seed"] == 4
    assert len(report["settings"]["data"]["sha256"]) == 64
    assert report["settings"]["checkpoints"]["editor"]["sha256"]["adapter_model.safetensors"]
    assert len(answers.read_text().splitlines()) == report["counts"]["asked"]


def test_evaluate_refuses_bad_files_before_loading_models(run: Run, tmp_path: Path) -> None:
    """A data file of another form, or a folder that is not there, is named with exit code 1."""
    data = tmp_path / "data.json"
    data.write_text(json.dumps([{"question": "x"}]))
    wrong = run("evaluate", "--data", data, "--format", "zsre", "--edits", 1, "--json", tmp_path / "o.json")
    assert wrong.exit_code == 1
    data.write_text(json.dumps(ROWS))
    nowhere = run("evaluate", "--data", data, "--format", "counterfact", "--edits", 1, "--json", tmp_path / "a/b.json")
    assert nowhere.exit_code == 1
    assert run("evaluate", "--data", data, "--format", "other", "--edits", 1).exit_code == 2
    assert run("evaluate", "--data", data, "--format", "counterfact", "--edits", 0).exit_code == 2


def test_every_format_can_be_named() -> None:
    """The command knows all formats of data files that the library reads."""
    assert {form.value for form in DataFormat} == set(FORMATS)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "--data is needed"),
        (["--data", "counterfact"], "--edits is needed"),
        (["--data", "x", "--edits", 1, "--report", "r"], "--report and --limit are for --compare"),
        (["--judge-file", "x", "--questions-out", "y"], "--data is needed"),
        (["--data", "x", "--edits", 1, "--questions-out", "y", "--protocol", "single"], "sequential alone"),
        (["--data", "x", "--compare", "base"], "--compare needs --report"),
        (["--data", "x", "--compare", "magic", "--report", "r"], "magic"),
        (["--data", "x", "--compare", "base:few", "--report", "r"], "such as grace:1000; got 'base:few'"),
        (["--data", "x", "--edits", 1, "--distractors", "y"], "--distractors goes with --compare"),
        (["--data", "x", "--edits", 1, "--judge-file", "y", "--report", "r"], "--report needs --tool"),
        (["--data", "x", "--edits", 1, "--judge-file", "y", "--report", "r", "--tool", "lora"], "got 'lora'"),
        (["--data", "x", "--compare", "base", "--report", "r", "--stream", "1,many"], "--stream must be"),
        (
            ["--data", "x", "--compare", "base", "--report", "r", "--protocol", "single"],
            "know the protocol sequential alone",
        ),
        (["--data", "x", "--compare", "base", "--report", "r", "--edits", 2], "numbers of edits from --stream"),
        (["--data", "x", "--compare", "base:1", "--report", "r", "--stream", "5"], "--stream begins with 5"),
        (["--data", "x", "--compare", "base", "--report", __file__], "--report is a folder"),
        (["--data", "x", "--edits", 1, "--json", "."], "--json takes a file"),
        (["--data", "x", "--edits", 1, "--answers", "-"], "--answers takes a file"),
        (["--data", "x", "--format", "mzsre", "--edits", 1, "--languages", "en"], "--languages must be two"),
    ],
)
def test_options_that_do_not_fit_are_refused(given: list[object], told: str, run: Run) -> None:
    """What is missing or does not go together is said at once, with exit code 2."""
    result = run("evaluate", *given)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.replace("│", " ").split())


def test_answers_of_another_tool_are_scored(run: Run, tmp_path: Path) -> None:
    """Questions are written for another tool, and its answers are scored by id, without any model."""
    data, questions, given = (tmp_path / name for name in ("data.json", "questions.jsonl", "answers.jsonl"))
    data.write_text(json.dumps(ROWS))
    chosen = ("--data", data, "--format", "counterfact", "--edits", 2, "--seed", 1)
    written = run("evaluate", *chosen, "--questions-out", questions)
    assert written.exit_code == 0, written.output
    assert "2 edits and 6 questions" in written.stderr
    rows = [json.loads(line) for line in questions.read_text().splitlines()]
    asked = [row for row in rows if row["do"] == "ask"]
    given.write_text(
        "".join(
            json.dumps({"id": row["id"], "answer": f" {(row['accepted'] or ['x'])[0]}. So", "base": "Paris"}) + "\n"
            for row in asked
        )
    )
    scored = run("evaluate", *chosen, "--judge-file", given, "--json", "-")
    assert scored.exit_code == 0, scored.output
    report = json.loads(scored.stdout)
    assert (report["reliability"], report["generality"], report["locality"]["neighbour"]) == (1.0, 1.0, 1.0)
    assert report["intervals"]["reliability"]["n"] == 2
    assert len(report["settings"]["judge_file"]["sha256"]) == 64
    # The same lines without the data do not say what was asked.
    assert run("evaluate", "--judge-file", given).exit_code == 1


def test_methods_are_compared_in_a_folder(run: Run, tmp_path: Path) -> None:
    """A comparison writes tables, plots, figures and answers, and is not made twice."""
    pytest.importorskip("matplotlib")
    data, folder = tmp_path / "data.json", tmp_path / "report"
    data.write_text(json.dumps(ROWS))
    command = (
        "evaluate", "--data", data, "--format", "counterfact", "--compare", "base", "--stream", "1,2",
        "--report", folder, "--json", "-",
    )  # fmt: skip
    first = run(*command)
    assert first.exit_code == 0, first.output
    values = json.loads(first.stdout)
    assert [(one["method"], one["edits"]) for one in values["runs"]] == [("base", 1), ("base", 2)]
    assert values["runs"][0]["report"]["locality"]["neighbour"] == 1.0
    assert values["settings"]["versions"]["torch"]
    assert values["settings"]["checkpoints"]["scope"]["sha256"]
    assert (folder / "README.md").read_text().count("### Free decoding, exact match") == 2
    assert (folder / "retention.png").stat().st_size > 5_000
    assert len((folder / "answers" / "base-2.jsonl").read_text().splitlines()) == 6
    again = run(*command)
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout) == values
    # Another tool answers the same questions, and stands beside the base from then on.
    options = ("--data", data, "--format", "counterfact", "--edits", 2)
    questions, given = tmp_path / "questions.jsonl", tmp_path / "answers.jsonl"
    assert run("evaluate", *options, "--questions-out", questions).exit_code == 0
    asked = [json.loads(line) for line in questions.read_text().splitlines() if '"ask"' in line]
    lines = [{"id": row["id"], "answer": (row["accepted"] or ["x"])[0], "base": "x"} for row in asked]
    given.write_text("".join(json.dumps(line) + "\n" for line in lines))
    row = run("evaluate", *options, "--judge-file", given, "--tool", "mend", "--report", folder)
    assert row.exit_code == 0, row.output
    assert "| mend | 1.000 (" in (folder / "README.md").read_text()
    compared = json.loads(run(*command).stdout)
    assert [(one["method"], one["edits"]) for one in compared["runs"]] == [("base", 1), ("base", 2), ("mend", 2)]
