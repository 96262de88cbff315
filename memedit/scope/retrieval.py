"""Which stored edits a query may mean: those near all of it, and those near its last sentence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf, log

from memedit.memory import EditMemory, Hit
from memedit.scope.words import words_of

SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
_SHORTEST_QUESTION = 8
"""Characters under which a last sentence ("Thanks!") asks nothing."""
_FEW = 3
"""Among so few other edits no word tells much, and every edit may name what the query names."""
_SHARED = 0.3
"""How much an edit must have in common with the query, of what the nearest edit has, to name the same."""


@dataclass(frozen=True)
class Found:
    """What a query may mean.

    Attributes:
        hits: The edits to consider, the nearest first, and no edit twice.
        named: Ids of those that name what the query names, as far as words can tell.
    """

    hits: tuple[Hit, ...] = ()
    named: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Retrieval:
    """How many edits to consider for a query, and how near they must be.

    Attributes:
        k: How many of the nearest edits.
        floor: Cosine similarity under which an edit is not considered.
        margin: How much less similar than the nearest edit one may be without having the query's
            words; None for any.
    """

    k: int
    floor: float
    margin: float | None

    def __call__(self, memory: EditMemory, queries: Sequence[str], namespace: str, at: datetime) -> list[Found]:
        """What each query may mean.

        What stands before a question moves its vector away from the edit that it means: with 10,000
        edits stored that lost the right one for one CounterFact paraphrase in a hundred. So the last
        sentence of a query is searched for by itself as well.

        An edit beyond the margin may state the same fact as the nearest in other words, and be the newer one. Then
        it names what the query names: its words that few of the other hits have.

        Returns:
            For each query at most 2 k hits. The first is there also if it is under the floor.
        """
        ends = [last_sentence(query) for query in queries]
        texts = [*queries, *(end for end in ends if end is not None)]
        found = memory.search(memory.encoder.encode(texts), self.k, namespace=namespace, at=at)
        of_ends = iter(found[len(queries) :])
        return [
            _merged(self._near(query, hits), self._near(end, next(of_ends)) if end is not None else Found())
            for query, hits, end in zip(queries, found[: len(queries)], ends, strict=True)
        ]

    def _near(self, query: str, hits: Sequence[Hit]) -> Found:
        if not hits:
            return Found()
        named = _naming_the_same(query, hits)
        lowest = -inf if self.margin is None else hits[0].score - self.margin
        near = (hit for hit in hits[1:] if hit.score >= self.floor and (hit.score >= lowest or hit.edit.id in named))
        return Found((hits[0], *near), named)


def _naming_the_same(query: str, hits: Sequence[Hit]) -> frozenset[str]:
    """Ids of the hits that share enough words with the query; a word counts the more, the fewer hits have it."""
    words = {hit.edit.id: words_of(hit.wording) for hit in hits}
    if len(words) <= _FEW + 1:
        return frozenset(words)
    having = Counter(word for own in words.values() for word in own)
    asked = words_of(query)
    shared = {edit_id: sum(log(len(words) / having[word]) for word in asked & own) for edit_id, own in words.items()}
    least = _SHARED * shared[hits[0].edit.id]
    return frozenset(edit_id for edit_id, amount in shared.items() if amount >= least)


def last_sentence(query: str) -> str | None:
    """The sentence with which a query of several sentences ends; None if it has but one."""
    sentences = [part for part in SENTENCE_END.split(query.strip()) if part]
    if len(sentences) < 2 or len(sentences[-1]) < _SHORTEST_QUESTION:
        return None
    return sentences[-1]


def _merged(whole: Found, end: Found) -> Found:
    best: dict[str, Hit] = {}
    for hit in (*whole.hits, *end.hits):
        known = best.setdefault(hit.edit.id, hit)
        if hit.score > known.score:
            best[hit.edit.id] = hit
    return Found(tuple(sorted(best.values(), key=lambda hit: -hit.score)), whole.named | end.named)
