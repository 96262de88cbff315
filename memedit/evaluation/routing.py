"""How well queries are routed with the whole memory loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from memedit.evaluation.cases import LocalityKind
from memedit.evaluation.metrics import auroc, expected_calibration_error, share
from memedit.evaluation.subject import RoutedQuery

KEPT_OUT = {
    LocalityKind.NEIGHBOUR: "neighbour_kept_out",
    LocalityKind.SAME_SUBJECT: "same_subject_kept_out",
    LocalityKind.UNRELATED: "unrelated_kept_out",
}


def routing_scores(
    paraphrases: Sequence[tuple[RoutedQuery, str]],
    out_of_scope: Mapping[LocalityKind, Sequence[RoutedQuery]],
) -> dict[str, float | None]:
    """Score routing decisions.

    Args:
        paraphrases: Decisions about paraphrases, each with the id of the edit it means.
        out_of_scope: Decisions about queries that mean no stored edit, by kind;
            `LocalityKind.FORGETFULNESS` is left out, being in scope by its words.

    Returns:
        `paraphrase_recall` (the right edit chosen), `wrong_edit` (another chosen), for each kind
        the share kept out, `auroc` of the in-scope probability of paraphrases against all
        out-of-scope queries, and `ece` (15 bins) of that probability; None where nothing was
        asked.
    """
    chosen = [(route.edit.id if route.edit else None, wanted) for route, wanted in paraphrases]
    outside = [route for kind in KEPT_OUT for route in out_of_scope.get(kind, ())]
    stated = [route.probability for route, _ in paraphrases]
    meant = [_is_best_candidate(route, wanted) for route, wanted in paraphrases]
    stated_outside = [route.probability for route in outside]
    return {
        "paraphrase_recall": share(found == wanted for found, wanted in chosen),
        "wrong_edit": share(found not in (None, wanted) for found, wanted in chosen),
        **{name: share(route.edit is None for route in out_of_scope.get(kind, ())) for kind, name in KEPT_OUT.items()},
        "auroc": auroc(stated, stated_outside),
        "ece": expected_calibration_error(stated + stated_outside, meant + [False] * len(stated_outside)),
    }


def _is_best_candidate(route: RoutedQuery, wanted: str) -> bool:
    """Whether the stated probability, which is the best candidate's, is about the right edit.

    Without a candidate "nothing is in scope" was stated, with probability 0, and was wrong.
    """
    return not route.candidates or bool(route.candidates[0].edit.id == wanted)
