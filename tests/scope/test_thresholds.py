"""The threshold for a stated locality."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memedit.scope.thresholds import (
    NEAR_MISSES_OF_A_FORM,
    Threshold,
    choose_by_form,
    choose_threshold,
    form_of,
    wilson_interval,
)

PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=60)


@given(PROBABILITIES, PROBABILITIES, st.floats(0.01, 1.0))
def test_the_threshold_keeps_the_stated_locality(
    near_misses: list[float], positives: list[float], locality: float
) -> None:
    """At least the stated share of near-misses is kept out, and the measured share is what it says."""
    threshold = choose_threshold(near_misses, positives, locality)
    assert (
        max(near_misses) == 1
        or threshold.measured_locality >= locality
        or np.isclose(threshold.measured_locality, locality)
    )
    assert threshold.measured_locality == np.mean(np.array(near_misses) < threshold.value)
    assert 0.5 <= threshold.value <= 1


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
    del early["locality_low"], early["locality_high"], early["by_form"]
    threshold = Threshold.from_json(early)
    assert (threshold.locality_low, threshold.locality_high) == (0.0, 1.0)
    assert threshold.by_form == {}


def test_a_threshold_of_an_unknown_form_is_refused() -> None:
    """A file that names a form that is not known is not read as if it said nothing of it."""
    values = choose_threshold([0.1], [0.9], 0.9).to_json()
    with pytest.raises(ValueError, match=r"got \['riddle'\]"):
        Threshold.from_json({**values, "by_form": {"riddle": values}})


def test_an_easy_task_does_not_lower_the_threshold() -> None:
    """An edit that is less likely than not never fires, or than what else is said to be the least."""
    assert choose_threshold([0.01, 0.02], [0.9], 0.9).value == 0.5
    assert choose_threshold([0.01, 0.02], [0.9], 0.9, lowest=0.25).value == 0.25


def test_no_threshold_keeps_out_an_edits_own_words() -> None:
    """Their probability is 1, which no threshold exceeds, even if a near-miss has it."""
    threshold = choose_threshold([1.0, 0.2], [1.0], 0.99)
    assert (threshold.value, threshold.measured_locality) == (1.0, 0.5)


@pytest.mark.parametrize("locality", [0.0, -1.0, 1.01])
def test_an_impossible_locality_is_refused(locality: float) -> None:
    """The stated locality is a share above zero, that of statements too, be there any or not."""
    with pytest.raises(ValueError, match="locality"):
        choose_threshold([0.1], [0.9], locality)
    with pytest.raises(ValueError, match="locality"):
        choose_by_form(["a", "b"], [0.1, 0.9], [False, True], [True, False], 0.9, localities={"statement": locality})


def test_a_locality_of_no_form_is_refused() -> None:
    """A misspelt form would leave its edits at the threshold of all others, unnoticed."""
    unknown: Any = {"statements": 0.8}
    with pytest.raises(ValueError, match="statements"):
        choose_by_form(["a", "b"], [0.1, 0.9], [False, True], [True, False], 0.9, localities=unknown)


WORDINGS = {"question": "Who runs Acme?", "statement": "Dana Reyes runs Acme.", None: "The head of Acme is"}
Sample = tuple[list[str], np.ndarray, np.ndarray]


def _sample(questions: int, statements: int, others: int) -> Sample:
    """Wordings, probabilities and labels; of each form as many near-misses as pairs in scope.

    The near-misses of questions are easier to tell than those of others, those of statements harder.
    """
    rng = np.random.default_rng(0)
    sizes = dict(zip(WORDINGS.values(), (questions, statements, others), strict=True))
    highest = dict(zip(WORDINGS.values(), (0.7, 0.98, 0.9), strict=True))
    wordings = [wording for wording, size in sizes.items() for _ in range(2 * size)]
    parts = [(rng.uniform(0.2, highest[w], size), rng.uniform(0.6, 1.0, size)) for w, size in sizes.items()]
    probabilities = np.concatenate([part for both in parts for part in both])
    labels = np.concatenate([np.repeat([False, True], size) for size in sizes.values()])
    return wordings, probabilities, labels


def test_each_form_has_a_threshold_of_its_own() -> None:
    """The stated locality is kept in each form of edit, and the easier form is let in more freely."""
    wordings, probabilities, labels = _sample(*[NEAR_MISSES_OF_A_FORM] * 3)
    threshold = choose_by_form(wordings, probabilities, labels, ~labels, 0.95)
    assert set(threshold.by_form) == {"question", "statement"}
    assert threshold.by_form["question"].value < 0.7 < threshold.value < threshold.by_form["statement"].value
    fires = probabilities >= threshold.of(wordings)
    for form in WORDINGS:
        rows = np.array([form_of(wording) == form for wording in wordings])
        assert np.isclose((~fires)[rows & ~labels].mean(), 0.95, atol=0.005)


def test_statements_may_have_a_locality_of_their_own() -> None:
    """Where it is stated apart, statements are let in more freely and nothing else changes."""
    wordings, probabilities, labels = _sample(*[NEAR_MISSES_OF_A_FORM] * 3)
    same = choose_by_form(wordings, probabilities, labels, ~labels, 0.95)
    apart = choose_by_form(wordings, probabilities, labels, ~labels, 0.95, {"statement": 0.8})
    assert apart.by_form["statement"].value < same.by_form["statement"].value
    assert apart.by_form["statement"].stated_locality == 0.8
    assert apart.by_form["question"] == same.by_form["question"]
    assert apart.value == same.value


FEW, MANY = NEAR_MISSES_OF_A_FORM - 1, 3 * NEAR_MISSES_OF_A_FORM


@pytest.mark.parametrize(
    ("sizes", "own"), [((FEW, 0, MANY), set()), ((MANY, 0, FEW), {"question"}), ((FEW, MANY, 0), {"statement"})]
)
def test_few_near_misses_of_a_form_are_decided_by_all(sizes: tuple[int, int, int], own: set[str]) -> None:
    """A form with too few near-misses has the threshold that is chosen on all, or on all of no form."""
    wordings, probabilities, labels = _sample(*sizes)
    threshold = choose_by_form(wordings, probabilities, labels, ~labels, 0.95)
    assert set(threshold.by_form) == own
    rows = np.array([form_of(wording) is None for wording in wordings]) | (sizes[2] != MANY)
    expected = choose_threshold(probabilities[rows & ~labels], probabilities[rows & labels], 0.95)
    assert replace(threshold, by_form={}) == expected


def test_json_gives_all_thresholds_back() -> None:
    """Threshold and evidence of each form survive JSON."""
    wordings, probabilities, labels = _sample(*[NEAR_MISSES_OF_A_FORM] * 3)
    threshold = choose_by_form(wordings, probabilities, labels, ~labels, 0.9)
    assert Threshold.from_json(json.loads(json.dumps(threshold.to_json()))) == threshold


@pytest.mark.parametrize(
    ("wording", "form"),
    [
        ("Who runs Acme?", "question"),
        ("Who runs Acme? ", "question"),
        ("Who runs Acme?\n", "question"),
        ("« Qui dirige Acme ?\u00a0»", "question"),
        ("「谁经营极致公司？」", "question"),
        ("Er fragte: „Wer leitet Acme?“", "question"),
        ("Ποιος διευθύνει την Acme;", "question"),
        ("Acme; Ltd;", None),
        ("谁经营极致公司？", "question"),
        ("Acme is run by Dana Reyes.", "statement"),
        ("Correction: Acme is run by Dana Reyes (not by her brother.)", "statement"),
        ('The board said: "Dana Reyes runs Acme!"', "statement"),
        ("极致公司由雷耶斯经营。", "statement"),
        ("The head of Acme is", None),
        ("who runs Acme", None),
        ("", None),
        ("ok so the allotment meeting moved to thursday, still half 6 but at Farida's, bring the seed lists and a mug, "
         "and the water is off till sunday", "statement"),
        ("Mum, don't go to Cluj, they have measles all over the place, 23 people already, and the pool closed too. "
         "Can you believe it?", "statement"),
    ],
)  # fmt: skip
def test_a_form_shows_in_the_last_mark(wording: str, form: str | None) -> None:
    """What is marked as a question or a sentence is one, whatever quotes follow; a long one states, however it ends."""
    assert form_of(wording) == form
