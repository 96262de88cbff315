"""Which stored edits a query may mean: those near all of it, those near its last sentence, and those with its words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import log

from memedit.memory import EditMemory, Hit
from memedit.scope.words import SharedNames, last_sentence, names_of, words_of

_FEW = 3
"""So few edits beyond the margin are all considered: among them no word tells much."""
_SHARED = 0.3
"""How much an edit beyond the margin must have in common with the query, of what the nearest edit has."""
_WIDER, _WIDEST = 4, 16
"""How many times as many edits are searched as are considered for their nearness alone: the more, if none of these has
the names that the query has."""
_MOST_WITH_MORE = 2
"""How many of the others are considered for their words."""


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

        A long statement is near few of the questions that it answers. So of those that are less near than k others the
        ones are considered that have more of the query's words than any of these, most of all its rare ones. With
        10,000 edits stored the right edit is among the hits for 0.995 of the questions about statements instead of
        0.963, and for 1,077 of 1,078 paraphrases of zsRE and KnowEdit instead of 0.997.

        Returns:
            For each query at most 2 (k + 2) hits. The first is there also if it is under the floor.
        """
        ends = [last_sentence(query) for query in queries]
        texts = [*queries, *(end for end in ends if end is not None)]
        near = self._all_near(memory, texts, namespace, at)
        of_ends = iter(near[len(queries) :])
        return [
            _merged(hits, next(of_ends) if end is not None else [])
            for hits, end in zip(near[: len(queries)], ends, strict=True)
        ]

    def _all_near(self, memory: EditMemory, texts: Sequence[str], namespace: str, at: datetime) -> list[list[Hit]]:
        """What is considered for each text."""
        vectors = memory.encoder.encode(texts)
        # Most texts have nothing near: of those no more than the nearest is read, and nothing is searched wider.
        found = memory.search(vectors, self.k, namespace=namespace, at=at, floor=self.floor)
        asked = [row for row, hits in enumerate(found) if hits and hits[0].score >= self.floor]
        reach = {row: _WIDER if _names_are_found(texts[row], found[row]) else _WIDEST for row in asked}
        beside = dict[int, list[Hit]]()
        for times in set(reach.values()):
            rows = [row for row in asked if reach[row] == times]
            wider = memory.search(vectors[rows], times * self.k, namespace=namespace, at=at)
            beside |= zip(rows, wider, strict=True)
        return [
            self._near(text, hits, beside.get(row, ()))
            for row, (text, hits) in enumerate(zip(texts, found, strict=True))
        ]

    def _near(self, query: str, hits: Sequence[Hit], wider: Sequence[Hit]) -> list[Hit]:
        if not wider:
            return list(hits[:1])
        having_more = [hit for hit in _having_more(query, hits, wider) if hit.score >= self.floor]
        above = [hits[0], *(hit for hit in hits[1:] if hit.score >= self.floor)]
        if self.margin is None:
            return [*above, *having_more]
        # Who asks for a name that the nearest edit has does not mean one without it, however alike they are else.
        names = SharedNames(query, hits[0].wording)
        named = [hit for hit in above if names.are_in(hit.wording)]
        within = [hit for hit in named if hit.score >= hits[0].score - self.margin]
        beyond = named[len(within) :]
        return [
            *within,
            *(beyond if len(beyond) <= _FEW else _naming_the_same(query, hits, beyond)),
            *(hit for hit in having_more if names.are_in(hit.wording)),
        ]


def _names_are_found(query: str, hits: Sequence[Hit]) -> bool:
    """Whether one of `hits` has all names of a query; False if it has none that are written as such."""
    names = names_of(query)
    return bool(names) and any(names <= words_of(hit.wording) for hit in hits)


class _SharedWords:
    """How much of a query's words each hit has; a word counts the more, the fewer hits have it."""

    def __init__(self, query: str, hits: Sequence[Hit]) -> None:
        self._words = {hit.edit.id: words_of(hit.wording) for hit in hits}
        self._having = Counter(word for own in self._words.values() for word in own)
        self._asked = words_of(query)

    def of(self, hit: Hit) -> float:
        shared = self._asked & self._words[hit.edit.id]
        return sum(log(len(self._words) / self._having[word]) for word in sorted(shared))


def _naming_the_same(query: str, hits: Sequence[Hit], beyond: Sequence[Hit]) -> list[Hit]:
    """Those of `beyond` that share enough words with the query."""
    shared = _SharedWords(query, hits)
    least = _SHARED * shared.of(hits[0])
    return [hit for hit in beyond if shared.of(hit) >= least]


def _having_more(query: str, hits: Sequence[Hit], wider: Sequence[Hit]) -> list[Hit]:
    """Of the hits of a wider search, the few that share more words with the query than any of `hits`."""
    known = {hit.edit.id for hit in hits}
    others = [hit for hit in wider if hit.edit.id not in known]
    if not others:
        return []
    shared = _SharedWords(query, [*hits, *others])
    most = max(map(shared.of, hits))
    more = [(shared.of(hit), hit) for hit in others]
    best = sorted((pair for pair in more if pair[0] > most), key=lambda pair: -pair[0])[:_MOST_WITH_MORE]
    return sorted((hit for _, hit in best), key=lambda hit: -hit.score)


def _merged(hits: Sequence[Hit], others: Sequence[Hit]) -> list[Hit]:
    best: dict[str, Hit] = {}
    for hit in (*hits, *others):
        known = best.setdefault(hit.edit.id, hit)
        if hit.score > known.score:
            best[hit.edit.id] = hit
    return sorted(best.values(), key=lambda hit: -hit.score)
