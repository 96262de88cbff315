"""How much of what a query names an edit's wording has as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log1p

import numpy as np
from numpy.typing import NDArray

from memedit.scope.words import last_sentence, words_of

_COMMON = 50
"""So many words of a vocabulary are about as common as "the" and "who": they tell little of what is meant."""
_STEM = 5
"""Letters by which two forms of a word are known as one: "closed" and "closes"."""
_BEGINS_WORD = ("▁", "Ġ")
"""What tokenizers that know spaces put before the first piece of a word."""
_INSIDE_WORD = "##"
"""What WordPiece puts before all others."""


class Coverage:
    """The share of a query's words that an edit's wording has, rare words counting more.

    Beside a cross-encoder's verdict: small networks judge by what both texts are about, and are less sure of whether
    the very thing that is asked for is told at all. BM25 (Robertson & Zaragoza 2009) knows that much of any topic.
    How rare a word is the order of the tokenizer's vocabulary tells, in which common ones come first.
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
        """From 0, nothing, to 1, all: float64 array (n,), of pairs of an edit's wording and a query.

        Of a query of several sentences the last one, with the question, or the whole: whichever is covered better.
        """
        asked = {query: self._weighed(query) for query in dict.fromkeys(query for _, query in pairs)}
        return np.array([_covered(wording, asked[query]) for wording, query in pairs], dtype=np.float64)

    def _weighed(self, query: str) -> list[dict[str, float]]:
        """The words of the query and of its last sentence, with what each counts."""
        texts = [query, last_sentence(query)]
        return [{word: self._weight(word) for word in sorted(words_of(text))} for text in texts if text is not None]

    def _weight(self, word: str) -> float:
        return log1p(self._rank.get(word, self._rarest) / _COMMON)


def _covered(wording: str, asked: Sequence[Mapping[str, float]]) -> float:
    told = {_stem(word) for word in words_of(wording)}
    shares = []
    for weights in asked:
        every = sum(weights.values())
        shares.append(sum(weight for word, weight in weights.items() if _stem(word) in told) / every if every else 0.0)
    return max(shares)


def _stem(word: str) -> str:
    # Years and model numbers have no endings.
    return word if any(map(str.isdigit, word)) else word[:_STEM]
