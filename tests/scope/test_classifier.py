"""`ScopeClassifier`: learning, saving, loading, refusing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

from memedit.edits import Edit
from memedit.errors import CheckpointError
from memedit.scope import ScopeClassifier, SentenceEncoder
from memedit.scope.thresholds import NEAR_MISSES_OF_A_FORM
from tests.scope.conftest import NAMES, QUICK, WORDINGS, world_pairs
from tests.scope.tiny_encoder import write_tiny_encoder


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


MINUTES = (
    "Minutes of the Tolvane Allotment Society, 3 March. The chair welcomed two new members, Wim Kast of plot 9 and "
    "Iva Lund of plot 31, and thanked everybody who had helped to clear the brambles along the railway fence in "
    "February. Water: the tap by the east gate stays off until the frost is over; Pell Osten will read the meter on "
    "the first of each month and send the figure to the council. Sheds: no shed may be higher than two metres, and all "
    "roofs of asbestos have to be gone by the end of next year; the society pays a third of the disposal. Bees: after "
    "long discussion Mika Dorn may keep four hives on plot 22, behind a hedge, provided that she puts up a sign and "
    "tells her neighbours before she opens them. The seed swap takes place on 12 April in the scout hut."
)


@pytest.mark.parametrize(
    "query", ["Which plot does Wim Kast have?", "Where does the seed swap of the Tolvane Allotment Society take place?"]
)
def test_a_long_edit_is_read_to_its_end(classifier: ScopeClassifier, query: str) -> None:
    """Of a text that is too long to be read at once beginning and end are asked for, what it leaves open is not."""
    [threshold] = classifier.threshold_for([MINUTES])
    asked, left_open = classifier.probability(
        [(MINUTES, query), (MINUTES, "When was the Tolvane Allotment Society founded?")]
    )
    assert asked >= threshold > left_open


def test_no_pairs_give_no_probabilities(small_classifier: ScopeClassifier) -> None:
    """An empty list of pairs is answered with an empty array."""
    assert small_classifier.probability([]).shape == (0,)


@pytest.mark.parametrize("query", ["who is the mother of orla venn", "  Who is the  mother of Orla Venn? "])
def test_the_edits_own_words_are_in_scope(small_classifier: ScopeClassifier, query: str) -> None:
    """A query that repeats the edit's wording has probability one."""
    assert small_classifier.probability([("Who is the mother of Orla Venn?", query)])[0] == 1.0


def test_the_callers_precision_does_not_matter(small_classifier: ScopeClassifier, encoder: SentenceEncoder) -> None:
    """Where a model runs in bfloat16 under autocast, vectors and probabilities are those of always."""
    pairs = world_pairs()[0][:20]
    texts = [query for _, query in pairs]
    plain, vectors = small_classifier.probability(pairs), encoder.encode(texts)
    with torch.autocast("cpu", torch.bfloat16):
        assert np.array_equal(small_classifier.probability(pairs), plain)
        assert np.array_equal(encoder.encode(texts), vectors)


def test_symbols_the_encoder_does_not_know_are_told_apart(small_classifier: ScopeClassifier) -> None:
    """Of two texts that differ in an emoji alone neither means the other, whatever the network says."""
    first, second = "What does 🙃 mean?", "What does 🫠 mean?"
    assert small_classifier.probability([(first, second), (first, first)]).tolist() == [0.0, 1.0]


def test_going_on_keeps_the_size_of_the_adapter(saved: Path, encoder: SentenceEncoder) -> None:
    """Another rank or alpha than the one trained so far is refused: it would change what was learned."""
    classifier = ScopeClassifier.from_pretrained(saved, encoder.files)
    for wrong in ({"rank": 8}, {"alpha": 16}):
        with pytest.raises(ValueError, match="expected rank 4 and alpha 8, those of what was trained before"):
            classifier.fit(*world_pairs(), replace(QUICK, **wrong))


def test_statements_are_calibrated_to_a_locality_of_their_own(saved: Path, encoder: SentenceEncoder) -> None:
    """The locality stated for statements is that of the threshold for edits so worded, and of no other."""
    classifier = ScopeClassifier.from_pretrained(saved, encoder.files)
    pairs, labels = world_pairs()
    told = [(f"{wording.rstrip('?')} is told.", query) for wording, query in pairs]
    times = 1 + NEAR_MISSES_OF_A_FORM // labels.count(0)
    classifier.calibrate(
        [*pairs, *told] * times, [*labels, *labels] * times, locality=0.95, localities={"statement": 0.7}
    )
    assert classifier.threshold_.stated_locality == 0.95
    assert classifier.threshold_.by_form["statement"].stated_locality == 0.7


def test_loading_gives_the_same_verdicts(
    small_classifier: ScopeClassifier, saved: Path, encoder: SentenceEncoder
) -> None:
    """A saved classifier has the probabilities, threshold and evidence of the original."""
    loaded = ScopeClassifier.from_pretrained(saved, encoder.files)
    pairs = world_pairs()[0][:30]
    assert np.array_equal(loaded.probability(pairs), small_classifier.probability(pairs))
    assert loaded.threshold_ == small_classifier.threshold_
    assert loaded.calibration_ == small_classifier.calibration_


