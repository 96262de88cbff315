"""`Router`: which stored edit, if any, a query means, and why."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from memedit.edits import DEFAULT_NAMESPACE, Edit
from memedit.memory import EditMemory, Hit
from memedit.memory.wordings import prompt_key
from memedit.scope.classifier import ScopeClassifier

NEAREST = 8
FLOOR = 0.25
"""Cosine similarity under which no stored wording is near enough to be classified."""
TIE = 1e-3
"""Probabilities closer than this are equal: the nearer edit, or a newer one of the same fact, is chosen."""


@dataclass(frozen=True)
class Candidate:
    """One edit that was considered.

    Attributes:
        edit: The edit.
        wording: The wording of it (prompt or alias) that was nearest to the query.
        similarity: Cosine similarity of that wording and the query.
        probability: Calibrated probability that the query is in scope of the edit.
    """

    edit: Edit
    wording: str
    similarity: float
    probability: float


@dataclass(frozen=True)
class Route:
    """The decision on one query.

    Attributes:
        query: The query.
        edit: The edit that answers it; None if the base does.
        probability: The chosen edit's probability, or the best candidate's; 0 without any.
        threshold: Probability from which an edit fires.
        candidates: What was considered: the winner, then by falling probability.
        reason: The decision in one English sentence.
        seconds: Time of the `route` call divided by its number of queries.
    """

    query: str
    edit: Edit | None
    probability: float
    threshold: float
    candidates: tuple[Candidate, ...]
    reason: str
    seconds: float

    @property
    def in_scope(self) -> bool:
        """Whether an edit answers the query."""
        return self.edit is not None


class Router:
    """Search, leave early when nothing is near, classify the rest in one batch."""

    def __init__(
        self,
        memory: EditMemory,
        classifier: ScopeClassifier,
        *,
        k: int = NEAREST,
        floor: float = FLOOR,
    ) -> None:
        """Route over `memory` by the verdicts of `classifier`.

        Args:
            memory: The edits; its encoder encodes the queries.
            classifier: Decides on each candidate.
            k: How many of the nearest edits to consider.
            floor: Cosine similarity under which an edit is not considered.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        self.memory, self.classifier = memory, classifier
        self.k, self.floor = k, floor

    def route(self, queries: Sequence[str], namespace: str = DEFAULT_NAMESPACE) -> list[Route]:
        """Decide on each query; the classifier sees all candidates of all queries at once.

        A query in an edit's own words (apart from case, white space and final marks) is in its
        scope with certainty. When several edits are in scope the most probable one is chosen; among those within `TIE`
        of it the one most similar to the query, unless a newer one asks the same as that one does
        (by the classifier's verdict on the two wordings): then the newest of these.

        Args:
            queries: The queries.
            namespace: Only edits of this namespace are considered.

        Returns:
            One `Route` for each query, in order.
        """
        if isinstance(queries, str):
            raise TypeError("queries must be several strings, got one string")
        if not queries:
            return []
        began = time.perf_counter()
        vectors = self.memory.encoder.encode(queries)
        found = self.memory.search(vectors, self.k, namespace=namespace)
        near = [[hit for hit in hits if hit.score >= self.floor] for hits in found]
        pairs = [(hit.wording, query) for query, hits in zip(queries, near, strict=True) for hit in hits]
        threshold = self.classifier.threshold
        verdicts = iter(self.classifier.probability(pairs).tolist() if pairs else ())
        ranked = [_ranked(hits, [next(verdicts) for _ in hits], threshold) for hits in near]
        self._prefer_newest(ranked)
        seconds = (time.perf_counter() - began) / len(queries)
        return [
            self._decide(query, candidates, hits[0].score if hits else None, seconds)
            for query, candidates, hits in zip(queries, ranked, found, strict=True)
        ]

    def _prefer_newest(self, ranked: Sequence[list[Candidate]]) -> None:
        """Move the newest edit of the best candidate's fact to the front, where several tie."""
        rivals = [
            (candidates, rival)
            for candidates in ranked
            for rival in candidates[1:]
            if rival.probability >= max(self.classifier.threshold, candidates[0].probability - TIE)
            and rival.edit.revision > candidates[0].edit.revision
        ]
        if not rivals:
            return
        pairs = [(candidates[0].wording, rival.wording) for candidates, rival in rivals]
        same = self.classifier.probability(pairs) >= self.classifier.threshold
        for (candidates, rival), is_same in zip(rivals, same, strict=True):
            if is_same and rival.edit.revision > candidates[0].edit.revision:
                candidates.remove(rival)
                candidates.insert(0, rival)

    def _decide(self, query: str, candidates: Sequence[Candidate], nearest: float | None, seconds: float) -> Route:
        threshold = self.classifier.threshold
        best = candidates[0] if candidates else None
        edit = best.edit if best and best.probability >= threshold else None
        reason = self._reason(best, nearest, threshold)
        probability = best.probability if best else 0.0
        return Route(query, edit, probability, threshold, tuple(candidates), reason, seconds)

    def _reason(self, best: Candidate | None, nearest: float | None, threshold: float) -> str:
        if nearest is None:
            return "No edit is stored that could apply, so the base model answers."
        if best is None:
            return (
                f"No stored edit is near the query (best similarity {nearest:.2f}, floor "
                f"{self.floor:.2f}), so the base model answers."
            )
        verdict = f"with probability {best.probability:.3f} (threshold {threshold:.3f})"
        if best.probability >= threshold:
            return f'The query means the edit "{best.wording}" {verdict}.'
        return f'The query means the most probable edit, "{best.wording}", only {verdict}, so the base model answers.'


def _verdict(wording: str, query: str, probability: float) -> float:
    """The classifier's probability, but certainty for an edit asked in its own words."""
    return 1.0 if prompt_key(wording) == prompt_key(query) else probability


def _ranked(hits: Sequence[Hit], probabilities: Sequence[float], threshold: float) -> list[Candidate]:
    """Candidates by falling probability; the most similar of those that tie with the first leads."""
    candidates = [
        Candidate(hit.edit, hit.wording, hit.score, probability)
        for hit, probability in zip(hits, probabilities, strict=True)
    ]
    top = max(probabilities, default=0.0)

    def order(candidate: Candidate) -> tuple[float, float, int]:
        # A tie never turns a query that is in scope into one that is not.
        ties = candidate.probability >= max(top - TIE, threshold)
        probability = top if ties else candidate.probability
        return -probability, -candidate.similarity, -candidate.edit.revision

    return sorted(candidates, key=order)
