"""From answered questions to the figures of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memedit.evaluation.cases import LocalityKind
from memedit.evaluation.metrics import share
from memedit.evaluation.protocols import (
    GENERALITY,
    PORTABILITY,
    RELIABILITY,
    Evaluation,
    Question,
)
from memedit.evaluation.routing import routing_scores


def build_report(evaluation: Evaluation, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The report as JSON-compatible values.

    Args:
        evaluation: What was asked and measured.
        settings: Everything needed to run it again; copied as it is.

    Returns:
        Shares in [0, 1], None where the data has no such question: `reliability`, `generality`,
        `locality` (by kind, token identity with the base), `portability`,
        `portability_by_kind`, `routing`; `cost` in the units its names say; `dropped`, `counts`,
        `settings`; and under `raw` the same shares without cleaning.
    """
    questions = evaluation.questions
    scored = [question for question in questions if question.scored]
    return {
        **_shares(scored),
        "cost": dict(evaluation.cost),
        "dropped": dict(evaluation.dropped),
        "counts": {**evaluation.counts, "scored": len(scored), "asked": len(questions)},
        "settings": dict(settings),
        "raw": _shares(questions),
    }


def answer_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Every question and answer as JSON-compatible values, to be checked by reading."""
    return [
        {
            "asks": str(question.asks),
            "kind": question.probe.kind,
            "row": question.row,
            "prompt": question.probe.prompt,
            "accepted": list(question.probe.answers),
            "answer": question.answer.text if question.answer else None,
            "base": question.base_answer.text if question.base_answer else None,
            "passed": question.passed,
            "scored": question.scored,
            "edit": question.edit_id,
            "routed_to": question.route.edit.id if question.route and question.route.edit else None,
            "probability": question.route.probability if question.route else None,
        }
        for question in evaluation.questions
    ]


def _shares(questions: Sequence[Question]) -> dict[str, Any]:
    def passed(name: str) -> float | None:
        return share(question.passed for question in questions if question.asks == name)

    portability = [question for question in questions if question.asks == PORTABILITY]
    kinds = sorted({question.probe.kind for question in portability})
    return {
        "reliability": passed(RELIABILITY),
        "generality": passed(GENERALITY),
        "locality": {kind.value: passed(kind) for kind in LocalityKind},
        "portability": passed(PORTABILITY),
        "portability_by_kind": {
            kind: share(question.passed for question in portability if question.probe.kind == kind) for kind in kinds
        },
        "routing": _routing(questions),
    }


def _routing(questions: Sequence[Question]) -> dict[str, float | None]:
    paraphrases = [
        (question.route, question.edit_id)
        for question in questions
        if question.asks == GENERALITY and question.route and question.edit_id
    ]
    outside = {kind: [q.route for q in questions if q.asks == kind and q.route] for kind in LocalityKind}
    return routing_scores(paraphrases, outside)