def test_beside_an_encoder_it_shares_the_weights(saved: Path, encoder: SentenceEncoder) -> None:
    """Next to a loaded encoder no second copy of its weights is kept, and neither changes what the other says."""
    pairs = world_pairs()[0][:30]
    before = encoder.encode([query for _, query in pairs])
    beside = ScopeClassifier.beside(encoder, saved)
    assert np.array_equal(beside.probability(pairs), ScopeClassifier.from_pretrained(saved).probability(pairs))
    assert np.array_equal(encoder.encode([query for _, query in pairs]), before)
    assert encoder.transformer is not None
    places = {parameter.data_ptr() for parameter in encoder.transformer.parameters()}
    assert all(parameter.data_ptr() in places for parameter in beside._network.backbone.parameters())


def test_beside_another_encoder_it_brings_its_own(saved: Path, encoder: SentenceEncoder, tmp_path: Path) -> None:
    """A classifier serves a memory whose vectors are of another encoder than its own."""
    other = SentenceEncoder.from_pretrained(write_tiny_encoder(tmp_path / "other"))
    beside = ScopeClassifier.beside(other, saved)
    pairs = world_pairs()[0][:5]
    assert beside.encoder.weights_sha256 == encoder.files.weights_sha256
    assert np.array_equal(beside.probability(pairs), ScopeClassifier.from_pretrained(saved).probability(pairs))


def test_going_on_beside_an_encoder_leaves_it_alone(encoder: SentenceEncoder) -> None:
    """Training a classifier that shares its encoder's weights does not move them."""
    pairs, labels = world_pairs()
    before = encoder.encode(["Who is the mother of Orla Venn?"])
    ScopeClassifier(encoder).fit(pairs[:32], labels[:32], replace(QUICK, epochs=1))
    assert np.array_equal(encoder.encode(["Who is the mother of Orla Venn?"]), before)


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


def test_an_untrained_classifier_says_what_to_do(encoder: SentenceEncoder) -> None:
    """The error names the two ways to a trained classifier."""
    fresh = ScopeClassifier(encoder.files)
    for call in (fresh.calibrate, fresh.evaluate):
        with pytest.raises(CheckpointError, match=r"call fit .* ScopeClassifier\.from_pretrained\(\)"):
            call([("a", "b")] * 10, [0, 1] * 5)


def test_it_learns_from_edits_alone(encoder: SentenceEncoder) -> None:
    """Edits without labels are enough: the pairs are made from them."""
    edits = [
        Edit(f"{name}/{relation}", texts[0].format(name), f"{name}'s {relation}", subject=name,
             aliases=[texts[1].format(name)])
        for name in NAMES[:4] for relation, texts in WORDINGS.items()
    ]  # fmt: skip
    fitted = ScopeClassifier(encoder.files).fit(edits, config=replace(QUICK, epochs=1))
    assert fitted.fit_["pairs"] > 5 * len(edits)
    assert fitted.probability([("The capital of Orla Venn is", "b")]).shape == (1,)


def test_edits_and_labels_do_not_mix(encoder: SentenceEncoder) -> None:
    """Edits take no labels, pairs need them, and a sequence holds one of both."""
    edit = Edit("1", "Who runs Acme?", "Li")
    for pairs, labels in (([edit], [1]), ([edit, ("a", "b")], None), ([("a", "b")], None)):
        with pytest.raises(ValueError, match="edits"):
            ScopeClassifier(encoder.files).fit(pairs, labels)


def test_scikit_learn_can_clone_it(encoder: SentenceEncoder) -> None:
    """`get_params` holds all that makes a classifier of the same kind, untrained."""
    original = ScopeClassifier(encoder.files, device="cpu")
    again = clone(original)
    assert again.get_params() == original.get_params() == {"encoder": encoder.files, "device": "cpu"}


def test_a_report_is_about_the_verdicts_and_the_threshold(small_classifier: ScopeClassifier) -> None:
    """`evaluate` measures `probability` at `threshold`."""
    pairs, labels = world_pairs()
    report = small_classifier.evaluate(pairs, labels)
    right = (small_classifier.probability(pairs) >= small_classifier.threshold) == np.array(labels, dtype=bool)
    assert report.accuracy == pytest.approx(right.mean())
    assert report.threshold == small_classifier.threshold
    with pytest.raises(ValueError, match="as many labels"):
        small_classifier.evaluate(pairs, labels[:-1])


@pytest.mark.parametrize(("prior", "lowest"), [(None, 0.5), (0.1, 0.1), (0.8, 0.5)])
def test_a_stated_prior_below_one_half_is_the_lowest_threshold(
    saved: Path, encoder: SentenceEncoder, prior: float | None, lowest: float
) -> None:
    """However few near-misses are to be kept out, an edit fires only if reading the query speaks for it."""
    classifier = ScopeClassifier.from_pretrained(saved, encoder.files)
    pairs, labels = world_pairs()
    assert classifier.calibrate(pairs, labels, locality=0.01, prior=prior).threshold == lowest
    kept = classifier.calibrate(pairs[::4], labels[::4], locality=0.01, keep_probabilities=True)
    assert kept.threshold == lowest


