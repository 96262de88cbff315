"""Scores of single answers, against scores counted by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memedit.evaluation.answers import cut_answer
from memedit.evaluation.cases import Probe
from memedit.evaluation.fluency import n_gram_entropy
from memedit.evaluation.metrics import exact_match
from memedit.evaluation.scoring import (
    answer_tokens,
    contains_answer,
    exact_match_all,
    is_contained,
    is_exact,
    probe_f1,
    references,
    token_f1,
)

F1 = [
    # two of three predicted words, two of two wanted: 2 · (2/3 · 1) / (2/3 + 1)
    ("New York City", "New York", 0.8),
    (" the New York", "New York", 1.0),  # leading space and article count nothing
    ("York", "New York City", 0.5),
    ("Paris", "London", 0.0),
    ("", "London", 0.0),
    ("very very good", "very good", 0.8),  # a word counts as often as it stands there
    ("北京市", "北京", 0.8),  # characters, since there are no words
    ("東 京", "東京", 1.0),
    ("กรุงเทพ", "กรุงเทพ", 1.0),
    ("2021年", "2020年", 0.5),  # a number is one token
]


@pytest.mark.parametrize(("prediction", "answer", "expected"), F1)
def test_token_f1_by_hand(prediction: str, answer: str, expected: float) -> None:
    """F1 is over words after normalisation, over characters where the writing has no spaces."""
    assert token_f1(prediction, answer) == pytest.approx(expected)


def test_the_best_accepted_answer_counts() -> None:
    """With several accepted answers the one that fits best decides; with none nothing fits."""
    assert token_f1("the United States", ["USA", "United States of America"]) == pytest.approx(2 * 2 / (2 + 4))
    assert token_f1("Paris", []) == 0.0


@pytest.mark.parametrize(
    ("prediction", "answer", "expected"),
    [
        ("It is Paris, France", "Paris", True),
        ("Parish", "Paris", False),
        ("He moved to New York City", "new york", True),
        ("York New", "New York", False),
        ("他住在北京市", "北京", True),
        ("北", "北京", False),
        ("อยู่ที่กรุงเทพครับ", "กรุงเทพ", True),
        ("anything", "", False),
    ],
)
def test_containment_is_of_whole_words(prediction: str, answer: str, expected: bool) -> None:
    """An answer is contained as whole words in a row, in Chinese and Thai as characters in a row."""
    assert contains_answer(prediction, answer) is expected


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        ("Paris and New York City", True),
        ("NYC, Paris", True),
        ("Paris", False),
        ("Paris, New York City and Rome", False),
        ("Paris and Paris", False),
        ("", False),
    ],
)
def test_a_complete_answer_names_all_and_no_more(prediction: str, expected: bool) -> None:
    """Where every answer is wanted, each must stand there once, in any order, with nothing beside."""
    assert exact_match_all(prediction, [["Paris"], ["New York City", "NYC"]]) is expected


def test_complete_answers_of_which_one_is_part_of_another() -> None:
    """The shorter of two names is not found inside the longer, which is another wanted answer."""
    assert exact_match_all("New York City and New York", [["New York"], ["New York City"]])
    assert not exact_match_all("New York City", [["New York"], ["New York City"]])
    # Which name stands for which answer is found, whatever comes first.
    assert exact_match_all("Ann Lee, Ann", [["Ann Lee Smith", "Ann"], ["Ann Lee"]])
    assert exact_match_all("Ann and Ann Lee", [["Ann Lee Smith", "Ann"], ["Ann Lee"]])
    assert exact_match_all("Ann, Ann", [["Ann"], ["Ann"]])
    # What stands on both sides of a name is not one name.
    assert not exact_match_all("New Paris York", [["Paris"], ["New York"]])
    assert exact_match_all("上海和北京", [["北京"], ["上海"]])
    assert not exact_match_all("Paris", [])


def test_an_answer_with_parts_wants_all_of_them() -> None:
    """Where a probe names parts, every score is against all of them together."""
    probe = Probe("q", ("Paris", "NYC", "New York City"), parts=(("Paris",), ("NYC", "New York City")))
    assert is_exact("New York City, Paris", probe)
    assert not is_exact("Paris", probe)
    assert is_contained("first Paris, then NYC", probe)
    assert not is_contained("first Paris, then Rome", probe)
    # "Paris" of "Paris and NYC": precision 1, recall 1/3.
    assert probe_f1("Paris", probe) == pytest.approx(0.5)
    assert references(probe) == ("Paris and NYC",)


def test_a_free_answer_is_scored_with_its_leading_space_and_all_its_words() -> None:
    """The answer as a model writes it, space first and a sentence behind, is the whole target and no more."""
    said = cut_answer(" New York City. It has")
    assert exact_match(said, "New York City")
    assert not exact_match(said, "City")
    assert not exact_match(said, "New York")
    assert exact_match(cut_answer("北京。他"), "北 京")


@given(st.text(max_size=30), st.text(max_size=30))
def test_the_scores_are_ordered(prediction: str, answer: str) -> None:
    """What matches exactly is contained and has an F1 of 1, and F1 is the same in both directions."""
    if exact_match(prediction, answer) and answer_tokens(answer):
        assert contains_answer(prediction, answer)
        assert token_f1(prediction, answer) == 1.0
    assert token_f1(prediction, answer) == pytest.approx(token_f1(answer, prediction))
    assert 0.0 <= token_f1(prediction, answer) <= 1.0


def test_n_gram_entropy_by_hand() -> None:
    """The entropies of bigrams and trigrams are weighted 2/3 and 4/3 and halved, as ROME does."""
    # Three bigrams, two trigrams, all different: log2(3) and log2(2).
    assert n_gram_entropy("one two three four") == pytest.approx((2 / 3 * 1.584962500721156 + 4 / 3 * 1.0) / 2)
    assert n_gram_entropy("yes yes yes yes yes") == 0.0
    assert n_gram_entropy("too short") is None
    assert n_gram_entropy("我爱北京") is not None
