from __future__ import annotations

import json
from pathlib import Path

import pytest

from memedit.scope import ScopeClassifier
from tests.cli.conftest import Run, RunJson

PLACES = ("Rome", "Lima", "Kyiv", "Oslo", "Cairo", "Delhi", "Bonn", "Turin", "Quito", "Lagos", "Minsk", "Hanoi")
ASKED = ("The mayor of {} is", "The river of {} is", "The motto of {} is", "The patron of {} is")


@pytest.fixture
def edits(tmp_path: Path) -> Path:
    """A file with four dozen edits, each with an alias."""
    file = tmp_path / "edits.jsonl"
    rows = [
        {"prompt": text.format(place), "target": f"{place} {number}", "aliases": [f"Tell me: {text.format(place)}"]}
        for place in PLACES
        for number, text in enumerate(ASKED)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_scope_is_trained_on_own_edits(run_json: RunJson, edits: Path, tmp_path: Path) -> None:
    """Edits with aliases are enough to train a classifier, which is calibrated and can be loaded."""
    output = tmp_path / "scope"
    report = run_json("train", "scope", "--edits", edits, "--output", output, "--fresh", "--epochs", 1)
    assert report["training_pairs"] > report["held_out_pairs"] > 0
    assert ScopeClassifier.from_pretrained(output).threshold == report["threshold"]


def test_too_few_edits_are_refused_before_training(run: Run, edits: Path, tmp_path: Path) -> None:
    """Where nothing is left to calibrate on, nothing is trained and the error says what to give."""
    edits.write_text("".join(edits.read_text().splitlines(keepends=True)[:3]))
    result = run("train", "scope", "--edits", edits, "--output", tmp_path / "scope", "--fresh")
    assert result.exit_code == 1
    assert "more edits with aliases, or --pairs" in result.stderr.replace("\n", " ")
    assert not (tmp_path / "scope").exists()


def test_pairs_of_a_wrong_form_are_refused(run: Run, edits: Path, tmp_path: Path) -> None:
    """A pair without a label is named by its number."""
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"edit": "a", "query": "b", "in_scope": true}\n{"edit": "a", "query": "b"}\n')
    result = run("train", "scope", "--edits", edits, "--pairs", pairs, "--output", tmp_path / "scope", "--fresh")
    assert result.exit_code == 1
    assert "record 2: in_scope must be true or false" in result.stderr.replace("\n", " ")


@pytest.mark.parametrize("recipe", ["base", "counterfactual"])
def test_recipes_get_their_own_options(run: Run, recipe: str) -> None:
    """The recipes of the checkpoints explain their own options, and refuse those they do not know."""
    shown = run("train", recipe, "--help")
    assert shown.exit_code == 0
    assert "--output" in shown.stdout
    assert run("train", recipe, "--nonsense").exit_code == 2
