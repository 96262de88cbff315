"""`ScopeReport`: how good a scope classifier is on labelled pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    precision_recall_curve,
    roc_auc_score,
)

from memedit.scope.calibration import CLIP
from memedit.scope.thresholds import wilson_interval

BINS = 15
CURVE_POINTS = 400
"""More points of a precision/recall curve are not seen and make large files."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ReliabilityBin:
    """The pairs whose stated probability lies in one interval.

    Attributes:
        lower: Where the interval begins.
        upper: Where it ends; 1.0 belongs to the last.
        count: How many pairs lie in it.
        probability: Their mean stated probability; None without pairs.
        share: Share of them that is in scope; None without pairs.
    """

    lower: float
    upper: float
    count: int
    probability: float | None
    share: float | None


@dataclass(frozen=True)
class CurvePoint:
    """Precision and recall if edits fired from `threshold` on."""

    threshold: float
    precision: float
    recall: float


@dataclass(frozen=True)
class ScopeReport:
    """Figures on labelled pairs; a share is None where nothing was there to be shared.

    Attributes:
        count: How many pairs.
        positives: How many of them are in scope.
        negatives: How many are not.
        threshold: Probability from which an edit fires.
        accuracy: Share of the pairs that are decided rightly at the threshold.
        precision: Share of the pairs that fire which are in scope.
        recall: Share of the pairs in scope that fire.
        locality: Share of the pairs out of scope that do not fire.
        locality_low: Lower end of the 95 % interval of the locality (Wilson).
        locality_high: Its upper end.
        auroc: How often a pair in scope is more probable than one that is not.
        average_precision: Area under the precision/recall curve.
        ece: Expected calibration error over `reliability` (Guo et al. 2017).
        brier: Mean squared distance of probability and label (Brier 1950).
        log_loss: Mean negative log likelihood, probabilities kept within 0.0001 and 0.9999.
        reliability: Stated probability against observed share, in bins of equal width.
        curve: Precision and recall over all thresholds, by rising threshold.
    """

    count: int
    positives: int
    negatives: int
    threshold: float
    accuracy: float
    precision: float | None
    recall: float | None
    locality: float | None
    locality_low: float | None
    locality_high: float | None
    auroc: float | None
    average_precision: float | None
    ece: float
    brier: float
    log_loss: float
    reliability: tuple[ReliabilityBin, ...]
    curve: tuple[CurvePoint, ...]

    @classmethod
    def measure(
        cls,
        probabilities: ArrayLike,
        labels: Sequence[int] | Sequence[bool],
        threshold: float,
        *,
        fired: ArrayLike | None = None,
    ) -> ScopeReport:
        """The figures of some verdicts.

        Args:
            probabilities: Stated probabilities of being in scope, float array (n,) in [0, 1].
            labels: 1 where the pair is in scope, else 0.
            threshold: Probability from which an edit fires.
            fired: Which pairs fire, bool array (n,), where some edits have a threshold of their own; None if all
                share the one.

        Raises:
            ValueError: There are no pairs, lengths differ, or a value is not of its range.
        """
        stated = np.asarray(probabilities, dtype=np.float64)
        truth = np.asarray(labels)
        if not len(stated) or stated.shape != truth.shape or stated.ndim != 1:
            raise ValueError(f"expected as many labels as probabilities, got {truth.shape} and {stated.shape}")
        if not ((stated >= 0) & (stated <= 1)).all():
            raise ValueError("expected probabilities from 0 to 1")
        if not np.isin(truth, (0, 1)).all():
            raise ValueError(f"expected labels 0 and 1, got {sorted(set(truth.tolist()))}")
        inside = truth.astype(bool)
        fired = stated >= threshold if fired is None else np.asarray(fired, dtype=bool)
        if fired.shape != stated.shape:
            raise ValueError(f"expected as many verdicts as probabilities, got {fired.shape} and {stated.shape}")
        outside = int((~inside).sum())
        kept_out = int((~fired & ~inside).sum())
        low, high = wilson_interval(kept_out, outside) if outside else (None, None)
        both = inside.any() and not inside.all()
        return cls(
            count=len(stated),
            positives=int(inside.sum()),
            negatives=outside,
            threshold=threshold,
            accuracy=float((fired == inside).mean()),
            precision=_mean(inside[fired]),
            recall=_mean(fired[inside]),
            locality=_mean(~fired[~inside]),
            locality_low=low,
            locality_high=high,
            auroc=float(roc_auc_score(inside, stated)) if both else None,
            average_precision=float(average_precision_score(inside, stated)) if inside.any() else None,
            ece=calibration_error(stated, inside.astype(np.float64)),
            brier=float(brier_score_loss(inside, stated, pos_label=True)),
            log_loss=float(log_loss(inside, stated.clip(CLIP, 1 - CLIP), labels=[False, True])),
            reliability=reliability_of(stated, inside),
            curve=curve_of(stated, inside),
        )

    def figures(self) -> dict[str, float | int | None]:
        """The single numbers, without bins and curve."""
        return {name: value for name, value in asdict(self).items() if name not in ("reliability", "curve")}

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-compatible values."""
        values = asdict(self)
        return {**values, "reliability": list(values["reliability"]), "curve": list(values["curve"])}

    def save_plots(self, folder: str | Path) -> list[Path]:
        """Draw `reliability.png` and `precision_recall.png`.

        Args:
            folder: Where to; made if it does not exist.

        Returns:
            The files.

        Raises:
            ImportError: matplotlib, the extra `memedit[plots]`, is not installed.
        """
        from memedit.scope.plots import save_plots

        return save_plots(self, Path(folder))


def _mean(outcomes: NDArray[np.bool_]) -> float | None:
    return float(outcomes.mean()) if len(outcomes) else None


def reliability_of(stated: Floats, inside: NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    """Stated probability against observed share in `BINS` bins of equal width.

    Args:
        stated: Probabilities, float64 array (n,) in [0, 1].
        inside: True where the pair is in scope, bool array (n,).
    """
    place = np.minimum((stated * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    probability = np.bincount(place, weights=stated, minlength=BINS)
    share = np.bincount(place, weights=inside, minlength=BINS)
    return tuple(
        ReliabilityBin(
            n / BINS,
            (n + 1) / BINS,
            int(count[n]),
            float(probability[n] / count[n]) if count[n] else None,
            float(share[n] / count[n]) if count[n] else None,
        )
        for n in range(BINS)
    )


def calibration_error(stated: Floats, observed: Floats) -> float:
    """Mean distance between stated probability and observed share in `BINS` bins, weighted by their size.

    Args:
        stated: Probabilities, float64 array (n,) in [0, 1], n at least 1; 1.0 belongs to the last bin.
        observed: 1 for what was the case, else 0, float64 array (n,).
    """
    place = np.minimum((stated * BINS).astype(np.int64), BINS - 1)
    # Sum over a bin of (observed - stated) is its size times the difference of the two means.
    gaps = np.bincount(place, weights=observed - stated, minlength=BINS)
    return float(np.abs(gaps).sum() / len(stated))


def curve_of(scores: Floats, inside: NDArray[np.bool_]) -> tuple[CurvePoint, ...]:
    """Precision and recall over all thresholds, by rising threshold, of which at most `CURVE_POINTS` are given.

    Args:
        scores: Probabilities or any other scores, float64 array (n,).
        inside: True where the pair is in scope, bool array (n,).

    Returns:
        The points; none if no pair is in scope.
    """
    if not inside.any():
        return ()
    precision, recall, thresholds = precision_recall_curve(inside, scores, drop_intermediate=True)
    last = len(thresholds) - 1
    chosen = np.unique(np.linspace(0, last, CURVE_POINTS).round().astype(np.int64)).tolist()
    return tuple(CurvePoint(float(thresholds[n]), float(precision[n]), float(recall[n])) for n in chosen)
