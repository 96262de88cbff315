from __future__ import annotations

from dataclasses import fields, replace

import pytest

from memedit.edits import Edit
from memedit.evaluation.baselines.retrieval import ScoredRoute
from memedit.evaluation.cases import LocalityKind, Probe
from memedit.evaluation.questions import GENERALITY, Question
from memedit.evaluation.routing import routing_curves, routing_figures, routing_outcomes
from memedit.scope.router import Candidate, Route

A, B = (Edit(id=name, prompt=name, target="x") for name in "ab")


def asked(asks: str, best: Edit | None, probability: float, edit: str | None = "a", threshold: float = 0.5) -> Question:
    """A question about an edit, routed with one candidate or none."""
    fired = best if probability >= threshold else None
    candidates = (Candidate(best, best.prompt, 0.9, probability, threshold),) if best else ()
    return Question(
        asks, Probe("q"), True, edit, route=Route("q", fired, probability, threshold, candidates, "because", 0.0)
    )


QUESTIONS = [
    asked(GENERALITY, A, 0.9),
    asked(GENERALITY, B, 0.8),
    asked(GENERALITY, A, 0.3),
    asked(GENERALITY, None, 0.0),
    asked(LocalityKind.NEIGHBOUR, A, 0.7),
    asked(LocalityKind.NEIGHBOUR, A, 0.1),
    asked(LocalityKind.UNRELATED, None, 0.0, edit=None),
    asked(LocalityKind.FORGETFULNESS, A, 1.0),
    Question(GENERALITY, Probe("not routed"), True, "a"),
]


def test_routing_shares_by_hand() -> None:
    """Recall, wrong edits, precision and the three kinds kept out are those counted by hand."""
    found = {name: [outcome for _, outcome in each] for name, each in routing_outcomes(QUESTIONS).items()}
    assert found["paraphrase_recall"] == [True, False, False, False]
    assert found["wrong_edit"] == [False, True, False, False]
    # Three fired: the right edit once, a wrong one for a paraphrase, one for a neighbour.
    assert sorted(found["precision"]) == [False, False, True]
    assert found["neighbour_kept_out"] == [False, True]
    assert found["unrelated_kept_out"] == [True]
    assert found["same_subject_kept_out"] == []


def test_auroc_and_calibration_error_by_hand() -> None:
    """Both judge the stated probability of paraphrases against out-of-scope queries."""
    found = routing_figures(QUESTIONS)
    # Pairs in the right order: 0.9 and 0.8 above 3 each; 0.3 above 2; 0.0 ties one.
    assert found["auroc"] == pytest.approx((3 + 3 + 2 + 0.5) / 12)
    # In scope of the best candidate: yes for 0.9 and 0.3, no for 0.8 (wrong edit), yes for nothing found.
    gaps = [0.1, 0.8, 0.7, 0.7, 0.1]
    assert found["ece"] == pytest.approx((sum(gaps) + 1.0) / 7)


def test_curves_cover_what_was_routed() -> None:
    """Reliability bins hold each routed query once; recall ends where the best candidates are right."""
    curves = routing_curves(QUESTIONS)
    assert curves is not None
    assert sum(each["count"] for each in curves["reliability"]) == 7
    assert max(each["recall"] for each in curves["curve"]) == 3 / 4
    at_threshold = next(each for each in curves["curve"] if each["threshold"] == 0.7)
    assert (at_threshold["precision"], at_threshold["recall"]) == pytest.approx((1 / 3, 1 / 4))


def test_scores_that_are_no_probabilities_have_no_calibration() -> None:
    """A retrieval score can be ranked, but states no probability, whether or not it lies between 0 and 1."""
    found = asked(GENERALITY, A, 9.5), asked(LocalityKind.NEIGHBOUR, A, 0.3)
    scored = [ScoredRoute(**{f.name: getattr(q.route, f.name) for f in fields(Route)}) for q in found]
    questions = [replace(question, route=route) for question, route in zip(found, scored, strict=True)]
    assert routing_figures(questions) == {"auroc": 1.0, "ece": None}
    curves = routing_curves(questions)
    assert curves is not None
    assert curves["reliability"] is None
    assert [(point["threshold"], point["precision"]) for point in curves["curve"]] == [(0.3, 0.5), (9.5, 1.0)]


def test_routing_of_nothing_is_unknown() -> None:
    """Without queries nothing is counted and every figure is None."""
    assert not any(routing_outcomes([]).values())
    assert set(routing_figures([]).values()) == {None}
    assert routing_curves([]) is None
