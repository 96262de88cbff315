"""How much of a query's words and names an edit's wording has, and the other way round."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from memedit.scope import SentenceEncoder
from memedit.scope.overlap import Overlap

PASSAGE = "The Harlow Lane bathhouse closes at nine from 3 May; towels are no longer lent."


@pytest.fixture(scope="module")
def overlap(encoder: SentenceEncoder) -> Overlap:
    """Overlap by the vocabulary of the real encoder."""
    return Overlap(AutoTokenizer.from_pretrained(str(encoder.files.path)).get_vocab())


def _words(overlap: Overlap, wording: str, query: str) -> float:
    """The share of the query's words."""
    return float(overlap.of([(wording, query)])[0, 0])


def _names(overlap: Overlap, wording: str, query: str) -> tuple[float, float]:
    """The shares of the query's names and of the wording's."""
    _, asked, told = overlap.of([(wording, query)])[0]
    return float(asked), float(told)


@pytest.mark.parametrize(
    ("query", "share"),
    [
        ("HARLOW LANE BATHHOUSE towels", 1.0),
        ("Kelver bridge toll", 0.0),
        ("the", 0.0),
        ("", 0.0),
        ("harlow lane bathhouse closed", 1.0),  # another form of a word that it has
    ],
)
def test_words_are_shared_whatever_their_form(overlap: Overlap, query: str, share: float) -> None:
    """All words give one, none gives none, whatever their case and ending; the commonest word tells nothing."""
    assert _words(overlap, PASSAGE, query) == pytest.approx(share)


def test_rare_words_count_more(overlap: Overlap) -> None:
    """A query whose name is told has more in common than one whose other words are."""
    assert _words(overlap, "It is the bathhouse.", "the time bathhouse") > 0.7
    assert _words(overlap, "It is the time.", "the time bathhouse") < 0.3


def test_numbers_have_no_endings_and_no_misprints(overlap: Overlap) -> None:
    """Two numbers that begin alike, or differ by a digit, are two numbers."""
    assert _words(overlap, "1234567", "1234568") == 0.0
    assert _words(overlap, "1234567", "1234567") == 1.0
    assert _names(overlap, "The K4127 lands", "The K4128 lands") == (0.0, 0.0)


def test_a_question_behind_other_sentences_is_read_as_alone(overlap: Overlap) -> None:
    """What stands before the question takes nothing from it."""
    question = "When does the Harlow Lane bathhouse close?"
    behind = f"Nobody had brought Kevin an umbrella. {question}"
    assert overlap.of([(PASSAGE, behind)]).tolist() == overlap.of([(PASSAGE, question)]).tolist()


@pytest.mark.parametrize(
    ("wording", "query", "asked", "told"),
    [
        ("Who is the mother of Edward Randolph?", "Who is the mother of Edward Randolph?", 1.0, 1.0),
        ("Who is the mother of Zyrenna?", "Who is the mother of Quossel?", 0.0, 0.0),
        ("Who is the mother of Zyrenna?", "who is the mother of quossel", 1.0, 0.0),  # nothing looks like a name
        ("Who is the mother of Zyrenna Quossel?", "Who is Quossel's mother?", 1.0, 0.5),
        ("the weather forecast", "the weather forecast", 1.0, 1.0),
        ("Zyrenna, by", "Quossel was written by", 0.0, 0.0),  # a rare word where a sentence begins
        ("They were written by", "You wrote", 1.0, 1.0),
        ("Who is the mother of Zyrenna?", "Who is the mother of Zyrena?", 0.8, 0.8),  # a letter is missing
        ("Who is the mother of Zyrenna?", "who is the mother of zyrnena", 1.0, 0.8),
        ("Who is the mother of Zyrenna?", "Who is the mother of Zyrennadel?", 0.0, 0.0),
    ],
)
def test_names_tell_what_the_other_lacks(overlap: Overlap, wording: str, query: str, asked: float, told: float) -> None:
    """Exchanged names are shared by neither side, misspelt ones count less, and of no names all are there."""
    assert _names(overlap, wording, query) == pytest.approx((asked, told))


def test_a_word_of_the_vocabulary_is_not_misspelt(overlap: Overlap) -> None:
    """Who writes "house" does not mean "horse", but who writes "hrose" may."""
    assert _words(overlap, "horse", "house") == 0.0
    assert _words(overlap, "horse", "hrose") == pytest.approx(0.8)


@pytest.mark.parametrize("mark", ["▁", "Ġ"])
def test_the_order_of_other_vocabularies_is_read_too(mark: str) -> None:
    """Where a mark shows what begins a word, pieces from inside of words are none."""
    vocabulary = {f"{mark}der": 0, "bad": 1, **{f"{mark}w{'x' * n}": n + 2 for n in range(400)}, f"{mark}bad": 500}
    found = Overlap(vocabulary)
    assert _words(found, "bad", "der bad") == 1.0
    assert _words(found, "der", "der bad") == 0.0


def test_no_pairs_have_no_shares(overlap: Overlap) -> None:
    """Of no pairs there are three empty columns."""
    assert overlap.of([]).shape == (0, 3)


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_more_text_never_covers_less(overlap: Overlap, query: str, wording: str, more: str) -> None:
    """All are shares, and words that are added to an edit take none of the query's away."""
    part, whole = overlap.of([(wording, query), (f"{wording} {more}", query)])
    assert (np.stack((part, whole)) >= 0).all()
    assert (np.stack((part, whole)) <= 1 + 1e-9).all()
    assert part[0] <= whole[0] + 1e-9


@given(st.text(max_size=60), st.text(max_size=60))
def test_pairs_are_read_apart(overlap: Overlap, wording: str, query: str) -> None:
    """A pair has the shares that it has alone, whatever else is read with it."""
    together = overlap.of([(PASSAGE, query), (wording, query), (wording, "Harlow Lane?")])
    assert together[1].tolist() == overlap.of([(wording, query)])[0].tolist()
