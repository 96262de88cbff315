"""How well queries are routed with the whole memory loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from memedit.evaluation.cases import LocalityKind
from memedit.evaluation.metrics import auroc, expected_calibration_error
from memedit.evaluation.questions import GENERALITY, Question
from memedit.evaluation.subject import RoutedQuery
from memedit.scope.report import curve_of, reliability_of

KEPT_OUT = {
    LocalityKind.NEIGHBOUR: "neighbour_kept_out",
    LocalityKind.SAME_SUBJECT: "same_subject_kept_out",
    LocalityKind.UNRELATED: "unrelated_kept_out",
}
"""`LocalityKind.FORGETFULNESS` is left out, being in scope by its words."""

Outcomes = Sequence[tuple[str | None, float]]
"""For each question the edit it belongs to (None for none) and its outcome, as `interval` takes them."""


def routing_outcomes(questions: Sequence[Question]) -> dict[str, Outcomes]:
    """What became of each routed query, by the share it counts for.

    Args:
        questions: Answered questions; those without a route are passed over.

    Returns:
        `paraphrase_recall` (the right edit chosen), `wrong_edit` (another chosen), `precision` (of
        the paraphrases and out-of-scope queries for which an edit was chosen: the right one) and
        for each kind of out-of-scope query whether it was kept out.
    """
    inside, outside = _meant(questions), _not_meant(questions)
    fired: list[tuple[str | None, bool]] = [(edit, route.edit.id == edit) for edit, route in inside if route.edit]
    fired += [(question.edit_id, False) for question, route in outside if route.edit]
    return {
        "paraphrase_recall": [(edit, route.edit is not None and route.edit.id == edit) for edit, route in inside],
        "wrong_edit": [(edit, route.edit is not None and route.edit.id != edit) for edit, route in inside],
        "precision": fired,
        **{
            name: [(question.edit_id, route.edit is None) for question, route in outside if question.asks == kind]
            for kind, name in KEPT_OUT.items()
        },
    }


def routing_figures(questions: Sequence[Question]) -> dict[str, float | None]:
    """What is no share: `auroc` and `ece`, both of the stated probability of being in scope.

    Args:
        questions: Answered questions; those without a route are passed over.

    Returns:
        `auroc` of paraphrases against out-of-scope queries, and `ece` in 15 bins over both; None
        where nothing was asked, and `ece` also where what is stated is no probability.
    """
    inside, outside = _meant(questions), _not_meant(questions)
    stated, labels = _stated(questions)
    return {
        "auroc": auroc([route.probability for _, route in inside], [route.probability for _, route in outside]),
        "ece": expected_calibration_error(stated, labels) if _are_probabilities(questions) else None,
    }


def routing_curves(questions: Sequence[Question]) -> dict[str, Any] | None:
    """What reliability diagram and precision/recall curve are drawn from.

    Args:
        questions: Answered questions; those without a route are passed over.

    Returns:
        `reliability` (bins) and `curve` (points) as in `ScopeReport.to_dict`, over paraphrases and
        out-of-scope queries, recall being the share of all paraphrases that get the right edit;
        `reliability` is None where what is stated is no probability. None where nothing was asked.
    """
    stated, labels = _stated(questions)
    if not stated:
        return None
    scores, inside = np.asarray(stated, dtype=np.float64), np.asarray(labels, dtype=bool)
    bins = reliability_of(scores, inside) if _are_probabilities(questions) else None
    # A paraphrase whose edit is not the best candidate is never answered rightly, at no threshold.
    reached = sum(labels) / max(1, len(_meant(questions)))
    return {
        "reliability": None if bins is None else [asdict(each) for each in bins],
        "curve": [{**asdict(point), "recall": reached * point.recall} for point in curve_of(scores, inside)],
    }


def _meant(questions: Sequence[Question]) -> list[tuple[str, RoutedQuery]]:
    """Paraphrases: the edit that each means, and its route."""
    return [(q.edit_id, q.route) for q in questions if q.asks == GENERALITY and q.route and q.edit_id]


def _not_meant(questions: Sequence[Question]) -> list[tuple[Question, RoutedQuery]]:
    return [(q, q.route) for q in questions if q.asks in KEPT_OUT and q.route]


def _stated(questions: Sequence[Question]) -> tuple[list[float], list[bool]]:
    """Each stated probability, and whether the best candidate, which it speaks of, was meant."""
    inside, outside = _meant(questions), [route for _, route in _not_meant(questions)]
    labels = [_is_best_candidate(route, edit) for edit, route in inside]
    return [route.probability for route in (*(r for _, r in inside), *outside)], labels + [False] * len(outside)


def _is_best_candidate(route: RoutedQuery, wanted: str) -> bool:
    """Whether the stated probability, which is the best candidate's, is about the right edit.

    Without a candidate "nothing is in scope" was stated, with probability 0, and was wrong.
    """
    return not route.candidates or bool(route.candidates[0].edit.id == wanted)


def _are_probabilities(questions: Sequence[Question]) -> bool:
    return all(question.route.states_probability for question in questions if question.route)
