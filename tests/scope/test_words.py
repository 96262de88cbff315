"""The words of a text."""

from __future__ import annotations

import pytest

from memedit.scope.words import names_of, words_of


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
        ("It closed. The mayor of Bray left! (Nobody knew:) She", {"bray"}),
        ("", set()),
    ],
)
def test_names_are_told_by_capitals_and_digits(text: str, names: set[str]) -> None:
    """A capital at the beginning of a sentence says nothing, nor does a single letter."""
    assert names_of(text) == names
