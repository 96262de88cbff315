"""The words of a text."""

from __future__ import annotations

import pytest

from memedit.scope.words import SharedNames, names_of, symbols_of, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Who runs Acme's plant No. 7?", {"who", "runs", "acme", "s", "plant", "no", "7"}),
        ("WER LEITET Zürich-Süd", {"wer", "leitet", "zürich", "süd"}),
        ("Zu\u0308rich", {"zürich"}),
        ("谁是Acme的主管？", {"谁", "是", "acme", "的", "主", "管"}),
        ("", set()),
        (" .?! ", set()),
    ],
)
def test_words_are_told_apart_in_any_writing(text: str, words: set[str]) -> None:
    """Case and Unicode composition do not count; without spaces every character is a word."""
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Who runs Acme's plant No. 7?", {"acme", "no", "7"}),
        ("Acme is run by", set()),
        ("the X100 costs", {"x100"}),
        ("3M makes", {"3m"}),
        ("Where I live, George W. Bush met St. Anne", {"george", "bush", "st", "anne"}),
        ("WHO RUNS ACME IN 2021?", {"2021"}),
        ("It closed. The mayor of Bray left! (Nobody knew:) She", {"bray"}),
        ("", set()),
    ],
)
def test_names_are_told_by_capitals_and_digits(text: str, names: set[str]) -> None:
    """A capital at the beginning of a sentence says nothing, nor does a single letter or one among capitals."""
    assert names_of(text) == names


def test_a_rare_word_is_a_name_where_a_sentence_begins() -> None:
    """Whoever knows which words are rare tells a name from any other first word, but for its capital."""
    rare = {"acme", "runs"}.__contains__
    assert names_of("Acme is run by", is_rare=rare) == {"acme"}
    assert names_of("Who runs it? Acme does.", is_rare=rare) == {"acme"}
    assert names_of("acme runs", is_rare=rare) == set()


@pytest.mark.parametrize(
    ("query", "wording", "other", "is_another"),
    [
        ("Who is Anna Petersen?", "Tell me who Anna Petersen is", "Tell me who Anna Peterson is", True),
        ("Who is Anna Petersen?", "Tell me who Anna Petersen is", "Peterson is", True),
        ("Who is Anna Petersen?", "Tell me who Anna Petersen is", "Who is Petersen?", False),
        ("who is anna petersen", "Who is Anna Petersen?", "Who is Anna Peterson?", True),
        ("Who leads Acme?", "The head of Acme is", "Acme is led by", False),
        ("Who is Orla Venn?", "Tell me who Orla Venn is", "Say who Orla is when asked", False),
        ("What is new in the Galaxy S22?", "The Galaxy S22 has", "The Galaxy S23 has", True),
        ("Who won in 2021?", "The winner in 2021 was", "The winner in 2022 was", True),
    ],
)
def test_another_name_in_the_place_of_one_is_seen(query: str, wording: str, other: str, is_another: bool) -> None:
    """A name left out is no other name; one that looks like it is, with or without capitals."""
    assert SharedNames(query, wording).are_replaced_in(other) == is_another


def test_symbols_are_no_punctuation() -> None:
    """Emoji and signs of currencies are symbols; letters, digits and marks of sentences are none."""
    assert symbols_of("Is 5 € (or $5?) – “cheap” 🙃, isn't it: 100%!") == {"€", "$", "🙃"}
