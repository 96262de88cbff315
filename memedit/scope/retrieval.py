"""Which stored edits a query may mean: those near all of it, and those near its last sentence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import log

from memedit.memory import EditMemory, Hit
from memedit.scope.words import SharedNames, words_of

SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
_SHORTEST_QUESTION = 8
"""Characters under which a last sentence ("Thanks!") asks nothing."""
_FEW = 3
"""So few edits beyond the margin are all considered: among them no word tells much."""
_SHARED = 0.3
"""How much an edit beyond the margin must have in common with the query, of what the nearest edit has."""


@dataclass(frozen=True)
class Retrieval:
    """How many edits to consider for a query, and how near they must be.

    Attributes:
        k: How many of the nearest edits.
        floor: Cosine similarity under which an edit is not considered.
        margin: How much less similar than the nearest edit one may be without having the query's
            words; None for any, whatever its words are.
    """

    k: int
    floor: float
    margin: float | None

    def __call__(self, memory: EditMemory, queries: Sequence[str], namespace: str, at: datetime) -> list[list[Hit]]:
        """The hits of each query, the nearest first, and no edit twice.

        What stands before a question moves its vector away from the edit that it means: with 10,000
        edits stored that lost the right one for one CounterFact paraphrase in a hundred. So the last
        sentence of a query is searched for by itself as well.

        An edit without the names that query and nearest edit share is about something else. One beyond the margin
        may state the same fact as the nearest in other words, and be the newer one. Then it has what the query has:
        words that few of the other hits have.

        Returns:
            For each query at most 2 k hits. The first is there also if it is under the floor.
        """
        ends = [last_sentence(query) for query in queries]
        texts = [*queries, *(end for end in ends if end is not None)]
        found = memory.search(memory.encoder.encode(texts), self.k, namespace=namespace, at=at)
        of_ends = iter(found[len(queries) :])
        return [
            _merged(self._near(query, hits), self._near(end, next(of_ends)) if end is not None else [])
            for query, hits, end in zip(queries, found[: len(queries)], ends, strict=True)
        ]

    def _near(self, query: str, hits: Sequence[Hit]) -> list[Hit]:
        if not hits:
            return []
        above = [hits[0], *(hit for hit in hits[1:] if hit.score >= self.floor)]
        if self.margin is None:
            return above
        # Who asks for a name that the nearest edit has does not mean one without it, however alike they are else.
        names = SharedNames(query, hits[0].wording)
        named = [hit for hit in above if names.are_in(hit.wording)]
        within = [hit for hit in named if hit.score >= hits[0].score - self.margin]
        beyond = named[len(within) :]
        return [*within, *(beyond if len(beyond) <= _FEW else _naming_the_same(query, hits, beyond))]


def _naming_the_same(query: str, hits: Sequence[Hit], beyond: Sequence[Hit]) -> list[Hit]:
    """Those of `beyond` that share enough words with the query; a word counts the more, the fewer hits have it."""
    words = {hit.edit.id: words_of(hit.wording) for hit in hits}
    having = Counter(word for own in words.values() for word in own)
    asked = words_of(query)

    def shared(hit: Hit) -> float:
        return sum(log(len(hits) / having[word]) for word in asked & words[hit.edit.id])

    least = _SHARED * shared(hits[0])
    return [hit for hit in beyond if shared(hit) >= least]


def last_sentence(query: str) -> str | None:
    """The sentence with which a query of several sentences ends; None if it has but one."""
    sentences = [part for part in SENTENCE_END.split(query.strip()) if part]
    if len(sentences) < 2 or len(sentences[-1]) < _SHORTEST_QUESTION:
        return None
    return sentences[-1]


def _merged(hits: Sequence[Hit], others: Sequence[Hit]) -> list[Hit]:
    best: dict[str, Hit] = {}
    for hit in (*hits, *others):
        known = best.setdefault(hit.edit.id, hit)
        if hit.score > known.score:
            best[hit.edit.id] = hit
    return sorted(best.values(), key=lambda hit: -hit.score)
