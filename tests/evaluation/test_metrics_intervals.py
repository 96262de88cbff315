"""Confidence intervals of shares."""

from __future__ import annotations

import numpy as np
import pytest

from memedit.evaluation.intervals import interval


def test_the_interval_of_independent_outcomes_is_the_binomial_one() -> None:
    """With one question for each edit the interval is that of the binomial distribution."""
    found = interval([(str(number), number < 80) for number in range(100)])
    assert found is not None
    assert found.value == 0.8
    # 0.8 ± 1.96 · sqrt(0.8 · 0.2 / 100)
    assert found.low == pytest.approx(0.72, abs=0.015)
    assert found.high == pytest.approx(0.88, abs=0.015)
    assert (found.n, found.edits) == (100, 100)


def test_questions_of_one_edit_hang_together() -> None:
    """Ten questions for each edit that all agree tell no more than one question for each."""
    single = interval([(str(edit), edit < 15) for edit in range(20)])
    tenfold = interval([(str(edit), edit < 15) for edit in range(20) for _ in range(10)])
    assert single is not None
    assert tenfold is not None
    assert (tenfold.low, tenfold.high) == (single.low, single.high)
    assert (tenfold.n, tenfold.edits) == (200, 20)


def test_questions_of_no_edit_stand_alone() -> None:
    """Questions that belong to no edit count one by one."""
    found = interval([(None, True), (None, False), (None, True)])
    assert found is not None
    assert found.edits == 3


def test_where_all_agree_the_sample_size_still_shows() -> None:
    """25 of 25 may come from 0.87, none of 25 from 0.13, and one edit alone tells next to nothing."""
    all_right, none_right = (interval([(str(n), right) for n in range(25)]) for right in (True, False))
    assert all_right is not None
    assert none_right is not None
    assert (all_right.low, all_right.high) == (pytest.approx(0.867, abs=1e-3), 1.0)
    assert (none_right.low, none_right.high) == (0.0, pytest.approx(0.133, abs=1e-3))
    alone = interval([("a", True), ("a", False)])
    assert alone is not None
    assert alone.low < 0.1
    assert alone.high > 0.9


def test_the_true_share_is_covered_as_often_as_stated() -> None:
    """Of 300 samples of edits whose questions share a fate, about 95 % have the true share in their interval."""
    draw = np.random.default_rng(7)
    covered = 0
    for _ in range(300):
        shares = draw.beta(4, 2, size=60)  # each edit has a share of its own; the mean is 2/3
        right = draw.binomial(3, shares)
        found = interval([(str(edit), n < right[edit]) for edit in range(60) for n in range(3)])
        assert found is not None
        covered += found.low <= 2 / 3 <= found.high
    assert 0.91 <= covered / 300 <= 0.98


def test_the_same_outcomes_give_the_same_interval() -> None:
    """The drawing is seeded, and the order of the edits does not matter."""
    outcomes = [(str(number % 30), number % 4 == 0) for number in range(90)]
    assert interval(outcomes) == interval(list(reversed(outcomes)))
    assert interval([]) is None


def test_numbers_have_intervals_too() -> None:
    """A mean F1 is treated as a share is."""
    found = interval([("a", 0.5), ("b", 1.0), ("c", 0.0), ("d", 0.5)])
    assert found is not None
    assert found.value == 0.5
    assert 0 <= found.low < 0.5 < found.high <= 1
