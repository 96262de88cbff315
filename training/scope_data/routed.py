"""Calibration on what a router really decides: the best candidate of each query, the memory loaded."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence

from memedit.memory import EditMemory
from memedit.memory.encoding import TextEncoder
from memedit.scope.calibration import IDENTITY
from memedit.scope.classifier import ScopeClassifier
from memedit.scope.router import Route, Router
from memedit.scope.thresholds import Form
from training.scope_data.dataset import Split
from training.scope_data.facts import Fact, SubjectSet, normalise, one_per_subject
from training.scope_data.held_out_memory import draw_distractors
from training.scope_data.pairs import NEAR_MISSES, Pair

logger = logging.getLogger(__name__)

QUERIES = 15_000
"""Calibration queries that are routed at most."""
EDITS = 10_000
"""Edits in the memory that they are routed over: the more are stored, the more often one looks meant."""
PRIOR = 0.25
"""Share of queries in scope that probabilities are true of; of the pairs made for training more than half are."""
LOCALITIES: Mapping[Form, float] = {"statement": 0.82}
"""Share of the near-misses to keep out of the forms of edit for which the stated one is not wanted. Whether a passage
leaves a question open is far harder to tell than whether one fact is another: with 0.9 two in ten of the questions
that it answers would not be let in, with this one in ten."""
ROUNDS = 2
"""Which candidate is the best depends on the map, and the map is learned from the best ones. The second round has
another candidate for 1 query in 16, a third one would have for 1 in 140."""
_UNRELATED = ("unrelated", "statement_unrelated")
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
        locality: Share of the near-misses to keep out, but for the forms of edit in `LOCALITIES`.
        seed: Chooses the queries.
    """
    # What it was calibrated to before must not decide which candidate is the best.
    classifier.calibration_, classifier.threshold_ = IDENTITY, None
    rng = random.Random(seed)
    stored, meant = _memory_of(split, distractors, rng)
    asked = _asked(split, stored, meant, rng)
    # Of unrelated traffic there are only a few hundred questions: all of them are asked, each once.
    asked += [Pair("", text, in_scope=False, family="unrelated", plain=text) for text in split.unrelated]
    queries = [pair.query for pair in asked]
    with EditMemory(None, encoder) as memory:
        memory.add_many(({"prompt": wording, "target": "a new answer"} for wording in stored), progress=True)
        for _ in range(ROUNDS):
            routes = route_all(Router(memory, classifier, cache_size=0), queries)
            _calibrate(classifier, asked, routes, meant, locality)


def _calibrate(
    classifier: ScopeClassifier,
    asked: Sequence[Pair],
    routes: Sequence[Route],
    meant: Mapping[str, str],
    locality: float,
) -> None:
    """Calibrate on the best candidate of each query that has one.

    Unrelated questions count as much as near-misses, together: in life there are more of them, here far fewer.
    """
    near_misses = sum(pair.family in NEAR_MISSES for pair in asked)
    unrelated = near_misses / max(1, sum(pair.family == "unrelated" for pair in asked))
    found = [(pair, route) for pair, route in zip(asked, routes, strict=True) if route.candidates]
    logger.info("calibrating on %d routed queries", len(found))
    best = [route.candidates[0].wording for _, route in found]
    classifier.calibrate(
        [(wording, pair.query) for wording, (pair, _) in zip(best, found, strict=True)],
        [pair.in_scope and wording == meant[pair.wording] for wording, (pair, _) in zip(best, found, strict=True)],
        locality=locality,
        localities=LOCALITIES,
        prior=PRIOR,
        near_misses=[pair.family in NEAR_MISSES for pair, _ in found],
        sample_weight=[unrelated if pair.family == "unrelated" else 1.0 for pair, _ in found],
    )


def route_all(router: Router, queries: Sequence[str]) -> list[Route]:
    """Route any number of queries, some dozens at a time."""
    return [route for start in range(0, len(queries), 64) for route in router.route(queries[start : start + 64])]


def _memory_of(split: Split, distractors: Sequence[Fact], rng: random.Random) -> tuple[dict[str, str], dict[str, str]]:
    """The wordings to store, each with its subject, and of each wording that a pair may have the one it stands for."""
    stored, meant = dict[str, str](), dict[str, str]()
    for fact in one_per_subject(split.facts):
        # Any of its wordings, so that each form of edit has near-misses of more facts.
        chosen = rng.choice(fact.wordings)
        stored[chosen] = fact.subject
        meant |= dict.fromkeys(fact.wordings, chosen)
    meant |= {pair.wording: pair.wording for pair in split.pairs if pair.family in _OF_STATEMENTS}
    stored |= {wording: "" for wording in meant.values() if wording not in stored}
    for wording, subject in draw_distractors(distractors, "counterfact", EDITS, rng)[: max(0, EDITS - len(stored))]:
        stored.setdefault(wording, subject)
    return stored, meant


def _asked(split: Split, stored: Mapping[str, str], meant: Mapping[str, str], rng: random.Random) -> list[Pair]:
    """Pairs whose query no other edit of the memory answers, those about unrelated things aside."""
    subjects = SubjectSet(subject for subject in stored.values() if subject)
    related = [pair for pair in split.pairs if pair.family not in _UNRELATED]
    pairs = [pair for pair in related if pair.wording in meant and pair.query != meant[pair.wording]]
    asked = [pair for pair in pairs if _is_clean(pair, stored[meant[pair.wording]], subjects)]
    return rng.sample(asked, min(QUERIES, len(asked)))


def _is_clean(pair: Pair, subject: str, subjects: SubjectSet) -> bool:
    """Whether no other edit of the memory answers the query than the one about `subject`, if it does."""
    own, plain = normalise(subject), normalise(pair.plain)
    # A name with a typing error is found in the query as it was before.
    asked = subjects.found(pair.plain)
    if not pair.in_scope:
        return subjects.found(pair.query) | asked <= {own}
    # What was put beside the query may tell of another edit's subject, and a short form be that of others too.
    short = {*own.split()} & {*plain.split()} if own and own not in plain else set()
    return subjects.found(pair.query) - asked <= {own} and not (short and subjects.having(short) - {own})
