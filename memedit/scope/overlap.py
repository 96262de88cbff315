"""How much of what a query names an edit's wording has as well, and the other way round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log1p

import numpy as np
from numpy.typing import NDArray

from memedit.scope.words import last_sentence, names_of, words_of

SHARES = 3
"""How many numbers `Overlap.of` gives for a pair."""
_COMMON = 50
"""So many words of a vocabulary are about as common as "the" and "who": they tell little of what is meant."""
_RARE = 1_000
"""So many words of a vocabulary may begin a sentence; of others a capital there tells that they are names."""
_STEM = 5
"""Letters by which two forms of a word are known as one: "closed" and "closes"."""
_SHORTEST_MISSPELT = 4
"""Letters from which on a word is known with one letter wrong: of shorter ones that makes too many others."""
_MISSPELT = 0.8
"""What a word counts that is found with one letter wrong: it may be another name."""
_BEGINS_WORD = ("▁", "Ġ")
"""What tokenizers that know spaces put before the first piece of a word."""
_INSIDE_WORD = "##"
"""What WordPiece puts before all others."""


@dataclass(frozen=True)
class _Text:
    words: frozenset[str]
    stems: frozenset[str]
    names: frozenset[str]
    misspelt: frozenset[str]
    """Words that may be others with one letter wrong."""


class Overlap:
    """Three shares of words that a query and an edit's wording have in common, rare words counting more.

    Beside a cross-encoder's verdict: small networks judge by what both texts are about. They are less sure of whether
    the very thing that is asked for is told at all, and read over a name that is exchanged for one of the same kind.
    BM25 (Robertson & Zaragoza 2009) knows that much of any topic. How rare a word is the order of the tokenizer's
    vocabulary tells, in which common ones come first.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        """Rank the words of a tokenizer's `vocabulary`, from tokens to ids."""
        tokens = sorted(vocabulary, key=vocabulary.__getitem__)
        begun = [token[1:] for token in tokens if token.startswith(_BEGINS_WORD)]
        words = begun or [token for token in tokens if not token.startswith(_INSIDE_WORD)]
        known = dict.fromkeys(word.casefold() for word in words if len(word) > 1 and word.isalpha())
        self._rank = {word: rank for rank, word in enumerate(known)}
        self._rarest = len(vocabulary)

    def of(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """Shares of pairs of an edit's wording and a query, from 0, nothing, to 1, all.

        Of a query of several sentences the last one, with the question, or the whole is read: whichever has the
        greater share of its words in the wording.

        Returns:
            float64 array (n, 3): of the query's words those that the wording has, in any form; of its names
            (`names_of`) those that the wording has; of the wording's names those that the query has. Of no names
            all. A word of the query that the vocabulary lacks may have one letter wrong.
        """
        told = {wording: self._read(wording) for wording in dict.fromkeys(wording for wording, _ in pairs)}
        asked = {query: self._read_query(query) for query in dict.fromkeys(query for _, query in pairs)}
        shares = [max(self._shares(told[wording], text) for text in asked[query]) for wording, query in pairs]
        return np.array(shares, dtype=np.float64).reshape(-1, SHARES)

    def _read_query(self, query: str) -> list[_Text]:
        """The query, and its last sentence."""
        return [self._read(text) for text in (query, last_sentence(query)) if text is not None]

    def _read(self, text: str) -> _Text:
        words = words_of(text)
        misspelt = (word for word in words if len(word) >= _SHORTEST_MISSPELT and word.isalpha())
        return _Text(
            words,
            frozenset(map(_stem, words)),
            names_of(text, is_rare=self._is_rare),
            frozenset(word for word in misspelt if word not in self._rank),
        )

    def _is_rare(self, word: str) -> bool:
        return self._rank.get(word, self._rarest) >= _RARE

    def _shares(self, told: _Text, asked: _Text) -> tuple[float, float, float]:
        unclear = asked.misspelt - told.words
        meant = {word: {name for name in told.words if _differ_by_a_letter(word, name)} for word in unclear}
        # A form of a word that the edit has is not misspelt, but may be another name.
        misspelt = {word for word, names in meant.items() if names}
        found = {word for word in asked.words if _stem(word) in told.stems}
        return (
            self._share(asked.words, found, misspelt, of_none=0.0),
            self._share(asked.names, told.words, misspelt, of_none=1.0),
            self._share(told.names, asked.words, set().union(*meant.values()), of_none=1.0),
        )

    def _share(self, words: Iterable[str], found: Iterable[str], misspelt: Iterable[str], *, of_none: float) -> float:
        """The share of `words` that are found, those counting less that are found misspelt; `of_none` of no words."""
        counts = {**dict.fromkeys(misspelt, _MISSPELT), **dict.fromkeys(found, 1.0)}
        weights = {word: log1p(self._rank.get(word, self._rarest) / _COMMON) for word in sorted(words)}
        every = sum(weights.values())
        return sum(weight * counts.get(word, 0.0) for word, weight in weights.items()) / every if every else of_none


def _stem(word: str) -> str:
    # Years and model numbers have no endings.
    return word if any(map(str.isdigit, word)) else word[:_STEM]


def _differ_by_a_letter(first: str, second: str) -> bool:
    """Whether one word is the other with a letter more, less or exchanged, or with two that changed places."""
    if abs(len(first) - len(second)) > 1 or len(second) < _SHORTEST_MISSPELT or not second.isalpha():
        return False
    return not _without_a_letter(first).isdisjoint(_without_a_letter(second))


@lru_cache(maxsize=4_096)
def _without_a_letter(word: str) -> frozenset[str]:
    """The word, and what is left of it without any one of its letters (as in Garbe's symmetric delete, SymSpell)."""
    return frozenset((word, *(word[:place] + word[place + 1 :] for place in range(len(word)))))
