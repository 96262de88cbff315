"""The threshold for a stated locality."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memedit.scope.thresholds import (
    NEAR_MISSES_OF_A_FORM,
    Threshold,
    choose_by_form,
    choose_threshold,
    questions_among,
    wilson_interval,
)

PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=60)


@given(PROBABILITIES, PROBABILITIES, st.floats(0.01, 1.0))
def test_the_threshold_keeps_the_stated_locality(
    near_misses: list[float], positives: list[float], locality: float
) -> None:
    """At least the stated share of near-misses is kept out, and the measured share is what it says."""
    threshold = choose_threshold(near_misses, positives, locality)
    assert threshold.measured_locality >= locality or np.isclose(threshold.measured_locality, locality)
    assert threshold.measured_locality == np.mean(np.array(near_misses) < threshold.value)
    assert threshold.value >= 0.5


def test_few_near_misses_give_a_wide_interval() -> None:
    """Twenty-five near-misses that were all kept out do not show that 99 in 100 are."""
    threshold = choose_threshold([0.1] * 25, [0.9] * 25, 0.99)
    assert threshold.measured_locality == 1.0
    assert threshold.locality_low == pytest.approx(0.867, abs=0.001)
    assert threshold.locality_high == 1.0


@given(st.integers(1, 5000), st.floats(0, 1))
def test_an_interval_holds_its_own_share(trials: int, share: float) -> None:
    """The share that was observed lies within its interval, and the interval within 0 and 1."""
    successes = round(trials * share)
    low, high = wilson_interval(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (2, 1), (-1, 3)])
def test_an_impossible_share_is_refused(successes: int, trials: int) -> None:
    """An interval needs trials, and no more successes than these."""
    with pytest.raises(ValueError, match="successes among"):
        wilson_interval(successes, trials)


def test_evidence_of_early_versions_is_read() -> None:
    """A threshold that was saved without interval claims none, and is that of all edits."""
    early = choose_threshold([0.1], [0.9], 0.9).to_json()
    del early["locality_low"], early["locality_high"], early["questions"]
    threshold = Threshold.from_json(early)
    assert (threshold.locality_low, threshold.locality_high) == (0.0, 1.0)
    assert threshold.questions is None


def test_an_easy_task_does_not_lower_the_threshold() -> None:
    """An edit that is less likely than not never fires."""
    assert choose_threshold([0.01, 0.02], [0.9], 0.9).value == 0.5


@pytest.mark.parametrize("locality", [0.0, -1.0, 1.01])
def test_an_impossible_locality_is_refused(locality: float) -> None:
    """The stated locality is a share above zero."""
    with pytest.raises(ValueError, match="locality"):
        choose_threshold([0.1], [0.9], locality)


def _sample(questions: int, others: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Wordings, probabilities and labels: near-misses of questions are easier to tell than those of others."""
    rng = np.random.default_rng(0)
    wordings = ["Who runs Acme?"] * 2 * questions + ["The head of Acme is"] * 2 * others
    misses = [rng.uniform(0.0, 0.7, questions), rng.uniform(0.2, 0.9, others)]
    hits = [rng.uniform(0.6, 1.0, questions), rng.uniform(0.6, 1.0, others)]
    probabilities = np.concatenate([misses[0], hits[0], misses[1], hits[1]])
    labels = np.repeat([False, True, False, True], [questions, questions, others, others])
    return wordings, probabilities, labels


def test_questions_have_a_threshold_of_their_own() -> None:
    """The stated locality is kept in each form of edit, and the easier form is let in more freely."""
    wordings, probabilities, labels = _sample(NEAR_MISSES_OF_A_FORM, 2 * NEAR_MISSES_OF_A_FORM)
    threshold = choose_by_form(wordings, probabilities, labels, ~labels, 0.95)
    assert threshold.questions is not None
    assert threshold.questions.value < 0.7 < threshold.value
    assert threshold.questions.near_misses + threshold.near_misses == (~labels).sum()
    fires = probabilities >= threshold.of(wordings)
    for form in (questions_among(wordings), ~questions_among(wordings)):
        assert np.isclose((~fires)[form & ~labels].mean(), 0.95, atol=0.005)


@pytest.mark.parametrize("sizes", [(NEAR_MISSES_OF_A_FORM - 1, 900), (900, NEAR_MISSES_OF_A_FORM - 1)])
def test_few_near_misses_of_a_form_share_one_threshold(sizes: tuple[int, int]) -> None:
    """A form with too few near-misses is decided by the threshold of all."""
    wordings, probabilities, labels = _sample(*sizes)
    threshold = choose_by_form(wordings, probabilities, labels, ~labels, 0.95)
    assert threshold == choose_threshold(probabilities[~labels], probabilities[labels], 0.95)
    assert set(threshold.of(wordings)) == {threshold.value}


def test_json_gives_both_thresholds_back() -> None:
    """Threshold and evidence of either form survive JSON."""
    wordings, probabilities, labels = _sample(NEAR_MISSES_OF_A_FORM, NEAR_MISSES_OF_A_FORM)
    threshold = choose_by_form(wordings, probabilities, labels, ~labels, 0.9)
    assert Threshold.from_json(json.loads(json.dumps(threshold.to_json()))) == threshold


@pytest.mark.parametrize(
    ("wording", "is_question"),
    [
        ("Who runs Acme?", True),
        ("Who runs Acme? ", True),
        ("谁经营极致公司？", True),
        ("The head of Acme is", False),
        ("Acme is run by Dana Reyes.", False),
        ("who runs Acme", False),
        ("", False),
    ],
)
def test_a_question_ends_with_its_mark(wording: str, is_question: bool) -> None:
    """Only what is marked as a question counts as one, so that the more careful threshold holds in doubt."""
    assert questions_among([wording]).tolist() == [is_question]
