"""From answered questions to the figures of a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from memedit.evaluation.cases import LocalityKind, portability_kind
from memedit.evaluation.intervals import interval
from memedit.evaluation.judging import Judge
from memedit.evaluation.protocols import Evaluation
from memedit.evaluation.questions import GENERALITY, PORTABILITY, RELIABILITY, Question
from memedit.evaluation.routing import Outcomes, routing_curves, routing_figures, routing_outcomes
from memedit.evaluation.scoring import accepted, is_contained, probe_f1, references

ANSWERED = (RELIABILITY, GENERALITY, PORTABILITY)
"""Questions with accepted answers; the others are to be answered as the base does."""
Score = Callable[[Question], float | None]
"""A score of an answered question, None where it has none."""


def build_report(evaluation: Evaluation, settings: Mapping[str, Any], judge: Judge | None = None) -> dict[str, Any]:
    """The report as JSON-compatible values.

    Args:
        evaluation: What was asked and measured.
        settings: Everything needed to run it again; copied as it is.
        judge: Decides beside the rules whether an answer is right; its share is a column of its own.

    Returns:
        Shares in [0, 1], None where the data has no such question: `reliability`, `generality` (exact match),
        `portability` and `portability_by_kind` (`PortabilityKind`), `locality` (by kind, token identity
        with the base), `routing`, `scores` (containment, mean token F1 and the judge's share),
        `synthetic` (teacher-forced token accuracy) and `neighbourhood_score` (CounterFact's); under
        `intervals` each of them again with its bootstrap interval (`Interval`); `fluency` in bits;
        `curves`, from which reliability diagram and precision/recall are drawn; `cost` in the units
        its names say; `dropped`, `counts`, `settings`; and under `raw` the same without cleaning.
    """
    questions = evaluation.questions
    scored = [question for question in questions if question.scored]
    outcomes, raw = _outcomes(scored, judge), _outcomes(questions, judge)
    return {
        **_shares(scored, outcomes),
        "intervals": _each(outcomes, _interval),
        "curves": routing_curves(scored),
        "cost": dict(evaluation.cost),
        "dropped": dict(evaluation.dropped),
        "counts": {**evaluation.counts, "scored": len(scored), "asked": len(questions)},
        "settings": dict(settings),
        "raw": {**_shares(questions, raw), "intervals": _each(raw, _interval)},
    }


def answer_rows(evaluation: Evaluation, judge: Judge | None = None) -> list[dict[str, Any]]:
    """Every question and answer as JSON-compatible values, to be checked by reading.

    Args:
        evaluation: What was asked.
        judge: Adds its verdicts as `judged`.
    """
    scores = _scores(judge)
    return [
        {
            "asks": str(question.asks),
            "kind": question.probe.kind,
            "row": question.row,
            "prompt": question.probe.prompt,
            "accepted": accepted(question.probe),
            "answer": question.answer.text if question.answer else None,
            "base": question.base_answer.text if question.base_answer else None,
            "passed": question.passed,
            **({name: score(question) for name, score in scores.items()} if question.asks in ANSWERED else {}),
            "scored": question.scored,
            "edit": question.edit_id,
            "routed_to": question.route.edit.id if question.route and question.route.edit else None,
            "probability": question.route.probability if question.route else None,
        }
        for question in evaluation.questions
    ]


def _shares(questions: Sequence[Question], outcomes: Mapping[str, Any]) -> dict[str, Any]:
    shares = _each(outcomes, _mean)
    written = [(None, question.fluency) for question in questions if question.fluency is not None]
    return {
        **shares,
        "routing": {**shares["routing"], **routing_figures(questions)},
        "fluency": _mean(written),
    }


def _outcomes(questions: Sequence[Question], judge: Judge | None) -> dict[str, Any]:
    """For each share, grouped as in the report, the outcome of every question that counts for it."""
    portability = [question for question in questions if question.asks == PORTABILITY]
    kinds = sorted({portability_kind(question.probe.kind) for question in portability})
    return {
        "reliability": _of(questions, RELIABILITY, _passed),
        "generality": _of(questions, GENERALITY, _passed),
        "locality": {kind.value: _of(questions, kind, _passed) for kind in LocalityKind},
        "portability": _of(portability, PORTABILITY, _passed),
        "portability_by_kind": {
            kind.value: _of([q for q in portability if portability_kind(q.probe.kind) is kind], PORTABILITY, _passed)
            for kind in kinds
        },
        "scores": {
            name: {asks: _of(questions, asks, score) for asks in ANSWERED} for name, score in _scores(judge).items()
        },
        "synthetic": {asks: _of(questions, asks, lambda question: question.synthetic) for asks in ANSWERED},
        "neighbourhood_score": _of(questions, LocalityKind.NEIGHBOUR, lambda question: question.prefers_true),
        "routing": routing_outcomes(questions),
    }


def _of(questions: Sequence[Question], asks: str, score: Score) -> Outcomes:
    """The scores of what asks this, where there is one."""
    scored = ((question.edit_id, score(question)) for question in questions if question.asks == asks)
    return [(edit, value) for edit, value in scored if value is not None]


def _passed(question: Question) -> bool:
    return question.passed


def _scores(judge: Judge | None) -> dict[str, Score]:
    """Scores beside exact match of questions that have accepted answers."""
    scores: dict[str, Score] = {
        "contains": lambda question: is_contained(_said(question), question.probe),
        "token_f1": lambda question: probe_f1(_said(question), question.probe),
    }
    if judge is not None:
        scores["judged"] = lambda question: judge(question.probe.prompt, references(question.probe), _said(question))
    return scores


def _said(question: Question) -> str:
    return question.answer.text if question.answer else ""


def _each(outcomes: Mapping[str, Any], function: Callable[[Outcomes], Any]) -> dict[str, Any]:
    return {
        name: _each(value, function) if isinstance(value, Mapping) else function(value)
        for name, value in outcomes.items()
    }


def _mean(outcomes: Outcomes) -> float | None:
    return sum(outcome for _, outcome in outcomes) / len(outcomes) if outcomes else None


def _interval(outcomes: Outcomes) -> dict[str, float | int] | None:
    found = interval(outcomes)
    return None if found is None else asdict(found)
