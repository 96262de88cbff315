"""The words and sentences of a text, in whatever writing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from difflib import SequenceMatcher

NO_SPACES = re.compile(
    r"[\u2e80-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"  # Chinese, Japanese
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai and Lao, Burmese, Khmer
    r"\U00020000-\U0003ffff]"  # rare Chinese characters, as in names
)
"""One character of a writing that puts no spaces between words."""
_UNSPACED = NO_SPACES.pattern[1:-1]
WORD = re.compile(rf"(?=\w)[{_UNSPACED}]|[^\W{_UNSPACED}]+")
"""A word, or a character of a writing without spaces."""
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
_SHORTEST_QUESTION = 8
"""Characters under which a last sentence ("Thanks!") asks nothing."""

_BEGINNING = re.compile(
    r"(?:^|[!?:\n。！？]|(?<!\b[A-Z])(?<!\b[A-Z]\w)(?<!\b[A-Z]\w\w)\.)"  # not behind "J.", "St." or "Rev."
    r"[^\w,;]*$"
)
"""What stands before the first word of a sentence."""
_SYMBOLS = ("So", "Sc", "Sm", "Sk")
_ALIKE = 0.6
"""Twice the letters that two words share in their order, over those that they have, from which on they look alike."""
_LOOKED_AT = 12
"""Characters before a word among which its sentence's beginning is looked for."""


def words_of(text: str) -> frozenset[str]:
    """The words of a text, case apart; of a writing without spaces its characters."""
    return frozenset(WORD.findall(unicodedata.normalize("NFC", text).casefold()))


def last_sentence(query: str) -> str | None:
    """The sentence with which a query of several sentences ends; None if it has but one."""
    sentences = [part for part in SENTENCE_END.split(query.strip()) if part]
    if len(sentences) < 2 or len(sentences[-1]) < _SHORTEST_QUESTION:
        return None
    return sentences[-1]


def names_of(text: str, *, is_rare: Callable[[str], bool] = lambda _: False) -> frozenset[str]:
    """Words that look like names: with a digit, or of several letters with a capital inside a sentence.

    In a text all in capitals these tell nothing.

    Args:
        text: The text.
        is_rare: Whether a word, in small letters, is so rare that its capital tells something where a sentence begins
            as well.
    """
    text = unicodedata.normalize("NFC", text)
    has_small_letters = any(map(str.islower, text))

    def is_name(word: str, place: int) -> bool:
        if any(map(str.isdigit, word)):
            return True
        if not has_small_letters or len(word) == 1 or not word[0].isupper():
            return False
        return is_rare(word.casefold()) or not _begins_sentence(text, place)

    return frozenset(word[0].casefold() for word in WORD.finditer(text) if is_name(word[0], word.start()))


class SharedNames:
    """The names that a query and the wording nearest to it share, read once for all that is compared with them."""

    def __init__(self, query: str, nearest: str) -> None:
        """Read both texts."""
        self._asked, self._told = words_of(query), words_of(nearest)
        # The query's capitals count only where the wording has none: some write all in capitals.
        self._names = (names_of(nearest) or names_of(query)) & self._asked & self._told

    def are_in(self, wording: str) -> bool:
        """Whether a wording has at least half of them.

        Or another name of the query's: who asks for two things at once may mean either.
        """
        return 2 * len(self._names & words_of(wording)) >= len(self._names) or bool(
            names_of(wording) & self._asked - self._names
        )

    def are_replaced_in(self, wording: str) -> bool:
        """Whether a wording has, in the place of one of them, a word that looks like it.

        A classifier that reads over slips of the pen takes Anna Petersen for Anna Peterson.
        """
        found = words_of(wording)
        lacking, strange = self._names - found, found - self._asked - self._told
        return any(SequenceMatcher(None, name, word).ratio() >= _ALIKE for name in lacking for word in strange)


def symbols_of(text: str) -> frozenset[str]:
    """Emoji, signs of currencies and the like: an encoder may not know them, and read all of them as the same."""
    return frozenset(letter for letter in text if unicodedata.category(letter) in _SYMBOLS)


def _begins_sentence(text: str, place: int) -> bool:
    return _BEGINNING.search(text, max(0, place - _LOOKED_AT), place) is not None
