"""Confidence intervals of shares over questions that hang together by their edits."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np

from memedit.scope.thresholds import wilson_interval

RESAMPLES = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with what its sample can tell about the true one.

    Attributes:
        value: The mean over questions.
        low: Lower end of the 95 % interval.
        high: Its upper end.
        n: How many questions.
        edits: How many edits they belong to; a question of no edit counts as one.
    """

    value: float
    low: float
    high: float
    n: int
    edits: int


def interval(outcomes: Iterable[tuple[Hashable, float]], *, seed: int = 0) -> Interval | None:
    """Percentile bootstrap of a mean over edits (Efron 1979; Efron & Tibshirani 1993, chapter 13).

    Edits are drawn again with all their questions, since the questions of one edit succeed and
    fail together: drawn one by one they would make the interval too narrow. Where all edits have
    the same mean, drawing again tells nothing, and Wilson's interval over the edits takes its
    place: 25 of 25 may come from 0.87.

    Args:
        outcomes: For each question its edit (any hashable value; None for a question that belongs
            to no edit) and its outcome, a bool or a number in [0, 1].
        seed: Of the drawing.

    Returns:
        The mean with its interval; None without outcomes.
    """
    sums: dict[Hashable, list[float]] = {}
    for number, (edit, outcome) in enumerate(outcomes):
        total = sums.setdefault(("question", number) if edit is None else ("edit", edit), [0.0, 0.0])
        total[0] += float(outcome)
        total[1] += 1
    if not sums:
        return None
    # Edits with the same sum and the same number of questions are alike: drawing how often each
    # sort comes is drawing edits, at a cost that does not grow with their number.
    sorts, counts = np.unique(np.array(list(sums.values())), axis=0, return_counts=True)
    edits = int(counts.sum())
    total_sum, n = counts @ sorts
    value = float(total_sum / n)
    if np.ptp(sorts[:, 0] / sorts[:, 1]) == 0:
        low, high = wilson_interval(value * edits, edits)
        return Interval(value, low, high, int(n), edits)
    drawn = np.random.default_rng(seed).multinomial(edits, counts / edits, size=RESAMPLES) @ sorts
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], [tail, 100 - tail])
    return Interval(value, float(low), float(high), int(n), edits)
