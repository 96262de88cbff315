"""`Router`: which stored edit, if any, a query means, and why."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from memedit.edits import DEFAULT_NAMESPACE, Edit
from memedit.memory import EditMemory, Hit
from memedit.scope.cache import Basis, RouteCache
from memedit.scope.classifier import ScopeClassifier
from memedit.scope.retrieval import Retrieval
from memedit.scope.route import TIE, Candidate, Route, lowest_of_ties
from memedit.scope.words import SharedNames

__all__ = ["CACHE_SIZE", "FLOOR", "MARGIN", "NEAREST", "TIE", "Candidate", "Route", "Router"]

NEAREST = 8
FLOOR = 0.25
"""Cosine similarity under which no stored wording is near enough to be classified."""
MARGIN = 0.12
"""How much less similar than the nearest edit one may be and still be classified, if it does not have the query's
words (see `Retrieval`): of 4,996 held-out queries over 10,000 edits one was decided otherwise (by an earlier
classifier) than if all eight had been classified, whose name another edit nearly has."""
CACHE_SIZE = 1024
"""How many decisions a router remembers."""

_LEARNED = ("calibration_", "threshold_", "fit_")
"""What `ScopeClassifier.fit` and `calibrate` set anew each time; a stand-in may have none of it."""


class Router:
    """Search, leave early when nothing is near, classify the rest in one batch.

    A decision is remembered for as long as it holds: until the memory changes, by whichever
    process, an edit of the namespace begins or ends to apply, or the classifier is fitted or
    calibrated anew.
    """

    def __init__(
        self,
        memory: EditMemory,
        classifier: ScopeClassifier,
        *,
        k: int = NEAREST,
        floor: float = FLOOR,
        margin: float | None = MARGIN,
        cache_size: int = CACHE_SIZE,
    ) -> None:
        """Route over `memory` by the verdicts of `classifier`.

        Args:
            memory: The edits; its encoder encodes the queries.
            classifier: Decides on each candidate.
            k: How many of the nearest edits to consider: of those nearest to the query, and again of
                those nearest to its last sentence, if it has several.
            floor: Cosine similarity under which an edit is not considered.
            margin: How much less similar than the nearest edit one may be and still be considered
                without having the query's words (see `Retrieval`); None for any. The classifier
                reads each candidate with the query, which is most of a decision's cost.
            cache_size: How many decisions to remember, those used last; 0 for none.

        Raises:
            ValueError: A number is out of range.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        if margin is not None and not margin >= 0:
            raise ValueError(f"margin must be at least 0 or None, got {margin}")
        self.memory, self.classifier = memory, classifier
        self.k, self.floor, self.margin = k, floor, margin
        self._cache = RouteCache(cache_size)

    def route(
        self, queries: Sequence[str], namespace: str = DEFAULT_NAMESPACE, at: datetime | None = None
    ) -> list[Route]:
        """Decide on each query; the classifier sees all candidates of all queries at once.

        When several edits are in scope, the most probable one answers; of those within `TIE` of
        it the one most similar to the query. But where other edits in scope state the same fact as
        that one (they have the query's names, and the classifier takes the two wordings for the
        same), the one of the highest priority answers, and of these the newest.
        A query in an edit's own words (apart from case, white space and final marks) is in its
        scope with probability 1.

        Args:
            queries: The queries; one that occurs several times is decided once.
            namespace: Only edits of this namespace are considered.
            at: Only edits valid at this instant (timezone-aware) are considered; None for now.

        Returns:
            One `Route` for each query, in order.

        Raises:
            TypeError: `queries` is one string.
            ValueError: `at` has no time zone.
        """
        if isinstance(queries, str):
            raise TypeError("queries must be several strings, got one string")
        if not queries:
            return []
        began = time.perf_counter()
        at = datetime.now(UTC) if at is None else at
        if at.tzinfo is None:
            raise ValueError(f"at must be a timezone-aware datetime, got {at!r}")
        distinct = list(dict.fromkeys(queries))
        # Read before the search: if the memory changes in between, what is kept counts as outdated.
        basis = self._basis()
        routes = self._cache.find(namespace, distinct, basis, at)
        if missing := [query for query in distinct if query not in routes]:
            decided = self._decided(missing, namespace, at)
            if routes and self.memory.revision != basis[1]:
                # Some were remembered from before a change: one request sees one state of the memory.
                basis = self._basis()
                routes, decided = {}, self._decided(distinct, namespace, at)
            routes.update((route.query, route) for route in decided)
            if self._cache.size:
                self._cache.put(namespace, decided, basis, at, self.memory.next_change(namespace, at))
        seconds = (time.perf_counter() - began) / len(queries)
        return [replace(routes[query], seconds=seconds) for query in queries]

    def _basis(self) -> Basis:
        classifier = self.classifier
        learned = (getattr(classifier, name, None) for name in _LEARNED)
        settings = (self.k, self.floor, self.margin)
        return (self.memory, self.memory.revision, classifier, classifier.threshold, *learned, *settings)

    def _decided(self, queries: Sequence[str], namespace: str, at: datetime) -> list[Route]:
        """The decisions on distinct queries, untimed."""
        found = Retrieval(self.k, self.floor, self.margin)(self.memory, queries, namespace, at)
        near = [[hit for hit in hits if hit.score >= self.floor] for hits in found]
        pairs = [(hit.wording, query) for query, hits in zip(queries, near, strict=True) for hit in hits]
        verdicts = iter(self._verdicts(pairs))
        ranked = [_ranked(hits, [next(verdicts) for _ in hits]) for hits in near]
        self._prefer_newest(queries, ranked)
        return [
            self._decide(query, candidates, hits[0].score if hits else None)
            for query, candidates, hits in zip(queries, ranked, found, strict=True)
        ]

    def _verdicts(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, float]]:
        """Probability and threshold of each (edit wording, query)."""
        if not pairs:
            return []
        thresholds = self.classifier.threshold_for([wording for wording, _ in pairs])
        return list(zip(self.classifier.probability(pairs).tolist(), thresholds.tolist(), strict=True))

    def _prefer_newest(self, queries: Sequence[str], ranked: Sequence[list[Candidate]]) -> None:
        """Move the newest edit of the best candidate's fact to the front, if it is in scope.

        A classifier that reads over slips of the pen takes names for the same that differ by a letter, so an edit
        that lacks the query's names, or has others that look like them, is of another fact.
        """
        rivals = []
        for query, candidates in zip(queries, ranked, strict=True):
            newer = [c for c in candidates[1:] if c.in_scope and _rank(c.edit) > _rank(candidates[0].edit)]
            if newer:
                names = SharedNames(query, candidates[0].wording)
                rivals += [
                    (candidates, rival)
                    for rival in newer
                    if names.are_in(rival.wording) and not names.are_replaced_in(rival.wording)
                ]
        if not rivals:
            return
        pairs = [(candidates[0].wording, rival.wording) for candidates, rival in rivals]
        for (candidates, rival), (probability, threshold) in zip(rivals, self._verdicts(pairs), strict=True):
            if probability >= threshold and _rank(rival.edit) > _rank(candidates[0].edit):
                candidates.remove(rival)
                candidates.insert(0, rival)

    def _decide(self, query: str, candidates: Sequence[Candidate], nearest: float | None) -> Route:
        best = candidates[0] if candidates else None
        edit = best.edit if best and best.in_scope else None
        reason = self._reason(best, nearest)
        probability, threshold = (best.probability, best.threshold) if best else (0.0, self.classifier.threshold)
        return Route(query, edit, probability, threshold, tuple(candidates), reason, math.nan)

    def _reason(self, best: Candidate | None, nearest: float | None) -> str:
        if nearest is None:
            return "No edit is stored that could apply, so the base model answers."
        if best is None:
            return (
                f"No stored edit is near the query (best similarity {nearest:.2f}, floor "
                f"{self.floor:.2f}), so the base model answers."
            )
        verdict = f"with probability {best.probability:.3f} (threshold {best.threshold:.3f})"
        if best.in_scope:
            return f'The query means the edit "{best.wording}" {verdict}.'
        return f'The query means the most probable edit, "{best.wording}", only {verdict}, so the base model answers.'


def _rank(edit: Edit) -> tuple[int, int]:
    """What decides between edits of one fact: the priority, then which is newer."""
    return edit.priority, edit.revision


def _ranked(hits: Sequence[Hit], verdicts: Sequence[tuple[float, float]]) -> list[Candidate]:
    """Candidates by falling probability, those in scope first; the most similar of those that tie with the first leads.

    So what is not in scope by the threshold of its own form never silences what is. No other edit ties with one in the
    query's own words.
    """
    candidates = [
        Candidate(hit.edit, hit.wording, hit.score, probability, threshold)
        for hit, (probability, threshold) in zip(hits, verdicts, strict=True)
    ]
    top = max((candidate.probability for candidate in candidates if candidate.in_scope), default=0.0)
    lowest = lowest_of_ties(top)

    def order(candidate: Candidate) -> tuple[bool, float, float, int, int]:
        ties = candidate.in_scope and candidate.probability >= lowest
        probability = top if ties else candidate.probability
        return (
            not candidate.in_scope, -probability, -candidate.similarity, -candidate.edit.priority,
            -candidate.edit.revision,
        )  # fmt: skip

    return sorted(candidates, key=order)
