from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from memedit.checkpoints import shipped
from memedit.cli import train_scope
from memedit.cli.pairs import read_edits
from memedit.scope import ScopeClassifier, SentenceEncoder, fitting
from memedit.scope.card import write_card
from memedit.scope.pairing import EncodedPair, PairBatch, PairTokenizer
from memedit.scope.report import ScopeReport
from tests.cli.conftest import Run, RunJson
from tests.scope.tiny_encoder import write_tiny_encoder

PLACES = ("Rome", "Lima", "Kyiv", "Oslo", "Cairo", "Delhi")
ASKED = ("The mayor of {} is", "The river of {} is", "The motto of {} is", "The patron of {} is")


@pytest.fixture
def edits(tmp_path: Path) -> Path:
    """A file with two dozen edits, each with an alias."""
    file = tmp_path / "edits.jsonl"
    rows = [
        {
            "prompt": text.format(place),
            "target": f"{place} {number}",
            "subject": place,
            "aliases": [f"Tell me: {text.format(place)}"],
        }
        for place in PLACES
        for number, text in enumerate(ASKED)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_scope_is_trained_on_own_edits(run_json: RunJson, edits: Path, tmp_path: Path) -> None:
    """Edits with aliases are enough to train a classifier, which is calibrated, described and can be loaded."""
    output = tmp_path / "scope"
    report = run_json("train", "scope", "--edits", edits, "--output", output, "--epochs", 1)
    assert report["training_pairs"] > report["held_out_pairs"] > 0
    assert ScopeClassifier.from_pretrained(output).threshold == report["threshold"]
    assert report["held_out"]["locality"] == report["held_out_near_misses_kept_out"]
    card = (output / "README.md").read_text()
    assert "24 edits (24 with aliases, 24 with a subject), beginning with a trained one" in card
    assert f"| learning_rate | {train_scope._RATE_WHEN_GOING_ON} |" in card
    assert f"Threshold {report['threshold']:.4f}" in card
    assert json.loads((output / "metrics.json").read_text())["count"] == report["held_out_pairs"]
    assert [file.name for file in tmp_path.glob("*in-progress*")] == []


def test_plots_are_in_the_card_or_the_card_says_why_not(
    small_report: ScopeReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classifier: ScopeClassifier
) -> None:
    """With matplotlib the card shows both plots, without it it names the extra."""
    pytest.importorskip("matplotlib")
    assert len(write_card(tmp_path, classifier, small_report, "Made here.")) == 2
    assert "![precision recall](precision_recall.png)" in (tmp_path / "README.md").read_text()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert write_card(tmp_path, classifier, small_report, "Made here.") == []
    assert "pip install 'memedit[plots]'" in (tmp_path / "README.md").read_text()


@pytest.fixture
def tiny_encoder(tmp_path: Path) -> Path:
    """The folder of an encoder that is not MiniLM."""
    return write_tiny_encoder(tmp_path / "tiny")


@pytest.fixture
def small_report() -> ScopeReport:
    """Figures of four pairs."""
    return ScopeReport.measure([0.9, 0.2, 0.1, 0.7], [1, 0, 0, 1], 0.5)


def test_all_pairs_of_an_edit_are_on_one_side(edits: Path, encoder: SentenceEncoder) -> None:
    """Training sees no wording of a held-out edit, neither from the edits nor from given pairs."""
    own = read_edits(edits)
    given = [((edit.aliases[0], f"Given: {edit.prompt}"), 1) for edit in own]
    training, held_out = train_scope._split(own, given, ScopeClassifier(encoder.files), 0)
    kept = {text for edit in own if train_scope._is_held_out(edit.prompt) for text in edit.wordings}
    assert 0 < len(kept) < len(own)
    assert not {text for pair, _ in training for text in pair} & kept
    assert {wording for (wording, _), _ in held_out} <= kept
    assert {label for _, label in training} == {label for _, label in held_out} == {0, 1}


def test_an_interrupted_training_goes_on(
    run: Run, edits: Path, tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state is kept beside the output, found again by the same command, and gone at the end."""
    monkeypatch.setattr(fitting, "SAVE_EVERY_SECONDS", -1.0)
    collate, calls = PairTokenizer.collate, 0

    def interrupted(self: PairTokenizer, rows: list[EncodedPair]) -> PairBatch:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return collate(self, rows)

    command = ("train", "scope", "--edits", edits, "--output", tmp_path / "scope", "--encoder", tiny_encoder)
    with monkeypatch.context() as patch:
        patch.setattr(PairTokenizer, "collate", interrupted)
        assert run(*command).exit_code != 0
    state = tmp_path / "scope-in-progress.safetensors"
    assert state.exists()
    assert not (tmp_path / "scope").exists()
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert "holds an interrupted run" in result.stderr
    assert "starting anew" not in result.stderr
    assert not state.exists()


def test_an_encoder_of_ones_own_begins_untrained(
    run: Run, run_json: RunJson, edits: Path, tmp_path: Path, tiny_encoder: Path
) -> None:
    """Where the shipped classifier does not fit the encoder, an untrained one is trained on that."""
    output = tmp_path / "scope"
    command = ("train", "scope", "--edits", edits, "--output", output, "--encoder", tiny_encoder, "--epochs", 1)
    report = run_json(*command)
    loaded = ScopeClassifier.from_pretrained(output, tiny_encoder)
    assert loaded.threshold == report["threshold"]
    assert "beginning with an untrained one" in (output / "README.md").read_text()
    assert "base_model" not in (output / "README.md").read_text()
    result = run(*command, "--from", shipped("scope"))
    assert result.exit_code == 1
    assert "give the encoder it was trained on" in result.stderr.replace("\n", " ")


def test_there_is_one_beginning(run: Run, edits: Path, tmp_path: Path) -> None:
    """A classifier to go on from and none are not asked for at once."""
    result = run("train", "scope", "--edits", edits, "--output", tmp_path / "scope", "--fresh", "--from", tmp_path)
    assert result.exit_code != 0
    assert "--fresh" in result.stderr
    assert not (tmp_path / "scope").exists()


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
