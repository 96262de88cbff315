"""From logits to probabilities."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memedit.errors import CheckpointError
from memedit.scope import calibration as module
from memedit.scope.calibration import (
    CLIP,
    NO_OVERLAP,
    PAIRS_FOR_A_MAP,
    Calibration,
    calibration_by_form,
    fit_calibration,
)
from memedit.scope.overlap import SHARES


def _sample(scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits that overstate by `scale` how sure one can be, and labels."""
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, 4000)
    return honest * scale, (rng.random(4000) < 1 / (1 + np.exp(-honest))).astype(int)


def _all_shares(values: np.ndarray) -> np.ndarray:
    return np.column_stack([values] * SHARES)


def test_overconfident_logits_become_honest() -> None:
    """Among pairs given probability p, about a share p is in scope."""
    logits, labels = _sample(5.0)
    probability = fit_calibration(logits, labels)(logits)
    for low in np.arange(0, 1, 0.1):
        chosen = (probability >= low) & (probability < low + 0.1)
        if chosen.sum() > 100:
            assert abs(probability[chosen].mean() - labels[chosen].mean()) < 0.06


QUESTION, STATEMENT, BEGINNING = "Who runs Acme?", "Dana Reyes runs Acme.", "Acme is run by"


def test_few_pairs_prove_little() -> None:
    """Ten pairs that a logit parts without an error leave a doubt of one in seven, as five of each may."""
    calibration = fit_calibration([-8.0] * 5 + [8.0] * 5, [0] * 5 + [1] * 5)
    assert calibration.method == "platt"
    assert calibration([-8.0, 8.0]) == pytest.approx([1 / 7, 6 / 7], abs=0.01)


def test_each_form_of_edit_has_honest_probabilities() -> None:
    """Where logits of passages mean less than those of questions, each has the map that is true of it."""
    parts = {QUESTION: _sample(1.0), STATEMENT: _sample(5.0), BEGINNING: _sample(2.0)}
    wordings = [wording for wording, (logits, _) in parts.items() for _ in logits]
    logits, labels = (np.concatenate([part[place] for part in parts.values()]) for place in (0, 1))
    calibration = calibration_by_form(wordings, logits, labels.tolist(), prior=0.5)
    assert set(calibration.by_form) == {"question", "statement"}
    for wording, scale in ((QUESTION, 1.0), (STATEMENT, 5.0), (BEGINNING, 2.0)):
        stated = calibration.of(scale * np.array([-1.0, 0.0, 1.0]), [wording] * 3, [NO_OVERLAP] * 3)
        assert stated == pytest.approx(1 / (1 + np.exp([1.0, 0.0, -1.0])), abs=0.05)
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration


