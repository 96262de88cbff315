"""From the network's verdict and the words that both texts share to probabilities that mean what they say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

from memedit.errors import CheckpointError
from memedit.scope.overlap import SHARES
from memedit.scope.thresholds import FORMS, Form, form_of

Floats = NDArray[np.float64]

METHODS = ("platt", "isotonic")
CLIP = 1e-4
"""Isotonic regression says 0 and 1 where it saw one class only; nobody knows that much."""
FOLDS = 5
NO_OVERLAP = (0.0,) * SHARES
PAIRS_FOR_A_MAP = 500
"""With fewer pairs a new map from logits to probabilities would be noise beside one learned from many."""


@dataclass(frozen=True)
class Calibration:
    """A map from logits to probabilities, as plain numbers.

    Attributes:
        method: `platt` (Platt 1999: a logistic curve) or `isotonic` (a rising broken line).
        coefficients: `platt`: slope and intercept.
        knots: `isotonic`: pairs of (logit, probability), both strictly rising: pairs that the
            network ranks stay ranked. (Files of early versions hold plateaus, and are read.)
        overlap: What each share of words that query and edit have in common (`Overlap`) adds to the logit of a pair,
            before it is mapped, if it is 1; less as much less. Files of early versions know the first share only,
            called `coverage`, or none.
        log_loss: Cross-validated log loss of each method on the calibration pairs.
        pairs: How many pairs it was learned from.
        prior: Share of pairs in scope that the probabilities are true of; None for that among those it was learned
            from.
        by_form: Maps of their own for those forms of edit for which there were enough pairs.
    """

    method: str
    coefficients: tuple[float, ...] = ()
    knots: tuple[tuple[float, float], ...] = ()
    log_loss: Mapping[str, float] = field(default_factory=dict)
    pairs: int = 0
    prior: float | None = None
    overlap: tuple[float, ...] = NO_OVERLAP
    by_form: Mapping[Form, Calibration] = field(default_factory=dict)

    def of(self, logits: ArrayLike, wordings: Sequence[str], overlap: ArrayLike) -> Floats:
        """Probabilities, float64 array (n,), of a logit (n,) and the overlap (n, 3) of each edit wording."""
        values, shared = np.asarray(logits, dtype=np.float64), np.asarray(overlap, dtype=np.float64)
        found = self(values, shared)
        if self.by_form:
            forms = np.array([form_of(wording) for wording in wordings], dtype=object)
            for form, own in self.by_form.items():
                found[forms == form] = own(values[forms == form], shared[forms == form])
        return found

    def __call__(self, logits: ArrayLike, overlap: ArrayLike = NO_OVERLAP) -> Floats:
        """Probabilities, float64 of the shape of `logits`, for edits of no form that has a map of its own."""
        values = np.asarray(logits, dtype=np.float64) + np.asarray(overlap, dtype=np.float64) @ np.array(self.overlap)
        if self.method == "platt":
            slope, intercept = self.coefficients
            return np.asarray(1 / (1 + np.exp(-np.clip(slope * values + intercept, -500, 500))))
        xs, ys = np.array(self.knots).T
        return np.asarray(np.interp(values, xs, ys).clip(CLIP, 1 - CLIP))

    def to_json(self) -> dict[str, Any]:
        """The calibration as JSON-compatible values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Calibration:
        """The calibration that `to_json` wrote.

        Raises:
            CheckpointError: The values do not describe a calibration.
        """
        try:
            by_form = dict(values.get("by_form", {}))
            if unknown := by_form.keys() - set(FORMS):
                raise ValueError(f"unknown forms {sorted(unknown)}")
            calibration = cls(
                str(values["method"]),
                tuple(float(value) for value in values["coefficients"]),
                tuple((float(x), float(y)) for x, y in values["knots"]),
                {str(name): float(loss) for name, loss in values["log_loss"].items()},
                int(values["pairs"]),
                None if values.get("prior") is None else float(values["prior"]),
                _overlap_of(values),
                {form: cls.from_json(own) for form, own in by_form.items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"expected a calibration, got {values!r}: {error!r}") from error
        numbers = [*calibration.coefficients, *calibration.overlap, *(n for knot in calibration.knots for n in knot)]
        complete = len(calibration.coefficients) == 2 or len(calibration.knots) >= 2
        complete = complete and len(calibration.overlap) == SHARES
        if calibration.method not in METHODS or not complete or not all(map(math.isfinite, numbers)):
            raise CheckpointError(f"expected a calibration by one of {METHODS}, got {values!r}")
        return calibration


IDENTITY = Calibration("platt", coefficients=(1.0, 0.0))
"""The uncalibrated sigmoid."""


def calibration_by_form(
    wordings: Sequence[str],
    logits: ArrayLike,
    labels: Sequence[int] | Sequence[bool],
    *,
    overlap: ArrayLike = NO_OVERLAP,
    prior: float | None = None,
    sample_weight: ArrayLike = 1.0,
) -> Calibration:
    """Learn a map for all edits, and one for each form of edit of which there are `PAIRS_FOR_A_MAP` pairs.

    A passage only just answers a question, or only just leaves it open: the same logit says less about it than about
    two questions. One map for all would hold for their mixture only.

    Args:
        wordings: The edit wording of each pair.
        logits: As for `fit_calibration`.
        labels: As for `fit_calibration`.
        overlap: As for `fit_calibration`.
        prior: As for `fit_calibration`; the same within each form.
        sample_weight: As for `fit_calibration`.

    Raises:
        ValueError: As `fit_calibration` raises it.
    """
    every = fit_calibration(logits, labels, overlap=overlap, prior=prior, sample_weight=sample_weight)
    xs, ys = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    shared = np.broadcast_to(np.asarray(overlap, dtype=np.float64), (*xs.shape, SHARES))
    ws = np.broadcast_to(np.asarray(sample_weight, dtype=np.float64), xs.shape)
    forms = np.array([form_of(wording) for wording in wordings], dtype=object)

    def has_enough(rows: NDArray[np.bool_]) -> bool:
        inside = int(ys[rows].sum())
        return int(rows.sum()) >= PAIRS_FOR_A_MAP and FOLDS <= inside <= int(rows.sum()) - FOLDS

    rows_of: dict[Form | None, NDArray[np.bool_]] = {form: forms == form for form in (*FORMS, None)}
    found = {
        form: fit_calibration(xs[rows], ys[rows].tolist(), overlap=shared[rows], prior=prior, sample_weight=ws[rows])
        for form, rows in rows_of.items()
        if has_enough(rows)
    }
    by_form = {form: found[form] for form in FORMS if form in found}
    # What is left has a map of its own too, if there is enough of it.
    return replace(found.get(None, every), by_form=by_form)


def fit_calibration(
    logits: ArrayLike,
    labels: Sequence[int] | Sequence[bool],
    *,
    overlap: ArrayLike = NO_OVERLAP,
    prior: float | None = None,
    sample_weight: ArrayLike = 1.0,
) -> Calibration:
    """Learn the calibration by the method whose log loss on held-out folds is lower; of few pairs by Platt's.

    With `PAIRS_FOR_A_MAP` pairs it is learned too what overlap is worth.

    Pairs are collected with more of them in scope than queries of real use are. Probabilities learned from such a
    mixture are too high everywhere else; weights on the pairs put that right (Elkan 2001, The Foundations of
    Cost-Sensitive Learning, section 2, on base rates).

    Args:
        logits: One for each pair.
        labels: 1 where the pair is in scope, else 0; both must occur at least five times.
        overlap: Three shares for each pair, float array (n, 3) (`Overlap`); zeros where they are to count for nothing.
        prior: Share of pairs in scope that the probabilities are to be true of; None for that of these pairs.
        sample_weight: For how many pairs of real use each stands, beside others of its class.

    Raises:
        ValueError: Lengths differ, a logit or share is not finite, all logits are equal, a class is (nearly)
            missing, a weight is not positive, or the prior is no share between 0 and 1.
    """
    if prior is not None and not 0 < prior < 1:
        raise ValueError(f"expected a prior between 0 and 1, got {prior}")
    xs = np.asarray(logits, dtype=np.float64)
    ys = np.asarray(labels, dtype=np.int64)
    if xs.shape != ys.shape or xs.ndim != 1:
        raise ValueError(f"expected as many labels as logits, got {xs.shape} and {ys.shape}")
    if not np.isfinite(xs).all():
        raise ValueError("expected finite logits")
    if not set(np.unique(ys)) <= {0, 1} or min((ys == 0).sum(), (ys == 1).sum()) < FOLDS:
        raise ValueError(
            f"expected at least {FOLDS} pairs labelled 0 and {FOLDS} labelled 1, "
            f"got {(ys == 0).sum()} and {(ys == 1).sum()} of {len(ys)}"
        )
    if np.ptp(xs) == 0:
        raise ValueError(f"expected logits that differ, got {len(xs)} times {xs[0]}")
    shared = np.asarray(overlap, dtype=np.float64)
    if shared.shape not in ((SHARES,), (len(xs), SHARES)) or not np.isfinite(shared).all():
        raise ValueError(f"expected {SHARES} finite shares for each of {len(xs)} logits, got {shared.shape}")
    ws = np.asarray(sample_weight, dtype=np.float64)
    if ws.shape not in ((), xs.shape) or not (np.isfinite(ws) & (ws > 0)).all():
        raise ValueError(f"expected a positive weight for each of {len(xs)} logits, got {ws.shape}")
    few = len(ys) < PAIRS_FOR_A_MAP
    shared = np.broadcast_to(NO_OVERLAP if few else shared, (len(xs), SHARES))
    weights = _balanced(np.broadcast_to(ws, xs.shape), ys, prior)
    held_out = {method: np.empty_like(xs) for method in METHODS}
    for seen, unseen in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(xs, ys):
        for method, fitted in _fit(METHODS, xs[seen], shared[seen], ys[seen], weights[seen], few=few).items():
            held_out[method][unseen] = fitted(xs[unseen], shared[unseen])
    losses = {
        method: float(log_loss(ys, stated, labels=[0, 1], sample_weight=weights)) for method, stated in held_out.items()
    }
    # A broken line follows a few pairs wherever they go, on held-out ones that are as few as well.
    best = min(METHODS, key=lambda method: (few and method != "platt", losses[method]))
    fitted = _fit((best,), xs, shared, ys, weights, few=few)[best]
    return replace(fitted, log_loss=losses, pairs=len(xs), prior=prior)


def _balanced(weights: Floats, ys: NDArray[np.int64], prior: float | None) -> Floats:
    """`weights`, one on the average; with a prior those of the pairs in scope make up that share."""
    weights = weights / weights.mean()
    if prior is None:
        return weights
    share = float(weights[ys == 1].sum() / weights.sum())
    return weights * np.where(ys == 1, prior / share, (1 - prior) / (1 - share))


def _fit(
    methods: Sequence[str], logits: Floats, overlap: Floats, ys: NDArray[np.int64], weights: Floats, *, few: bool
) -> dict[str, Calibration]:
    """A map by each method, all of the same sum of logit and overlap."""
    worth = _worth(logits, overlap, ys, weights)
    verdicts = logits + overlap @ worth
    return {
        method: replace(_map(method, verdicts, ys, weights, few=few), overlap=tuple(worth.tolist()))
        for method in methods
    }


def _worth(logits: Floats, overlap: Floats, ys: NDArray[np.int64], weights: Floats) -> Floats:
    """What each share of words is worth, in logits; nothing where it speaks against the edit or the logits say nothing.

    The logistic regression is scikit-learn's own, with a little ridge: where the classes are parted without an error
    the best slope would be endless.
    """
    worth = np.zeros(SHARES)
    used = [share for share in range(SHARES) if np.ptp(overlap[:, share])]
    while used:
        model = LogisticRegression().fit(np.column_stack((logits, overlap[:, used])), ys, sample_weight=weights)
        slope, gains = model.coef_[0, 0], model.coef_[0, 1:]
        if slope <= 0:
            break
        if gains.min() >= 0:
            worth[used] = gains / slope
            break
        del used[int(gains.argmin())]
    return worth


def _overlap_of(values: Mapping[str, Any]) -> tuple[float, ...]:
    """What shares of words are worth, from a file of this or of an early version."""
    if "overlap" in values:
        return tuple(float(value) for value in values["overlap"])
    return float(values.get("coverage", 0.0)), *NO_OVERLAP[1:]


def _map(method: str, xs: Floats, ys: NDArray[np.int64], weights: Floats, *, few: bool) -> Calibration:
    if method == "platt" and not few:
        # The labels as they are: Platt's targets ask for 1/1,002 of each of a thousand pairs out of scope, however far
        # it is from the others, which flattens the whole curve.
        model = LogisticRegression().fit(xs[:, None], ys, sample_weight=weights)
        return Calibration(method, coefficients=(float(model.coef_[0, 0]), float(model.intercept_[0])))
    if method == "platt":
        # Platt's own targets (1999, section 2.2): even where a logit parts the classes, a few pairs prove little.
        inside = int(ys.sum())
        target = np.where(ys == 1, (inside + 1) / (inside + 2), 1 / (len(ys) - inside + 2))
        model = LogisticRegression(C=1e6).fit(
            np.concatenate((xs, xs))[:, None],
            np.repeat((1, 0), len(ys)),
            sample_weight=np.concatenate((weights * target, weights * (1 - target))),
        )
        return Calibration(method, coefficients=(float(model.coef_[0, 0]), float(model.intercept_[0])))
    return Calibration(method, knots=_centred_knots(xs, ys, weights))


def _centred_knots(xs: Floats, ys: NDArray[np.int64], weights: Floats) -> tuple[tuple[float, float], ...]:
    """Isotonic regression with each plateau drawn together at its centre, so that it rises strictly.

    On a plateau pairs that the network ranks would tie. The line through the plateaus' centres
    (Oron & Flournoy 2017, centred isotonic regression) keeps their order, and has the lower loss
    on new pairs as well. Below the first centre and above the last the line goes half the way to
    what is the least and the most that anybody knows, at the last logit seen.
    """
    order = np.argsort(xs, kind="stable")
    xs, weights = xs[order], weights[order]
    # Twice the margin leaves room for the two ends.
    # Rounded, as two plateaus may differ by an error of rounding only.
    model = IsotonicRegression(y_min=2 * CLIP, y_max=1 - 2 * CLIP).fit(xs, ys[order], weights)
    fitted = model.predict(xs).round(12)
    levels, first, size = np.unique(fitted, return_index=True, return_counts=True)
    # Clipped, as the rounded mean of equal numbers may be another number.
    centres = (np.add.reduceat(xs * weights, first) / np.add.reduceat(weights, first)).clip(
        xs[first], xs[first + size - 1]
    )
    knots = list(zip(centres.tolist(), levels.tolist(), strict=True))
    if xs[0] < centres[0]:
        knots.insert(0, (float(xs[0]), float(CLIP + levels[0]) / 2))
    if xs[-1] > centres[-1]:
        knots.append((float(xs[-1]), float(1 - CLIP + levels[-1]) / 2))
    return tuple(knots)
