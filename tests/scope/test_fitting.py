"""The training loop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from memedit.scope import ScopeClassifier, SentenceEncoder, fitting
from memedit.scope.fitting import FitConfig
from memedit.scope.pairing import EncodedPair, PairBatch, PairTokenizer
from tests.scope.conftest import world_pairs

CONFIG = FitConfig(epochs=1, batch_size=16, rank=4, alpha=8, seed=3)


def test_an_interrupted_run_goes_on_where_it_stopped(
    encoder: SentenceEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopping and starting again gives the weights of a run that was never stopped."""
    monkeypatch.setattr(fitting, "SAVE_EVERY_SECONDS", -1.0)
    monkeypatch.setattr(fitting, "bf16_is_faster", lambda *_: False)
    pairs, labels = (values[:96] for values in world_pairs())
    whole = ScopeClassifier(encoder.files).fit(pairs, labels, CONFIG)
    collate, calls = PairTokenizer.collate, 0

    def interrupted(self: PairTokenizer, rows: list[EncodedPair]) -> PairBatch:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return collate(self, rows)

    state = tmp_path / "state.safetensors"
    with monkeypatch.context() as patch:
        patch.setattr(PairTokenizer, "collate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ScopeClassifier(encoder.files).fit(pairs, labels, CONFIG, resume_from=state)
    assert state.exists()
    resumed = ScopeClassifier(encoder.files).fit(pairs, labels, CONFIG, resume_from=state)
    assert not state.exists()
    assert resumed.logits(pairs[:8]).tolist() == whole.logits(pairs[:8]).tolist()


def test_the_state_of_another_run_is_not_taken_up(
    encoder: SentenceEncoder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A run on other pairs starts anew and says so."""
    state = tmp_path / "state.safetensors"
    fitting.save_file({"value.x": torch.zeros(1)}, state, {"step": "3", "fingerprint": "other"})
    pairs, labels = (values[:32] for values in world_pairs())
    ScopeClassifier(encoder.files).fit(pairs, labels, CONFIG, resume_from=state)
    assert "starting anew" in caplog.text


def test_a_run_that_goes_on_from_other_weights_is_another_run(
    saved: Path,
    encoder: SentenceEncoder,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was begun from one classifier is not finished as if it had been begun from another."""
    state = tmp_path / "state.safetensors"
    pairs, labels = (values[:32] for values in world_pairs())
    monkeypatch.setattr(fitting, "SAVE_EVERY_SECONDS", -1)
    monkeypatch.setattr(fitting._State, "discard", lambda _: None)
    ScopeClassifier(encoder.files).fit(pairs, labels, CONFIG, resume_from=state)
    assert state.exists()
    ScopeClassifier.from_pretrained(saved, encoder.files).fit(pairs, labels, CONFIG, resume_from=state)
    assert "starting anew" in caplog.text


def test_fitting_leaves_the_random_state_alone(encoder: SentenceEncoder) -> None:
    """Training draws no number from the program's own stream, and repeats itself by its seed."""
    pairs, labels = (values[:32] for values in world_pairs())
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = ScopeClassifier(encoder.files).fit(pairs, labels, CONFIG)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    second = ScopeClassifier(encoder.files).fit(pairs, labels, CONFIG)
    assert abs(first.logits(pairs) - second.logits(pairs)).max() < 0.1


def test_the_weights_it_began_with_can_be_kept_in_part(saved: Path, encoder: SentenceEncoder) -> None:
    """With all of them kept the verdicts stay; with half they lie between both runs'; another's can be kept too."""
    pairs, labels = (values[:48] for values in world_pairs())
    before = ScopeClassifier.from_pretrained(saved, encoder.files)
    after, half, all_kept = (
        ScopeClassifier.from_pretrained(saved, encoder.files).fit(pairs, labels, replace(CONFIG, keep=keep))
        for keep in (0.0, 0.5, 1.0)
    )
    assert np.allclose(all_kept.logits(pairs), before.logits(pairs), atol=1e-5)
    gaps = [float(np.abs(half.logits(pairs) - other.logits(pairs)).mean()) for other in (before, after)]
    assert max(gaps) < np.abs(before.logits(pairs) - after.logits(pairs)).mean()
    assert half.fit_["before"]["pairs"] > 0
    anothers = ScopeClassifier.from_pretrained(saved, encoder.files)
    anothers.fit(pairs, labels, replace(CONFIG, keep=1.0), kept=half)
    assert np.allclose(anothers.logits(pairs), half.logits(pairs), atol=1e-5)
    assert anothers.fit_["kept_of"] == {name: half.fit_[name] for name in half.fit_ if name != "before"}
    for kept, keep, fault in ((ScopeClassifier(encoder.files), 1.0, "never fitted"), (half, 0.0, "share of 0")):
        with pytest.raises(ValueError, match=fault):
            anothers.fit(pairs, labels, replace(CONFIG, keep=keep), kept=kept)
