"""Scores of answers: normalisation, exact match, calibration, separation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_auc_score

from memedit.scope.report import calibration_error
from memedit.scope.words import NO_SPACES

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_SPACE_BESIDE = re.compile(rf"(?<={NO_SPACES.pattern})\s+|\s+(?={NO_SPACES.pattern})")
_ASCII_SYMBOLS = frozenset("$+<=>^`|~")
"""What `string.punctuation` holds beside Unicode's punctuation: SQuAD removes these as well."""


def normalize_answer(text: str) -> str:
    """Lower case, without punctuation, articles and superfluous white space.

    The rule of SQuAD (Rajpurkar et al. 2016), with two additions for text beyond English: Unicode
    is brought to one form (NFKC) and its punctuation counts as punctuation; white space beside
    characters of writings without spaces (`NO_SPACES`) is removed, since tokenizers put it there
    at will.

    Args:
        text: An answer.

    Returns:
        The form in which answers are compared. An answer that is nothing but articles and
        punctuation ("A", "The The") is kept in lower case, so that it does not equal every other.
    """
    lowered = unicodedata.normalize("NFKC", text).lower()
    plain = "".join(character for character in lowered if not _is_punctuation(character))
    words = " ".join(_ARTICLES.sub(" ", plain).split())
    return _SPACE_BESIDE.sub("", words or " ".join(lowered.split()))


def exact_match(prediction: str, answers: str | Iterable[str]) -> bool:
    """Whether the prediction equals an accepted answer after `normalize_answer`.

    Args:
        prediction: What the model said, cut where the answer ends.
        answers: The accepted answer, or several.
    """
    accepted = (answers,) if isinstance(answers, str) else answers
    found = normalize_answer(prediction)
    return bool(found) and any(found == normalize_answer(answer) for answer in accepted)


def share(outcomes: Iterable[bool]) -> float | None:
    """Share of the outcomes that are true, in [0, 1]; None where there are none."""
    counted = [bool(outcome) for outcome in outcomes]
    return sum(counted) / len(counted) if counted else None


def expected_calibration_error(probabilities: ArrayLike, labels: ArrayLike) -> float | None:
    """Mean distance between stated probability and observed share in 15 bins (Guo et al. 2017).

    Args:
        probabilities: Stated probabilities of the positive class, float array (n,) in [0, 1].
        labels: What was the case, bool array (n,).

    Returns:
        The mean over bins of |observed share - mean probability|, weighted by their size; None
        for n = 0.
    """
    stated: NDArray[np.float64] = np.asarray(probabilities, dtype=np.float64)
    observed: NDArray[np.float64] = np.asarray(labels, dtype=np.float64)
    return calibration_error(stated, observed) if len(stated) else None


def auroc(positives: Sequence[float], negatives: Sequence[float]) -> float | None:
    """Area under the ROC curve: how often a positive is scored above a negative.

    Args:
        positives: Scores of what should score high.
        negatives: Scores of what should score low.

    Returns:
        A share in [0, 1], ties counting half; None where one side is empty.
    """
    if not positives or not negatives:
        return None
    labels = [1] * len(positives) + [0] * len(negatives)
    return float(roc_auc_score(labels, [*positives, *negatives]))


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character).startswith("P") or character in _ASCII_SYMBOLS
