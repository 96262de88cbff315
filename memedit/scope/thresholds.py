"""The threshold from which an edit fires, for a stated locality."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.bool_]

LOWEST_THRESHOLD = 0.5
"""An edit held less likely than not never fires, however rarely near-misses are mistaken; unless a prior is stated."""
NEAR_MISSES_OF_A_FORM = 300
"""With fewer a form of edit has no threshold of its own: 297 of 300 kept out may be 0.971 in truth (95 %)."""

Form = Literal["question", "statement"]
"""How an edit is worded: as a question or as whole sentences, if not as the beginning of one that the target ends."""
FORMS: tuple[Form, ...] = ("question", "statement")
_QUESTION_MARKS = ("?", "？", "؟")
_SENTENCE_MARKS = (".", "!", "。", "！", "।", "۔")
_CLOSING = "\"'“‘"
"""What may stand behind a sentence's last mark, beside closing brackets and quotes and spaces: in some languages quotes
that open others."""
_LONGEST_PROMPT = 120
"""Characters. Of 91,436 questions and beginnings of sentences in data sets for editing 20 are longer; of 235 short
passages without a last full stop (`training/scope_data/passages`) 219 are."""
_GREEK = re.compile(r"[\u0370-\u037d\u0386-\u03ff\u1f00-\u1fff]")


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
        by_form: The thresholds of those forms of edit for which one was chosen apart.
    """

    value: float
    stated_locality: float
    measured_locality: float
    measured_recall: float
    near_misses: int
    positives: int
    locality_low: float = 0.0
    locality_high: float = 1.0
    by_form: Mapping[Form, Threshold] = field(default_factory=dict)

    def of(self, wordings: Sequence[str]) -> Floats:
        """The threshold of each edit wording, float64 array (n,)."""
        values: dict[Form | None, float] = {form: own.value for form, own in self.by_form.items()}
        return np.array([values.get(form_of(wording), self.value) for wording in wordings], dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """The threshold as JSON-compatible values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Threshold:
        """The threshold that `to_json` wrote.

        Raises:
            TypeError: The values do not describe a threshold.
            ValueError: They name an unknown form.
        """
        by_form = dict(values.get("by_form", {}))
        if unknown := by_form.keys() - set(FORMS):
            raise ValueError(f"expected thresholds of the forms {FORMS}, got {sorted(unknown)}")
        return cls(**{**values, "by_form": {form: cls.from_json(own) for form, own in by_form.items()}})


def form_of(wording: str) -> Form | None:
    """How an edit is worded, by its length and by the mark that it ends with, in any script; None for a beginning."""
    if len(wording) > _LONGEST_PROMPT:
        return "statement"
    end = wording
    while end and (end[-1].isspace() or end[-1] in _CLOSING or unicodedata.category(end[-1]) in ("Pe", "Pf")):
        end = end[:-1]
    # The Greek question mark is a semicolon.
    if end.endswith(_QUESTION_MARKS) or (end.endswith((";", "\u037e")) and _GREEK.search(end)):
        return "question"
    return "statement" if end.endswith(_SENTENCE_MARKS) else None


def choose_by_form(
    wordings: Sequence[str],
    probabilities: ArrayLike,
    labels: ArrayLike,
    near_misses: ArrayLike,
    locality: float,
    localities: Mapping[Form, float] | None = None,
    lowest: float = LOWEST_THRESHOLD,
) -> Threshold:
    """A threshold for each form of edit of which there are enough pairs, and one for all other edits.

    How near a miss can look differs: two questions say apart what is asked for, the beginnings of two sentences may be
    one word apart, and a passage may only just leave a question open. With one threshold for all the stated locality
    would hold for their mixture only, and each form would be held back by near-misses that are not its own.

    Args:
        wordings: The edit wording of each pair.
        probabilities: Its probability, float array (n,).
        labels: True where the pair is in scope, bool array (n,).
        near_misses: True where it is none but looks like one, bool array (n,).
        locality: As for `choose_threshold`.
        localities: Those of forms with a threshold of their own for which it is another.
        lowest: As for `choose_threshold`.

    Raises:
        ValueError: A locality is out of range or of an unknown form, or there are no near-misses or no pairs in scope.
    """
    stated_for = {**dict.fromkeys(FORMS, locality), **(localities or {})}
    if unknown := stated_for.keys() - set(FORMS):
        raise ValueError(f"expected localities of the forms {FORMS}, got {sorted(unknown)}")
    for share in (locality, *stated_for.values()):
        _check_locality(share)
    stated = np.asarray(probabilities, dtype=np.float64)
    inside, near = np.asarray(labels, dtype=bool), np.asarray(near_misses, dtype=bool)
    forms = [form_of(wording) for wording in wordings]
    rows_of: dict[Form | None, Rows] = {form: np.array([own == form for own in forms]) for form in (*FORMS, None)}

    def is_enough(rows: Rows) -> bool:
        return bool((near & rows).sum() >= NEAR_MISSES_OF_A_FORM and (inside & rows).any())

    def chosen(rows: Rows, locality: float) -> Threshold:
        return choose_threshold(stated[near & rows], stated[inside & rows], locality, lowest)

    by_form = {form: chosen(rows_of[form], stated_for[form]) for form in FORMS if is_enough(rows_of[form])}
    others = rows_of[None] if is_enough(rows_of[None]) else np.ones(len(forms), dtype=bool)
    return replace(chosen(others, locality), by_form=by_form)


def choose_threshold(
    near_misses: ArrayLike, positives: ArrayLike, locality: float, lowest: float = LOWEST_THRESHOLD
) -> Threshold:
    """The lowest threshold, at least `lowest`, that keeps out `locality` of the near-misses.

    Args:
        near_misses: Probabilities of held-out pairs that are not in scope but look like it.
        positives: Probabilities of held-out pairs in scope: how many remain is reported.
        locality: Share of near-misses to keep out, above 0 and at most 1.
        lowest: No threshold is lower, however rarely near-misses are mistaken.

    Raises:
        ValueError: `locality` is out of range or an array is empty.
    """
    misses = np.sort(np.asarray(near_misses, dtype=np.float64))
    hits = np.asarray(positives, dtype=np.float64)
    _check_locality(locality)
    if not len(misses) or not len(hits):
        raise ValueError(f"expected near-misses and positives, got {len(misses)} and {len(hits)}")
    last_kept_out = misses[math.ceil(locality * len(misses)) - 1]
    # Of probability 1 are an edit's own words, which no threshold may keep out.
    value = min(1.0, max(lowest, float(np.nextafter(last_kept_out, np.inf))))
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


def _check_locality(locality: float) -> None:
    if not 0 < locality <= 1:
        raise ValueError(f"locality must be above 0 and at most 1, got {locality}")


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