def test_a_form_with_few_pairs_has_the_map_of_all() -> None:
    """A map learned from a few pairs would be noise, and one of a single class cannot be learned."""
    logits, labels = _sample(1.0)
    wordings = [STATEMENT] * (PAIRS_FOR_A_MAP - 1) + [QUESTION] * 1000
    wordings += [BEGINNING] * (len(logits) - len(wordings))
    labels[wordings.index(QUESTION) : wordings.index(BEGINNING)] = 0
    calibration = calibration_by_form(wordings, logits, labels.tolist())
    assert calibration.by_form == {}
    assert (calibration.of([0.3, 0.3], [STATEMENT, QUESTION], [NO_OVERLAP] * 2) == calibration([0.3, 0.3])).all()


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_what_overlap_is_worth_is_learned(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where shared words tell what the logit does not, probabilities follow both, else the logit alone."""
    monkeypatch.setattr(module, "METHODS", (method,))
    rng = np.random.default_rng(1)
    logits, shared = rng.normal(0, 2, 6000), rng.random((6000, SHARES))
    labels = (rng.random(6000) < 1 / (1 + np.exp(-(logits + shared @ [3, 0, 1] - 2)))).astype(int)
    calibration = fit_calibration(logits, labels, overlap=shared)
    assert calibration.overlap == pytest.approx((3.0, 0.0, 1.0), abs=0.5)
    assert calibration([0.0, 0.0], [[0, 0, 0], [1, 0, 1]]) == pytest.approx([0.12, 0.88], abs=0.05)
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration
    told_apart = fit_calibration(logits, (rng.random(6000) < 1 / (1 + np.exp(-logits))).astype(int), overlap=shared)
    assert max(told_apart.overlap) < 0.3


def test_few_pairs_do_not_tell_what_overlap_is_worth() -> None:
    """A weight learned from a few pairs would be noise."""
    logits, labels = (part[: PAIRS_FOR_A_MAP - 1] for part in _sample(1.0))
    assert fit_calibration(logits, labels, overlap=_all_shares(labels)).overlap == NO_OVERLAP


def test_overlap_that_speaks_against_an_edit_counts_for_nothing() -> None:
    """An edit is never held less likely because it has more of the query's words; the other shares count as alone."""
    logits, labels = _sample(1.0)
    assert fit_calibration(logits, labels, overlap=_all_shares(1.0 - labels)).overlap == NO_OVERLAP
    one, against = np.random.default_rng(0).random(len(labels)) + labels, 1.0 - labels
    alone = fit_calibration(logits, labels, overlap=np.column_stack((one, 0 * one, 0 * one)))
    beside = fit_calibration(logits, labels, overlap=np.column_stack((one, against, 0 * one)))
    assert alone.overlap[0] > 0
    assert beside.overlap == alone.overlap


@pytest.mark.parametrize(("known", "at_two"), [({}, 0.5), ({"coverage": 2.0}, 0.731)])
def test_a_calibration_of_an_early_version_is_read(known: dict[str, float], at_two: float) -> None:
    """A file that knows nothing of overlap, or one share only, gives what it gave."""
    values = Calibration("platt", coefficients=(0.5, -1.0)).to_json()
    del values["overlap"]
    assert Calibration.from_json({**values, **known})([2.0], [[1.0] * SHARES]) == pytest.approx([at_two], abs=1e-3)


def test_a_calibration_that_lacks_a_share_is_damaged() -> None:
    """What one of the shares is worth cannot be guessed."""
    values = Calibration("platt", coefficients=(0.5, -1.0)).to_json()
    with pytest.raises(CheckpointError, match="expected a calibration by one of"):
        Calibration.from_json({**values, "overlap": [1.0, 2.0]})


def test_a_map_of_an_unknown_form_is_refused() -> None:
    """A file that names a form that there is not is damaged."""
    values = fit_calibration(*_sample(1.0)).to_json()
    with pytest.raises(CheckpointError, match="unknown forms"):
        Calibration.from_json({**values, "by_form": {"riddle": values}})


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_probabilities_are_true_of_the_prior(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Learned from pairs half of which are in scope, they hold among pairs a tenth of which are."""
    monkeypatch.setattr(module, "METHODS", (method,))
    logits, labels = _sample(1.0)
    calibration = fit_calibration(logits, labels, prior=0.1)
    assert calibration.prior == 0.1
    rare = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[: (labels == 0).sum() // 9]])
    stated, true = calibration(logits[rare]), labels[rare]
    assert stated.mean() == pytest.approx(0.1, abs=0.01)
    for low, high in ((0.0, 0.1), (0.1, 0.4), (0.4, 1.0)):
        chosen = (stated >= low) & (stated < high)
        assert stated[chosen].mean() == pytest.approx(true[chosen].mean(), abs=0.05)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
@pytest.mark.parametrize("prior", [None, 0.25])
def test_a_weight_counts_as_so_many_pairs(method: str, prior: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of three give the map of pairs that are there three times, with a prior and without."""
    monkeypatch.setattr(module, "METHODS", (method,))
    logits, labels = _sample(1.0)
    weights = np.where((labels == 0) & (logits > 0), 3.0, 1.0)
    shared = np.random.default_rng(2).random((len(labels), SHARES))
    often = np.repeat(np.arange(len(labels)), weights.astype(int))
    weighed = fit_calibration(logits, labels, overlap=shared, prior=prior, sample_weight=weights)
    repeated = fit_calibration(logits[often], labels[often], overlap=shared[often], prior=prior)
    places = np.linspace(-5, 5, 50)
    assert abs(weighed(places, [0.5] * SHARES) - repeated(places, [0.5] * SHARES)).mean() < 0.01
    once = fit_calibration(logits, labels, overlap=shared, prior=prior)
    assert abs(weighed(places, [0.5] * SHARES) - once(places, [0.5] * SHARES)).max() > 0.1


def test_weights_go_with_their_pairs_into_each_form() -> None:
    """The map of a form is weighted by the weights of its own pairs."""
    logits, labels = _sample(1.0)
    both, wordings = np.tile(logits, 2), [STATEMENT] * len(logits) + [QUESTION] * len(logits)
    weights = np.concatenate([np.where(labels == 0, 9.0, 1.0), np.ones(len(labels))])
    calibration = calibration_by_form(wordings, both, np.tile(labels, 2).tolist(), sample_weight=weights)
    stated = calibration.of([0.0, 0.0], [STATEMENT, QUESTION], [NO_OVERLAP] * 2)
    assert stated == pytest.approx([0.1, 0.5], abs=0.03)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), [1.0, 2.0]])
