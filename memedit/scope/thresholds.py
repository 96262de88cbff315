"""The threshold from which an edit fires, for a stated locality."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

LOWEST_THRESHOLD = 0.5
"""An edit held less likely than not never fires, however rarely near-misses are mistaken."""
NEAR_MISSES_OF_A_FORM = 300
"""With fewer a form of edit has no threshold of its own: 297 of 300 kept out may be 0.971 in truth (95 %)."""
QUESTION_MARKS = ("?", "？", "؟")


@dataclass(frozen=True)
class Threshold:
    """The probability from which an edit fires, and what it was chosen on.

    Attributes:
        value: The threshold.
        stated_locality: Share of near-misses that was to be kept out.
        measured_locality: Share of the near-misses kept out at `value`.
        measured_recall: Share of the in-scope pairs let in at `value`.
        near_misses: How many near-misses it was chosen on.
        positives: How many in-scope pairs the recall was measured on.
        locality_low: Lower end of the 95 % interval of the locality (Wilson), as far as
            `near_misses` independent near-misses can tell; 0 in files of early versions.
        locality_high: Its upper end; 1 in files of early versions.
        questions: The threshold of edits worded as questions, where it was chosen apart; None where this one is theirs
            too.
    """

    value: float
    stated_locality: float
    measured_locality: float
    measured_recall: float
    near_misses: int
    positives: int
    locality_low: float = 0.0
    locality_high: float = 1.0
    questions: Threshold | None = None

    def of(self, wordings: Sequence[str]) -> Floats:
        """The threshold of each edit wording, float64 array (n,)."""
        asked = self.value if self.questions is None else self.questions.value
        return np.where(questions_among(wordings), asked, self.value)

    def to_json(self) -> dict[str, Any]:
        """The threshold as JSON-compatible values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Threshold:
        """The threshold that `to_json` wrote.

        Raises:
            TypeError: The values do not describe a threshold.
        """
        questions = values.get("questions")
        return cls(**{**values, "questions": None if questions is None else cls.from_json(questions)})


def questions_among(wordings: Sequence[str]) -> NDArray[np.bool_]:
    """Which edit wordings are questions, bool array (n,): those that end with a question mark, of any script."""
    return np.array([wording.rstrip().endswith(QUESTION_MARKS) for wording in wordings], dtype=bool)


def choose_by_form(
    wordings: Sequence[str], probabilities: ArrayLike, labels: ArrayLike, near_misses: ArrayLike, locality: float
) -> Threshold:
    """A threshold for edits worded as questions and one for all others, or one for all where few pairs are there.

    How near a miss can look differs: two questions say apart what is asked for, the beginnings of two sentences may be
    one word apart. With one threshold for both the stated locality would hold for their mixture only, and edits
    worded as questions would be held back by near-misses that are not theirs.

    Args:
        wordings: The edit wording of each pair.
        probabilities: Its probability, float array (n,).
        labels: True where the pair is in scope, bool array (n,).
        near_misses: True where it is none but looks like one, bool array (n,).
        locality: As for `choose_threshold`.

    Raises:
        ValueError: `locality` is out of range, or there are no near-misses or no pairs in scope.
    """
    stated = np.asarray(probabilities, dtype=np.float64)
    inside, near = np.asarray(labels, dtype=bool), np.asarray(near_misses, dtype=bool)
    asked = questions_among(wordings)
    counted = [int((near & rows).sum()) for rows in (asked, ~asked)]
    if min(counted) < NEAR_MISSES_OF_A_FORM or not (inside & asked).any() or not (inside & ~asked).any():
        return choose_threshold(stated[near], stated[inside], locality)
    questions = choose_threshold(stated[near & asked], stated[inside & asked], locality)
    others = choose_threshold(stated[near & ~asked], stated[inside & ~asked], locality)
    return replace(others, questions=questions)


def choose_threshold(near_misses: ArrayLike, positives: ArrayLike, locality: float) -> Threshold:
    """The lowest threshold, at least one half, that keeps out `locality` of the near-misses.

    Args:
        near_misses: Probabilities of held-out pairs that are not in scope but look like it.
        positives: Probabilities of held-out pairs in scope: how many remain is reported.
        locality: Share of near-misses to keep out, above 0 and at most 1.

    Raises:
        ValueError: `locality` is out of range or an array is empty.
    """
    misses = np.sort(np.asarray(near_misses, dtype=np.float64))
    hits = np.asarray(positives, dtype=np.float64)
    if not 0 < locality <= 1:
        raise ValueError(f"locality must be above 0 and at most 1, got {locality}")
    if not len(misses) or not len(hits):
        raise ValueError(f"expected near-misses and positives, got {len(misses)} and {len(hits)}")
    last_kept_out = misses[math.ceil(locality * len(misses)) - 1]
    value = max(LOWEST_THRESHOLD, float(np.nextafter(last_kept_out, np.inf)))
    kept_out = int((misses < value).sum())
    low, high = wilson_interval(kept_out, len(misses))
    return Threshold(
        value,
        locality,
        kept_out / len(misses),
        float((hits >= value).mean()),
        len(misses),
        len(hits),
        low,
        high,
    )


def wilson_interval(successes: float, trials: int, *, z: float = 1.959964) -> tuple[float, float]:
    """The interval that holds the true share with (nearly) the confidence of `z` (Wilson 1927).

    Unlike the usual normal interval it says something where all trials succeeded: 25 of 25 is
    between 0.87 and 1.

    Args:
        successes: How many trials succeeded; a fraction where trials succeed in part.
        trials: How many there were.
        z: Quantile of the normal distribution; the default is for 95 %.

    Raises:
        ValueError: There are no trials, or the successes are not among them.
    """
    if not 0 <= successes <= trials or not trials:
        raise ValueError(f"expected successes among at least one trial, got {successes} of {trials}")
    share = successes / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    spread = z * math.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2) / (1 + z * z / trials)
    # Exactly at the ends, where rounding would leave a share out of its own interval.
    return (0.0 if successes == 0 else middle - spread), (1.0 if successes == trials else middle + spread)
