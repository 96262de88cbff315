"""What the scope classifier is worth: routing over whole memories of edits never trained on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from memedit.evaluation.cases import LocalityKind
from memedit.evaluation.routing import routing_scores
from memedit.memory import EditMemory
from memedit.memory.encoding import TextEncoder
from memedit.scope.classifier import ScopeClassifier
from memedit.scope.router import Route, Router
from training.scope_data.bank import TemplateBank
from training.scope_data.facts import Fact, SubjectSet, normalise, read_facts, read_test_facts
from training.scope_data.pairs import read_unrelated

Scores = dict[str, float | int | str | None]


@dataclass(frozen=True)
class Setting:
    """One memory: how many edits, whose paraphrases are asked, and how many of them."""

    source: str
    edits: int
    queries: int


SETTINGS = (
    Setting("counterfact", 1_000, 1_000),
    Setting("counterfact", 10_000, 1_000),
    Setting("zsre", 900, 900),
    Setting("zsre", 10_000, 900),
)


def measure_routing(
    classifier: ScopeClassifier, encoder: TextEncoder, data: Path, *, seed: int, scale: float = 1.0
) -> tuple[list[Scores], list[str]]:
    """Route held-out paraphrases and near-misses over memories of each size.

    The queried edits are held out, one per subject. Memories larger than the held-out data are
    filled with training edits as distractors: these are searched but not asked.

    Args:
        classifier: The trained and calibrated classifier.
        encoder: The encoder of the memory.
        data: The public data.
        seed: Chooses edits and queries.
        scale: Share of the full size, for a quick look.

    Returns:
        One dict of scores for each setting, and examples of what went wrong.
    """
    facts, distractors = read_test_facts(data), read_facts(data)
    unrelated = read_unrelated(data)[-1000:]
    scores: list[Scores] = []
    errors: list[str] = []
    for setting in tqdm(SETTINGS, desc="held-out memories"):
        rng = random.Random(seed)
        pool = _one_per_subject([fact for fact in facts if fact.source == setting.source])
        rng.shuffle(pool)
        edits = pool[: int(setting.edits * scale)]
        asked = edits[: int(setting.queries * scale)]
        fill = _one_per_subject([f for f in distractors if f.source == setting.source] + distractors)
        edits = edits + fill[: int(setting.edits * scale) - len(edits)]
        found, wrong = _route_all(classifier, encoder, edits, asked, unrelated, rng, scale)
        scores.append({"memory": f"{setting.source}, {len(edits)} edits", **found})
        errors += wrong
    return scores, errors


def _route_all(
    classifier: ScopeClassifier,
    encoder: TextEncoder,
    edits: Sequence[Fact],
    asked: Sequence[Fact],
    unrelated: Sequence[str],
    rng: random.Random,
    scale: float,
) -> tuple[Scores, list[str]]:
    bank = TemplateBank(edits)
    with EditMemory(None, encoder) as memory:
        stored = memory.add_many(
            ({"prompt": fact.wordings[0], "target": "a new answer"} for fact in edits), progress=True
        )
        ids = {fact: edit.id for fact, edit in zip(edits, stored, strict=True)}
        router = Router(memory, classifier)
        queries = [(fact, (*fact.queries, *fact.wordings[1:])[0]) for fact in asked]
        paraphrases = list(zip(_routed(router, [q for _, q in queries]), [ids[f] for f, _ in queries], strict=True))
        subjects = SubjectSet(fact.subject for fact in edits)
        near = [text for fact in asked for family, text in fact.others if family == "neighbour"]
        clean = [text for text in near if not subjects.found(text)]
        swapped = [text for fact in asked if (text := _swapped(fact, bank, subjects, rng))]
        same = [text for fact in asked if (text := bank.other_relation(fact, rng))]
        outside = {
            LocalityKind.NEIGHBOUR: _routed(router, clean or swapped),
            LocalityKind.SAME_SUBJECT: _routed(router, same),
            LocalityKind.UNRELATED: _routed(router, unrelated[: int(len(unrelated) * scale)]),
        }
    scores: Scores = dict(routing_scores(paraphrases, outside))
    missing = [(route, want) for route, want in paraphrases if not _considered(route, want)]
    scores |= {
        "retrieved": 1 - len(missing) / len(paraphrases),
        "paraphrases": len(paraphrases),
        "neighbours": len(outside[LocalityKind.NEIGHBOUR]),
        "neighbours_dropped": len(near) - len(clean) if near else 0,
        "same_subject": len(same),
        "route_ms": 1000 * sum(route.seconds for route, _ in paraphrases) / len(paraphrases),
    }
    errors = [f"missed: {_told(route)}" for route, _ in paraphrases if not route.in_scope][:8]
    for kind, routes in outside.items():
        errors += [f"fired on {kind.value}: {_told(route)}" for route in routes if route.in_scope][:8]
    return scores, errors


def _routed(router: Router, queries: Sequence[str]) -> list[Route]:
    return [route for start in range(0, len(queries), 64) for route in router.route(queries[start : start + 64])]


def _considered(route: Route, edit_id: str) -> bool:
    return any(candidate.edit.id == edit_id for candidate in route.candidates)


def _told(route: Route) -> str:
    wording = route.candidates[0].wording if route.candidates else "nothing near"
    return f"`{route.query}` | `{wording}` | {route.probability:.3f}"


def _swapped(fact: Fact, bank: TemplateBank, subjects: SubjectSet, rng: random.Random) -> str | None:
    """The question about a subject that is no edit's: the last letters of the name are changed."""
    words = fact.subject.split()
    other = bank.other_subject(fact, rng)
    if other is None:
        return None
    mixed = " ".join([*words[:-1], other.split()[-1]]) if len(words) > 1 else f"New {other}"
    text = fact.wordings[0].replace(fact.subject, mixed)
    return None if subjects.found(text) or text == fact.wordings[0] else text


def _one_per_subject(facts: Sequence[Fact]) -> list[Fact]:
    return list({normalise(fact.subject): fact for fact in facts}.values())