def test_an_impossible_weight_is_refused(weight: float | list[float]) -> None:
    """Each pair has one positive weight."""
    with pytest.raises(ValueError, match="positive weight for each of 4000"):
        fit_calibration(*_sample(1.0), sample_weight=weight)


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.1, float("nan")])
def test_an_impossible_prior_is_refused(prior: float) -> None:
    """The prior is a share of pairs, neither none of them nor all."""
    with pytest.raises(ValueError, match="prior"):
        fit_calibration(*_sample(1.0), prior=prior)


def test_the_method_with_the_lower_held_out_loss_is_kept() -> None:
    """Both methods are tried and the losses that decided are recorded."""
    calibration = fit_calibration(*_sample(2.0))
    assert set(calibration.log_loss) == {"platt", "isotonic"}
    assert calibration.method == min(calibration.log_loss, key=calibration.log_loss.__getitem__)


@pytest.mark.parametrize(
    "calibration",
    [
        Calibration("platt", coefficients=(0.5, -1.0)),
        Calibration("isotonic", knots=((-2.0, 0.1), (0.0, 0.4), (3.0, 0.9)), prior=0.25),
    ],
)
def test_json_gives_the_same_calibration_back(calibration: Calibration) -> None:
    """A calibration survives JSON to the last bit."""
    again = Calibration.from_json(json.loads(json.dumps(calibration.to_json())))
    logits = np.linspace(-9, 9, 50)
    assert again == calibration
    assert np.array_equal(again(logits), calibration(logits))


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_a_higher_logit_is_never_less_probable(logits: list[float]) -> None:
    """Calibration keeps the order of the logits and stays within 0 and 1."""
    for calibration in (
        Calibration("platt", coefficients=(0.7, 0.2)),
        Calibration("isotonic", knots=((-2.0, 0.1), (3.0, 0.9))),
    ):
        found = calibration(sorted(logits))
        assert (np.diff(found) >= 0).all()
        assert ((found >= 0) & (found <= 1)).all()


LABELLED_LOGITS = st.lists(st.tuples(st.integers(-40, 40), st.booleans()), min_size=20, max_size=120).filter(
    lambda rows: min(sum(label for _, label in rows), sum(not label for _, label in rows)) >= 5
)


