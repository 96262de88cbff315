from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memedit.evaluation.metrics import (
    auroc,
    exact_match,
    expected_calibration_error,
    normalize_answer,
    share,
)

EQUAL = [
    (" Paris", "Paris"),
    ("the United States", "United States"),
    ("New York City", "new york city"),
    ("J. R. R. Tolkien", "J R R Tolkien"),
    ("14 March, 2021", "14 March 2021"),
    ("Besanc\u0327on", "Besançon"),
    ("北 京。", "北京"),
    ("トヨタ 自動車", "トヨタ自動車"),
    ("𠮷 田", "𠮷田"),
    ("“Paris”", "Paris"),
    ("$5", "5"),
]
DIFFERENT = [
    ("Paris, France", "Paris"),
    ("New York", "New York City"),
    ("Parish", "Paris"),
    ("", "Paris"),
    ("the", "A"),
    ("北京", "南京"),
    ("", ""),
]


@pytest.mark.parametrize(("prediction", "answer"), EQUAL)
def test_equal_answers_match(prediction: str, answer: str) -> None:
    """Case, punctuation, articles, leading spaces and spaces between Chinese characters count nothing."""
    assert exact_match(prediction, answer)


@pytest.mark.parametrize(("prediction", "answer"), DIFFERENT)
def test_different_answers_do_not_match(prediction: str, answer: str) -> None:
    """A part of an answer, a longer one, or none at all does not match."""
    assert not exact_match(prediction, answer)


def test_any_accepted_answer_will_do() -> None:
    """With several accepted answers one is enough."""
    assert exact_match("USA", ["United States", "the U.S.A."])
    assert not exact_match("UK", ["United States", "the U.S.A."])
    assert not exact_match("UK", [])


@given(st.text(max_size=30))
def test_normalising_twice_changes_nothing(text: str) -> None:
    """A normalised answer is its own normal form, except for bare articles."""
    once = normalize_answer(text)
    assert normalize_answer(once) == once or once in ("a", "an", "the") or not once.isascii()


def test_share_of_nothing_is_unknown() -> None:
    """A share over no questions is None, never zero or one."""
    assert share([]) is None
    assert share([True, False, True, True]) == 0.75


def test_calibration_error_by_hand() -> None:
    """The calibration error is the size-weighted gap between stated and observed, per bin."""
    # Bin of 0.9: stated 0.9, observed 1/2, two of three; bin of 0.1: stated 0.1, observed 0.
    found = expected_calibration_error([0.9, 0.9, 0.1], [True, False, False])
    assert found == pytest.approx((2 * 0.4 + 1 * 0.1) / 3)
    assert expected_calibration_error([1.0, 0.0], [True, False]) == 0.0
    assert expected_calibration_error([], []) is None


def test_gaps_of_one_bin_do_not_hide_in_another() -> None:
    """Too high in one bin and too low in another do not cancel out."""
    assert expected_calibration_error([0.99, 0.01], [False, True]) == pytest.approx(0.99)


def test_auroc_by_hand() -> None:
    """The area is the share of pairs in the right order, ties counting half."""
    assert auroc([0.9, 0.5], [0.5, 0.1]) == pytest.approx(3.5 / 4)
    assert auroc([], [0.5]) is None
    assert auroc([0.5], []) is None
