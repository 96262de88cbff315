"""The words of a text, in whatever writing."""

from __future__ import annotations

import re
import unicodedata

NO_SPACES = re.compile(
    r"[\u2e80-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"  # Chinese, Japanese
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai and Lao, Burmese, Khmer
    r"\U00020000-\U0003ffff]"  # rare Chinese characters, as in names
)
"""One character of a writing that puts no spaces between words."""
_UNSPACED = NO_SPACES.pattern[1:-1]
WORD = re.compile(rf"(?=\w)[{_UNSPACED}]|[^\W{_UNSPACED}]+")
"""A word, or a character of a writing without spaces."""


def words_of(text: str) -> frozenset[str]:
    """The words of a text, case apart; of a writing without spaces its characters."""
    return frozenset(WORD.findall(unicodedata.normalize("NFC", text).casefold()))


def names_of(text: str) -> frozenset[str]:
    """Words that look like names: with a digit, or with a capital letter behind the first word."""
    words = WORD.findall(unicodedata.normalize("NFC", text))
    return frozenset(
        word.casefold()
        for place, word in enumerate(words)
        if any(map(str.isdigit, word)) or (place > 0 and word[0].isupper())
    )
