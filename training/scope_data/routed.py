"""Calibration on what a router really decides: the best candidate of each query, the memory loaded."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence

from memedit.memory import EditMemory
from memedit.memory.encoding import TextEncoder
from memedit.scope.calibration import IDENTITY
from memedit.scope.classifier import ScopeClassifier
from memedit.scope.router import Route, Router
from training.scope_data.dataset import Split
from training.scope_data.facts import Fact, SubjectSet, normalise, one_per_subject
from training.scope_data.held_out_memory import draw_distractors
from training.scope_data.pairs import NEAR_MISSES, Pair

logger = logging.getLogger(__name__)

QUERIES = 9_000
"""Calibration queries that are routed at most."""
EDITS = 10_000
"""Edits in the memory that they are routed over: the more are stored, the more often one looks meant."""
PRIOR = 0.25
"""Share of queries in scope that probabilities are true of; of the pairs made for training more than half are."""
STATEMENT_LOCALITY = 0.8
"""Share of the near-misses of free statements to keep out: whether a passage leaves a question open is far harder to
tell than whether one fact is another. With 0.95 fewer than half of the questions that it answers would be let in."""
_OF_STATEMENTS = ("statement", "statement_miss", "statement_other")


def calibrate_by_routing(
    classifier: ScopeClassifier,
    encoder: TextEncoder,
    split: Split,
    *,
    distractors: Sequence[Fact],
    locality: float,
    seed: int,
) -> None:
    """Fit the probability map and choose the threshold on routed queries.

    A router states the probability of the best of several candidates. Over pairs drawn one by one
    that number means less than it says: the best of eight is more often mistaken than one of one.

    Args:
        classifier: A trained classifier; it is calibrated in place.
        encoder: The encoder of the memory.
        split: The calibration split.
        distractors: Facts that fill the memory up to `EDITS`; they are searched, not asked.
        locality: Share of the near-misses to keep out, but for those of free statements.
        seed: Chooses the queries.
    """
    # What it was calibrated to before must not decide which candidate is the best.
    classifier.calibration_, classifier.threshold_ = IDENTITY, None
    facts = one_per_subject(split.facts)
    # Whatever wording of a fact a pair was made with, the query means the one that is stored.
    meant = {wording: fact.wordings[0] for fact in facts for wording in reversed(fact.wordings)}
    meant |= {pair.wording: pair.wording for pair in split.pairs if pair.family in _OF_STATEMENTS}
    stored = {fact.wordings[0]: fact.subject for fact in facts}
    stored |= {wording: "" for wording in meant.values() if wording not in stored}
    rng = random.Random(seed)
    for wording, subject in draw_distractors(distractors, "counterfact", EDITS, rng)[: max(0, EDITS - len(stored))]:
        stored.setdefault(wording, subject)
    subjects = SubjectSet(subject for subject in stored.values() if subject)
    asked = [(pair, meant[pair.wording]) for pair in split.pairs if pair.wording in meant]
    asked = [(pair, own) for pair, own in asked if pair.query != own and _is_clean(pair, stored[own], subjects)]
    asked = rng.sample(asked, min(QUERIES, len(asked)))
    with EditMemory(None, encoder) as memory:
        memory.add_many(({"prompt": wording, "target": "a new answer"} for wording in stored), progress=True)
        routes = route_all(Router(memory, classifier, cache_size=0), [pair.query for pair, _ in asked])
    found = [(pair, own, route) for (pair, own), route in zip(asked, routes, strict=True) if route.candidates]
    logger.info("calibrating on %d routed queries over %d edits", len(found), len(stored))
    best = [route.candidates[0].wording for _, _, route in found]
    classifier.calibrate(
        [(wording, route.query) for wording, (_, _, route) in zip(best, found, strict=True)],
        [pair.in_scope and wording == own for wording, (pair, own, _) in zip(best, found, strict=True)],
        locality=locality,
        statement_locality=STATEMENT_LOCALITY,
        prior=PRIOR,
        near_misses=[pair.family in NEAR_MISSES for pair, _, _ in found],
    )


def route_all(router: Router, queries: Sequence[str]) -> list[Route]:
    """Route any number of queries, some dozens at a time."""
    return [route for start in range(0, len(queries), 64) for route in router.route(queries[start : start + 64])]


def _is_clean(pair: Pair, subject: str, subjects: SubjectSet) -> bool:
    """Whether a negative is surely out of scope of the whole memory, not of the edit about `subject` alone."""
    # A name that is there with a typing error is found in the query as it was before.
    return pair.in_scope or subjects.found(pair.query) | subjects.found(pair.plain) <= {normalise(subject)}
