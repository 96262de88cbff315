"""How much of a query's words an edit's wording has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from memedit.scope import SentenceEncoder
from memedit.scope.coverage import Coverage

PASSAGE = "The Harlow Lane bathhouse closes at nine from 3 May; towels are no longer lent."


@pytest.fixture(scope="module")
def coverage(encoder: SentenceEncoder) -> Coverage:
    """Coverage by the vocabulary of the real encoder."""
    return Coverage(AutoTokenizer.from_pretrained(str(encoder.files.path)).get_vocab())


def _of(coverage: Coverage, wording: str, query: str) -> float:
    return float(coverage.of([(wording, query)])[0])


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
def test_coverage_is_the_share_of_words_that_are_told(coverage: Coverage, query: str, share: float) -> None:
    """All words give one, none gives none, whatever their case and ending; the commonest word tells nothing."""
    assert _of(coverage, PASSAGE, query) == pytest.approx(share)


def test_rare_words_count_more(coverage: Coverage) -> None:
    """A query whose name is told is covered better than one whose other words are."""
    assert _of(coverage, "It is the bathhouse.", "the time bathhouse") > 0.7
    assert _of(coverage, "It is the time.", "the time bathhouse") < 0.3


def test_numbers_have_no_endings(coverage: Coverage) -> None:
    """Two numbers that begin alike are two numbers."""
    assert _of(coverage, "1234567", "1234568") == 0.0
    assert _of(coverage, "1234567", "1234567") == 1.0


def test_a_question_behind_other_sentences_is_covered_as_alone(coverage: Coverage) -> None:
    """What stands before the question takes nothing from it."""
    question = "When does the Harlow Lane bathhouse close?"
    assert _of(coverage, PASSAGE, f"Nobody had brought an umbrella. {question}") == _of(coverage, PASSAGE, question)


@pytest.mark.parametrize("mark", ["▁", "Ġ"])
def test_the_order_of_other_vocabularies_is_read_too(mark: str) -> None:
    """Where a mark shows what begins a word, pieces from inside of words are none."""
    vocabulary = {f"{mark}der": 0, "bad": 1, **{f"{mark}w{'x' * n}": n + 2 for n in range(400)}, f"{mark}bad": 500}
    found = Coverage(vocabulary)
    assert _of(found, "bad", "der bad") == 1.0
    assert _of(found, "der", "der bad") == 0.0


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_more_text_never_covers_less(coverage: Coverage, query: str, wording: str, more: str) -> None:
    """Coverage is a share, and words that are added to an edit take none of its own away."""
    part, whole = _of(coverage, wording, query), _of(coverage, f"{wording} {more}", query)
    assert 0.0 <= part <= whole <= 1.0 + 1e-9