@pytest.fixture
def isotonic_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the isotonic method is tried."""
    monkeypatch.setattr(module, "METHODS", ("isotonic",))


@pytest.mark.usefixtures("isotonic_only")
def test_isotonic_calibration_rises_strictly() -> None:
    """Between the lowest and the highest logit seen no two logits get one probability."""

    @settings(deadline=None, max_examples=60)
    @given(LABELLED_LOGITS)
    def check(rows: list[tuple[int, bool]]) -> None:
        logits = [logit / 4 for logit, _ in rows]
        if len(set(logits)) == 1:
            return
        calibration = fit_calibration(logits, [label for _, label in rows])
        assert calibration.method == "isotonic"
        assert (np.diff(np.array(calibration.knots), axis=0) > 0).all()
        assert calibration.knots[0][0] <= min(logits)
        assert calibration.knots[-1][0] >= max(logits)
        found = calibration(np.linspace(min(logits), max(logits), 97))
        assert (np.diff(found) > 0).all()
        assert ((found >= CLIP) & (found <= 1 - CLIP)).all()

    check()


@pytest.mark.usefixtures("isotonic_only")
def test_plateaus_that_rounding_keeps_apart_are_one() -> None:
    """Two plateaus whose levels differ in the last bit only do not leave a stretch on which nothing rises."""
    inside = [-39, -35, -29, -29, -28, -27, -26, -26, -25, -24, -23, -22, -20, -13, -10, -5]
    inside += [0, 4, 5, 7, 15, 21, 26, 27, 30, 33, 35, 39]
    outside = [-38, -35, -33, -30, -29, -28, -27, -25, -16, -15, -12, -10, -10, -9, -3, -3]
    outside += [-1, -1, 7, 12, 15, 19, 24, 27, 28, 29, 32, 33, 37]
    logits = [*inside, *outside]
    calibration = fit_calibration(logits, [1] * len(inside) + [0] * len(outside))
    assert (np.diff(calibration(np.linspace(min(logits), max(logits), 97))) > 0).all()


@pytest.mark.usefixtures("isotonic_only")
def test_centres_of_plateaus_are_at_least_as_good_as_plateaus() -> None:
    """A strictly rising map stays near to the shares that are observed, also where they are no logistic curve."""
    rng = np.random.default_rng(2)
    logits = rng.uniform(-6, 6, 20_000)
    truth = np.where(logits > 0, 0.55 + logits * 0.07, 0.05)
    seen = fit_calibration(logits, (rng.random(20_000) < truth).astype(int))
    assert abs(seen(logits) - truth).mean() < 0.02


def test_shares_for_each_logit_are_expected() -> None:
    """Fewer shares than logits are not spread over them."""
    logits, labels = _sample(1.0)
    with pytest.raises(ValueError, match=r"3 finite shares for each of 4000 logits, got \(1, 3\)"):
        fit_calibration(logits, labels, overlap=[[0.5] * SHARES])


def test_certain_pairs_may_be_sure() -> None:
    """Of many pairs that lie far apart none is doubted for the sake of their number, nor is the curve endless."""
    calibration = fit_calibration([-8.0] * 300 + [8.0] * 300, [0] * 300 + [1] * 300)
    assert calibration([-8.0, 8.0]) == pytest.approx([0.0, 1.0], abs=2e-3)
    assert calibration([1.0])[0] < 0.9


def test_equal_logits_are_refused() -> None:
    """Logits that say nothing cannot be mapped to anything."""
    with pytest.raises(ValueError, match="logits that differ"):
        fit_calibration([1.5] * 20, [0, 1] * 10)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ([0.0] * 10, [1] * 9, "as many labels"),
        ([0.0] * 10, [1] * 10, "at least 5"),
        ([float("nan")] * 10, [0, 1] * 5, "finite"),
        ([0.0] * 10, [0, 2] * 5, "labelled"),
    ],
)
def test_unusable_samples_are_refused(logits: list[float], labels: list[int], message: str) -> None:
    """A sample that cannot teach a calibration gets one clear sentence."""
    with pytest.raises(ValueError, match=message):
        fit_calibration(logits, labels)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"method": "guess", "coefficients": [1, 2], "knots": [], "log_loss": {}, "pairs": 1},
        {"method": "platt", "coefficients": [1], "knots": [], "log_loss": {}, "pairs": 1},
        {"method": "platt", "coefficients": [1, float("inf")], "knots": [], "log_loss": {}, "pairs": 1},
        {"method": "platt", "coefficients": 3, "knots": [], "log_loss": {}, "pairs": 1},
    ],
)
def test_damaged_values_are_refused(values: dict[str, object]) -> None:
    """Values that are no calibration raise a checkpoint error."""
    with pytest.raises(CheckpointError, match="expected a calibration"):
        Calibration.from_json(values)
