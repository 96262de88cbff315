from __future__ import annotations

import json
from pathlib import Path

import pytest

from memedit.scope import ScopeClassifier
from memedit.scope.calibration import PAIRS_FOR_A_MAP
from tests.cli.conftest import Run, RunJson

NAMES = ("Orla Venn", "Tam Brisk", "Iva Lund", "Pell Osten", "Mika Dorn")
EDIT = "Who is the mother of {}?"
SAME = ("{}'s mother is", "the mother of {}", "What is the name of {}'s mother?", "Tell me who {}'s mother is.")
OTHER = ("Who is the father of {}?", "{}'s mother tongue is", "Where does {}'s mother live?", "Who is {}?")


def _write(file: Path, count: int) -> Path:
    rows = [
        {"edit": EDIT.format(name), "query": text.format(name), "in_scope": texts is SAME}
        for name in [f"{NAMES[n % 5]} {n}" for n in range(1 + count // 8)]
        for texts in (SAME, OTHER)
        for text in texts
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows[:count]))
    return file


@pytest.fixture
def fifty(tmp_path: Path) -> Path:
    """Fifty-six labelled pairs."""
    return _write(tmp_path / "pairs.jsonl", 56)


def test_fifty_pairs_move_the_threshold(
    run_json: RunJson, fifty: Path, tmp_path: Path, classifier: ScopeClassifier
) -> None:
    """With few pairs the threshold keeps out what was stated and the probabilities stay as they were."""
    output = tmp_path / "calibrated"
    report = run_json("calibrate", "--pairs", fifty, "--locality", 1.0, "--output", output)
    loaded = ScopeClassifier.from_pretrained(output)
    assert report["probabilities"] == "kept"
    assert loaded.calibration_ == classifier.calibration_
    assert loaded.threshold == report["threshold"]["value"] == report["after"]["threshold"]
    assert report["before"]["threshold"] == classifier.threshold
    assert report["after"]["locality"] == 1.0
    assert report["threshold"]["locality_low"] < 0.9


def test_the_card_says_what_was_done(run: Run, fifty: Path, tmp_path: Path) -> None:
    """People see before and after, the interval, and how many pairs it would take; so does the card."""
    output = tmp_path / "calibrated"
    result = run("calibrate", "--pairs", fifty, "--locality", 0.99, "--output", output)
    assert result.exit_code == 0, result.output
    assert "before" in result.stdout
    assert "95 % interval" in result.stdout
    assert f"fewer than the {PAIRS_FOR_A_MAP}" in result.stderr
    assert "381 that are all kept out would" in result.stderr
    card = (output / "README.md").read_text()
    assert "memedit calibrate --pairs pairs.jsonl --locality 0.99" in card
    assert "the threshold was moved" in card
    assert json.loads((output / "metrics.json").read_text())["count"] == 56


def test_many_pairs_make_new_probabilities(run_json: RunJson, tmp_path: Path, classifier: ScopeClassifier) -> None:
    """From 500 pairs on the map from logits to probabilities is learned anew."""
    pairs = _write(tmp_path / "many.jsonl", PAIRS_FOR_A_MAP)
    report = run_json("calibrate", "--pairs", pairs, "--locality", 0.9, "--output", tmp_path / "calibrated")
    assert report["probabilities"] == "learned"
    assert ScopeClassifier.from_pretrained(tmp_path / "calibrated").calibration_.pairs == PAIRS_FOR_A_MAP
    assert report["after"]["locality"] >= 0.9


def test_a_useless_threshold_is_not_passed_over(run: Run, tmp_path: Path) -> None:
    """Where near-misses look just like what is in scope the user is told that little fires, and what to do."""
    pairs = tmp_path / "pairs.jsonl"
    rows = [{"edit": EDIT.format(f"{name} {n}"), "query": SAME[0].format(f"{name} {n}"), "in_scope": n % 2 == 0}
            for n in range(6) for name in NAMES]  # fmt: skip
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = run("calibrate", "--pairs", pairs, "--locality", 1.0, "--output", tmp_path / "calibrated")
    assert result.exit_code == 0
    assert "train it on such pairs" in result.stderr.replace("\n", " ")


def test_pairs_of_one_kind_are_refused(run: Run, tmp_path: Path) -> None:
    """Without near-misses there is nothing to choose a threshold on; own words do not count as pairs."""
    pairs = tmp_path / "pairs.jsonl"
    rows = [{"edit": f"Who runs {n}?", "query": f"{'who runs' if n > 9 else 'Who leads'} {n}", "in_scope": True}
            for n in range(20)]  # fmt: skip
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = run("calibrate", "--pairs", pairs, "--output", tmp_path / "calibrated")
    assert result.exit_code == 1
    assert "10 pairs repeat the edit's wording" in result.stderr
    assert "got 10 and 0" in result.stderr.replace("\n", " ")
    assert not (tmp_path / "calibrated").exists()
