from __future__ import annotations

import pytest

from memedit.edits import Edit
from memedit.evaluation.cases import LocalityKind
from memedit.evaluation.routing import routing_scores
from memedit.scope.router import Candidate, Route

A, B = (Edit(id=name, prompt=name, target="x") for name in "ab")


def route(best: Edit | None, probability: float, threshold: float = 0.5) -> Route:
    """A decision with one candidate, or none."""
    fired = best if probability >= threshold else None
    candidates = (Candidate(best, best.prompt, 0.9, probability),) if best else ()
    return Route("q", fired, probability, threshold, candidates, "because", 0.0)


def test_routing_scores_by_hand() -> None:
    """Recall, wrong edits, the three kinds kept out and AUROC are those counted by hand."""
    paraphrases = [(route(A, 0.9), "a"), (route(B, 0.8), "a"), (route(A, 0.3), "a"), (route(None, 0.0), "a")]
    outside = {
        LocalityKind.NEIGHBOUR: [route(A, 0.7), route(A, 0.1)],
        LocalityKind.UNRELATED: [route(None, 0.0)],
        LocalityKind.FORGETFULNESS: [route(A, 1.0)],
    }
    found = routing_scores(paraphrases, outside)
    assert found["paraphrase_recall"] == 0.25
    assert found["wrong_edit"] == 0.25
    assert found["neighbour_kept_out"] == 0.5
    assert found["unrelated_kept_out"] == 1.0
    assert found["same_subject_kept_out"] is None
    # Pairs in the right order: 0.9 and 0.8 above 3 each; 0.3 above 2; 0.0 ties one.
    assert found["auroc"] == pytest.approx((3 + 3 + 2 + 0.5) / 12)
    # In scope of the best candidate: yes for 0.9 and 0.3, no for 0.8 (wrong edit), yes for nothing found.
    gaps = [0.1, 0.8, 0.7, 0.7, 0.1]
    assert found["ece"] == pytest.approx((sum(gaps) + abs(1 - 0.0 * 2)) / 7)


def test_routing_of_nothing_is_unknown() -> None:
    """Without queries every routing score is None."""
    assert set(routing_scores([], {}).values()) == {None}
