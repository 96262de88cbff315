from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memedit.evaluation.answers import cut_answer, is_finished

ANSWERS = {
    " Paris. It is the capital of France.": "Paris",
    " Paris\nQuestion: What": "Paris",
    " Paris": "Paris",
    " J. R. R. Tolkien. He wrote": "J. R. R. Tolkien",
    " St. Louis. The city": "St. Louis",
    " Dr. Strange": "Dr. Strange",
    " Washington, D.C. The capital": "Washington, D.C",
    " the U.S. Army. It": "the U.S. Army",
    " Apple Inc. The company was": "Apple Inc",
    " Apple Inc. and others.": "Apple Inc. and others",
    " 3.5 percent. This": "3.5 percent",
    " 14 March 2021. It": "14 March 2021",
    " No. 5. Then": "No. 5",
    " 2. Bundesliga. It is": "2. Bundesliga",
    "1. FC Köln": "1. FC Köln",
    " 42. The answer": "42",
    " 1990. Born in": "1990",
    " No. It is not.": "No",
    " example.com. Go": "example.com",
    " 北京。他": "北京",
    " 京. 他": "京",
    " George W. Bush. He was": "George W. Bush",
    " vitamin C. It helps": "vitamin C",
    " Wait... what": "Wait",
    "\n Paris": "",
    "": "",
}


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_ends_with_its_sentence(text: str) -> None:
    """An answer ends at a newline or at a "." that ends a sentence, not at one inside a name."""
    assert cut_answer(text) == ANSWERS[text]


@pytest.mark.parametrize("text", ANSWERS)
def test_decoding_is_never_stopped_too_soon(text: str) -> None:
    """Whatever part of the text `is_finished` accepts has the answer of the whole text."""
    for length in range(len(text)):
        if is_finished(text[:length]):
            assert cut_answer(text[:length]) == ANSWERS[text]


@given(st.text(alphabet="aB .\n。5,", max_size=20), st.text(alphabet="aB .\n。5,", max_size=10))
def test_what_follows_a_finished_answer_does_not_change_it(text: str, more: str) -> None:
    """Once an answer is finished, no continuation changes it."""
    if is_finished(text):
        assert cut_answer(text + more) == cut_answer(text)


def test_a_finished_sentence_is_noticed() -> None:
    """A sentence with a word behind its "." is finished, an abbreviation may go on."""
    assert is_finished(" Paris. It")
    assert not is_finished(" Paris.")
    assert not is_finished(" J. R")
    assert is_finished(" Paris\n")
