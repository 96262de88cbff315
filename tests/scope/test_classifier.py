"""`ScopeClassifier`: learning, saving, loading, refusing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from memedit.errors import CheckpointError
from memedit.scope import ScopeClassifier, SentenceEncoder
from tests.scope.conftest import world_pairs


@pytest.fixture(scope="module")
def saved(small_classifier: ScopeClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the small classifier."""
    folder = tmp_path_factory.mktemp("scope")
    small_classifier.save_pretrained(folder)
    return folder


def test_it_learns_what_it_is_shown(small_classifier: ScopeClassifier) -> None:
    """After fitting, pairs in scope are more probable than near-misses."""
    pairs, labels = world_pairs()
    probability = small_classifier.probability(pairs)
    positive = np.array(labels, dtype=bool)
    assert probability.shape == (len(pairs),)
    assert probability.dtype == np.float64
    assert np.median(probability[positive]) > np.median(probability[~positive])


def test_the_order_of_pairs_does_not_matter(small_classifier: ScopeClassifier) -> None:
    """Each probability belongs to its pair, however batches are sorted."""
    pairs = [*world_pairs()[0][:20], ("a" * 300, "b")]
    forward = small_classifier.probability(pairs)
    backward = small_classifier.probability(pairs[::-1])[::-1]
    assert np.allclose(forward, backward, atol=1e-4)


def test_no_pairs_give_no_probabilities(small_classifier: ScopeClassifier) -> None:
    """An empty list of pairs is answered with an empty array."""
    assert small_classifier.probability([]).shape == (0,)


@pytest.mark.parametrize("query", ["who is the mother of orla venn", "  Who is the  mother of Orla Venn? "])
def test_the_edits_own_words_are_in_scope(small_classifier: ScopeClassifier, query: str) -> None:
    """A query that repeats the edit's wording has probability one."""
    assert small_classifier.probability([("Who is the mother of Orla Venn?", query)])[0] == 1.0


def test_loading_gives_the_same_verdicts(
    small_classifier: ScopeClassifier, saved: Path, encoder: SentenceEncoder
) -> None:
    """A saved classifier has the probabilities, threshold and evidence of the original."""
    loaded = ScopeClassifier.from_pretrained(saved, encoder.files)
    pairs = world_pairs()[0][:30]
    assert np.array_equal(loaded.probability(pairs), small_classifier.probability(pairs))
    assert loaded.threshold_ == small_classifier.threshold_
    assert loaded.calibration_ == small_classifier.calibration_


def test_the_checkpoint_holds_no_base_weights(saved: Path) -> None:
    """A checkpoint is JSON and a few megabytes of safetensors; no pickle, no encoder."""
    assert {file.suffix for file in saved.iterdir()} == {".json", ".safetensors"}
    assert sum(file.stat().st_size for file in saved.iterdir()) < 8_000_000


def test_an_untrained_classifier_says_so(encoder: SentenceEncoder, tmp_path: Path) -> None:
    """Asking or saving before fitting is an error, not a random answer."""
    fresh = ScopeClassifier(encoder.files)
    with pytest.raises(CheckpointError, match="not trained"):
        fresh.probability([("a", "b")])
    with pytest.raises(CheckpointError, match="not trained"):
        fresh.save_pretrained(tmp_path)


def test_labels_must_match_pairs(encoder: SentenceEncoder) -> None:
    """As many labels as pairs are expected, and at least one."""
    with pytest.raises(ValueError, match="as many labels as pairs"):
        ScopeClassifier(encoder.files).fit([("a", "b")], [1, 0])
    with pytest.raises(ValueError, match="as many labels as pairs"):
        ScopeClassifier(encoder.files).fit([], [])


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    """A folder without a checkpoint gets one clear sentence with its path."""
    with pytest.raises(CheckpointError, match=r"config\.json does not exist"):
        ScopeClassifier.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "calibration.json", "adapter.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"[1]", b"{}", b"\x80\x04rubbish"])
def test_a_damaged_checkpoint_is_refused(
    saved: Path, encoder: SentenceEncoder, tmp_path: Path, name: str, content: bytes | None
) -> None:
    """A checkpoint with a file missing, cut or foreign raises a checkpoint error."""
    folder = tmp_path / "damaged"
    shutil.copytree(saved, folder)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError):
        ScopeClassifier.from_pretrained(folder, encoder.files)


def test_a_checkpoint_for_other_weights_is_refused(saved: Path, encoder: SentenceEncoder, tmp_path: Path) -> None:
    """A classifier is never put on an encoder it was not trained on."""
    folder = tmp_path / "other"
    shutil.copytree(saved, folder)
    config = json.loads((folder / "config.json").read_text())
    config["encoder"] = {"id": "other-encoder", "weights_sha256": "0" * 64}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="was trained on other-encoder"):
        ScopeClassifier.from_pretrained(folder, encoder.files)