def test_probability_and_logit_rank_alike(small_classifier: ScopeClassifier) -> None:
    """Calibration makes no ties among the pairs it was learned from."""
    pairs, _ = world_pairs()
    logits, probability = small_classifier.logits(pairs), small_classifier.calibration_(small_classifier.logits(pairs))
    order = np.argsort(logits)
    # A logistic curve reaches one in the end, as floats go.
    apart = (np.diff(logits[order]) > 1e-4) & (probability[order][1:] < 1 - 1e-12)
    assert apart.any()
    assert (np.diff(probability[order])[apart] > 0).all()


def test_the_threshold_moves_alone(saved: Path, encoder: SentenceEncoder) -> None:
    """With few pairs the probabilities can be kept; the threshold then keeps out what was stated."""
    classifier = ScopeClassifier.from_pretrained(saved, encoder.files)
    pairs, labels = (values[::4] for values in world_pairs())
    map_before, before = classifier.calibration_, classifier.probability(pairs)
    assert classifier.calibrate(pairs, labels, locality=1.0, keep_probabilities=True) is classifier
    assert classifier.calibration_ is map_before
    assert np.array_equal(classifier.probability(pairs), before)
    assert classifier.evaluate(pairs, labels).locality == 1.0
    assert classifier.threshold_ is not None
    assert 0 < classifier.threshold_.locality_low < 1.0


def test_kept_probabilities_have_the_prior_and_the_weights_they_had(saved: Path, encoder: SentenceEncoder) -> None:
    """Neither a prior nor weights can be stated for probabilities that are to be kept."""
    classifier = ScopeClassifier.from_pretrained(saved, encoder.files)
    before = classifier.calibration_, classifier.threshold_
    pairs, labels = world_pairs()
    with pytest.raises(ValueError, match=r"expected neither prior .* got prior=0\.3 and no weights"):
        classifier.calibrate(pairs, labels, prior=0.3, keep_probabilities=True)
    with pytest.raises(ValueError, match=rf"got prior=None and {len(pairs)} weights"):
        classifier.calibrate(pairs, labels, sample_weight=[2.0] * len(pairs), keep_probabilities=True)
    assert (classifier.calibration_, classifier.threshold_) == before


def test_pairs_are_weighed_as_they_occur(saved: Path, encoder: SentenceEncoder) -> None:
    """Where pairs out of scope stand for more of real use, every pair is held less probable."""
    classifier = ScopeClassifier.from_pretrained(saved, encoder.files)
    pairs, labels = world_pairs()
    once = classifier.calibrate(pairs, labels).probability(pairs)
    weighed = classifier.calibrate(pairs, labels, sample_weight=[1.0 if label else 20.0 for label in labels])
    assert weighed.probability(pairs).mean() < once.mean()


def test_a_calibration_that_fails_changes_nothing(saved: Path, encoder: SentenceEncoder) -> None:
    """Without near-misses neither probabilities nor threshold are touched."""
    classifier = ScopeClassifier.from_pretrained(saved, encoder.files)
    pairs, labels = world_pairs()
    before = classifier.calibration_, classifier.threshold_
    with pytest.raises(ValueError, match="near-misses"):
        classifier.calibrate(pairs, labels, near_misses=[False] * len(pairs))
    assert (classifier.calibration_, classifier.threshold_) == before


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
    with pytest.raises(CheckpointError, match=r"was trained on other-encoder.*give the encoder it was trained on"):
        ScopeClassifier.from_pretrained(folder, encoder.files)


@pytest.fixture(scope="module")
def other_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an encoder after XLM-R's fashion."""
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny")


def test_the_encoder_is_a_setting(other_encoder: Path, tmp_path: Path) -> None:
    """A classifier learns on, is saved without, and is loaded with an encoder that is not MiniLM."""
    pairs, labels = world_pairs()
    config = replace(QUICK, epochs=12, learning_rate=5e-3)
    fitted = ScopeClassifier(other_encoder).fit(pairs, labels, config).calibrate(pairs, labels, locality=0.9)
    auroc = fitted.evaluate(pairs, labels).auroc
    assert auroc is not None
    assert auroc > 0.6
    fitted.save_pretrained(tmp_path)
    loaded = ScopeClassifier.from_pretrained(tmp_path, other_encoder)
    assert np.array_equal(loaded.probability(pairs), fitted.probability(pairs))
    assert loaded.encoder.id.startswith("xlm-roberta-16-")


def test_classifier_and_encoder_must_fit(saved: Path, other_encoder: Path) -> None:
    """A classifier on another encoder is refused by a sentence that names both."""
    with pytest.raises(CheckpointError, match=r"trained on all-MiniLM-L6-v2-\w+, got xlm-roberta-16-\w+; give"):
        ScopeClassifier.from_pretrained(saved, other_encoder)
