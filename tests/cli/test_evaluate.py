from __future__ import annotations

import json
from pathlib import Path

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
    assert len(report["settings"]["sha256"]["data"]) == 64
    assert report["settings"]["sha256"]["editor"]["adapter_model.safetensors"]
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
