"""Retrieval without a classifier: the best edit found goes into the prompt, and the frozen base reads it.

In several studies this beats most editors, and nothing of it is trained: whoever proposes an editor has to
show more. All three answer as `CounterfactualEditor` does with the plain base; they differ in how an edit
is found and when none is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from memedit.editors.counterfactual import CounterfactualEditor
from memedit.edits import DEFAULT_NAMESPACE
from memedit.evaluation.baselines.bm25 import BM25
from memedit.evaluation.baselines.in_memory import InMemory
from memedit.evaluation.subject import Setup
from memedit.memory import EditMemory, Hit
from memedit.scope.route import Candidate, Route

SIMILARITY_THRESHOLD = 0.7
"""Of 0.7 and 0.8, the one that kept more paraphrases (0.79 of 600) at about the same cost in neighbours (0.79
of 600 kept out), over 10,000 CounterFact edits that no figure is reported on."""

Find = Callable[[Sequence[str]], Sequence[Hit | None]]
"""The best edit for each query, with its score; None where nothing matches at all."""


class ScoredRoute(Route):
    """A decision by a score that is no probability, also where it lies between 0 and 1, as cosines do."""

    states_probability: ClassVar[bool] = False


class NearestRouter:
    """Takes the best edit found, from a score on.

    Args:
        find: Finds it.
        threshold: The least score with which it is taken; minus infinity takes it always.
    """

    def __init__(self, find: Find, threshold: float = -math.inf) -> None:
        self._find = find
        self.threshold = threshold

    def route(self, queries: Sequence[str], namespace: str = DEFAULT_NAMESPACE) -> list[Route]:  # noqa: ARG002 - there is one
        """One decision per query; its `probability` is the score, which is none."""
        return [self._decided(query, hit) for query, hit in zip(queries, self._find(queries), strict=True)]

    def _decided(self, query: str, hit: Hit | None) -> Route:
        if hit is None:
            return ScoredRoute(query, None, 0.0, self.threshold, (), "Nothing matches.", math.nan)
        taken = hit.score >= self.threshold
        candidate = Candidate(hit.edit, hit.wording, hit.score, hit.score, self.threshold)
        reason = f'The best match is "{hit.wording}" with a score of {hit.score:.3f}.'
        return ScoredRoute(
            query, hit.edit if taken else None, hit.score, self.threshold, (candidate,), reason, math.nan
        )


def bm25(setup: Setup) -> InMemory:
    """The edit whose wording has the best BM25 score, whenever a word agrees (Robertson & Zaragoza 2009)."""
    return _method(setup, "bm25", lambda memory: BM25(memory).best, settings={"k1": BM25.k1, "b": BM25.b})


def dense(setup: Setup) -> InMemory:
    """The edit nearest by the sentence encoder, always (dense retrieval, Karpukhin et al. 2020)."""
    return _method(setup, "dense", _nearest)


def similarity(setup: Setup) -> InMemory:
    """The edit nearest by the sentence encoder, from a cosine similarity on.

    In-context editing (Zheng et al. 2023, "Can We Edit Factual Knowledge by In-Context Learning?")
    without demonstrations, with the simplest decision on scope.
    """
    return _method(setup, "similarity", _nearest, SIMILARITY_THRESHOLD, {"threshold": SIMILARITY_THRESHOLD})


def _nearest(memory: EditMemory) -> Find:
    def find(queries: Sequence[str]) -> list[Hit | None]:
        found = memory.search(memory.encoder.encode(queries), k=1)
        return [hits[0] if hits else None for hits in found]

    return find


def _method(
    setup: Setup,
    name: str,
    finding: Callable[[EditMemory], Find],
    threshold: float = -math.inf,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> InMemory:
    def router(memory: EditMemory) -> NearestRouter:
        return NearestRouter(finding(memory), threshold)

    editor = CounterfactualEditor(setup.base, setup.tokenizer)
    return InMemory.of(setup, name, editor, router, {**settings, "encoder": setup.encoder.id})
