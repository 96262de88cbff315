"""What the scope classifier is worth: routing over whole memories of edits never trained on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from memedit.evaluation.cases import LocalityKind, Probe
from memedit.evaluation.metrics import share
from memedit.evaluation.questions import GENERALITY, Question
from memedit.evaluation.routing import routing_figures, routing_outcomes
from memedit.memory import EditMemory
from memedit.memory.encoding import TextEncoder
from memedit.scope.classifier import ScopeClassifier
from memedit.scope.report import ScopeReport
from memedit.scope.router import Route, Router
from training.scope_data.held_out_memory import (
    HeldOut,
    KnownVectors,
    held_out_aspects,
    held_out_facts,
    held_out_passages,
    held_out_statements,
)
from training.scope_data.routed import route_all

REPORTED = 10_000
"""Size of the memories whose decisions are drawn as a reliability diagram and a precision/recall curve."""
ERRORS_SHOWN = 6
"""Examples of each family of errors that are kept for the card."""


@dataclass(frozen=True)
class Setting:
    """One memory: what is asked about, how many edits are stored, how many of them are asked."""

    source: str
    edits: int
    queries: int


SETTINGS = (
    Setting("counterfact", 1_000, 1_000),
    Setting("counterfact", 10_000, 1_500),
    Setting("counterfact", 100_000, 1_000),
    Setting("zsre", 1_000, 950),
    Setting("zsre", 10_000, 950),
    Setting("zsre", 100_000, 950),
    Setting("knowedit", 10_000, 400),
    Setting("statements", 10_000, 400),
    Setting("passages", 10_000, 500),
    Setting("aspects", 10_000, 600),
)
_MAKERS = {"statements": held_out_statements, "passages": held_out_passages, "aspects": held_out_aspects}
"""Of what is no file of facts, how its memory is made."""


def measure_routing(
    classifier: ScopeClassifier, encoder: TextEncoder, data: Path, settings: Sequence[Setting], *, seed: int
) -> tuple[dict[str, Any], ScopeReport | None]:
    """Route held-out queries over memories of each size.

    The edits that are asked about are held out, one per subject. Memories larger than the held-out
    data are filled with training edits as distractors: these are searched, not asked.

    Args:
        classifier: The trained and calibrated classifier.
        encoder: The encoder of the memory.
        data: The public data.
        settings: The memories.
        seed: Chooses edits and queries.

    Returns:
        `routing`, a dict of scores for each setting, and `errors`, examples of what went wrong by
        family; and the report on all decisions with `REPORTED` edits stored, if there were any.
    """
    rows: list[dict[str, Any]] = []
    errors: dict[str, list[str]] = defaultdict(list)
    stated: list[tuple[float, bool, bool]] = []
    known = KnownVectors(encoder)
    for setting in tqdm(settings, desc="held-out memories"):
        make = _MAKERS.get(setting.source, held_out_facts)
        held_out = make(data, setting.source, setting.edits, setting.queries, seed=seed, encoder=known)
        scores, decisions = _route_all(classifier, known, held_out, errors)
        rows.append({"memory": setting.source, "edits": len(held_out.wordings), **scores})
        if setting.edits == REPORTED:
            stated += decisions
    found = {"routing": rows, "errors": dict(errors)}
    if not stated:
        return found, None
    probabilities, fired, labels = zip(*stated, strict=True)
    return found, ScopeReport.measure(probabilities, labels, classifier.threshold, fired=fired)


def _route_all(
    classifier: ScopeClassifier, encoder: TextEncoder, held_out: HeldOut, errors: dict[str, list[str]]
) -> tuple[dict[str, Any], list[tuple[float, bool, bool]]]:
    """The scores of one memory, and of each decision its probability, whether an edit fired, and whether one should."""
    with EditMemory(None, encoder) as memory:
        memory.add_many(({"prompt": wording, "target": "a new answer"} for wording in held_out.wordings), progress=True)
        router = Router(memory, classifier, cache_size=0)
        inside = {
            family: list(zip(route_all(router, [query for query, _ in asked]), [w for _, w in asked], strict=True))
            for family, asked in held_out.inside.items()
        }
        outside = {family: route_all(router, texts) for family, texts in held_out.outside.items()}
    meant = [pair for family in inside for pair in inside[family]]
    by_wording = [(_as_id(route), wording) for route, wording in meant]
    questions = [_question(GENERALITY, route, _wanted(route, wording)) for route, wording in inside["paraphrase"]]
    questions += [_question(kind, route) for kind in LocalityKind for route in outside.get(kind.value, ())]
    shares = {name: share(outcome for _, outcome in found) for name, found in routing_outcomes(questions).items()}
    scores: dict[str, Any] = {**shares, **routing_figures(questions)}
    for family, pairs in inside.items():
        scores[f"{family}_recall"] = share(_as_id(route) == wording for route, wording in pairs)
    scores["wrong_edit"] = share(found not in (None, wording) for found, wording in by_wording)
    scores["name_swapped_kept_out"] = share(not route.in_scope for route in outside.get("name_swapped", ()))
    scores["retrieved"] = share(any(c.wording == wording for c in route.candidates) for route, wording in meant)
    scores["asked"] = {family: len(v) for family, v in {**inside, **outside}.items()}
    scores["dropped"] = held_out.dropped
    _collect(errors, inside, outside)
    decisions = [(route.probability, route.in_scope, _best(route) == wording) for route, wording in meant]
    decisions += [(route.probability, route.in_scope, False) for routes in outside.values() for route in routes]
    return scores, decisions


def _question(asks: str, route: Route, edit_id: str | None = None) -> Question:
    return Question(asks, Probe(route.query), scored=True, edit_id=edit_id, route=route)


def _collect(
    errors: dict[str, list[str]], inside: dict[str, list[tuple[Route, str]]], outside: dict[str, list[Route]]
) -> None:
    """Keep the first errors of each family as Markdown: query, best candidate, probability."""
    for family, pairs in inside.items():
        wrong = [(route, wording) for route, wording in pairs if _as_id(route) != wording]
        for route, wording in wrong[:ERRORS_SHOWN]:
            known = "" if _best(route) == wording else f" (meant: `{wording}`)"
            errors[f"missed, {family}"].append(_told(route) + known)
    for family, routes in outside.items():
        fired = [route for route in routes if route.in_scope]
        errors[f"fired, {family}"] += [_told(route) for route in fired[:ERRORS_SHOWN]]


def _as_id(route: Route) -> str | None:
    return route.edit.prompt if route.edit else None


def _best(route: Route) -> str | None:
    return route.candidates[0].edit.prompt if route.candidates else None


def _wanted(route: Route, wording: str) -> str:
    """The id of the edit with this wording, where it was considered at all."""
    return next((c.edit.id for c in route.candidates if c.edit.prompt == wording), "not retrieved")


def _told(route: Route) -> str:
    query = " ".join(route.query.split())
    return f"`{query}` | `{_best(route) or 'nothing near'}` | {route.probability:.3f}"
