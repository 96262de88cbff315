"""Figures on held-out pairs, family by family."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from memedit.scope.classifier import ScopeClassifier
from memedit.scope.report import ScopeReport
from training.scope_data.pairs import Pair


def measure_pairs(classifier: ScopeClassifier, pairs: Sequence[Pair]) -> dict[str, Any]:
    """What `ScopeClassifier.evaluate` tells of held-out pairs, and the accuracy on each family; each pair read once."""
    texts, labels = [(pair.wording, pair.query) for pair in pairs], [pair.in_scope for pair in pairs]
    stated = classifier.probability(texts)
    fired = stated >= classifier.threshold_for([pair.wording for pair in pairs])
    report = ScopeReport.measure(stated, labels, classifier.threshold, fired=fired)
    right: dict[str, list[bool]] = defaultdict(list)
    for pair, fires in zip(pairs, fired, strict=True):
        right[pair.family].append(bool(fires) == pair.in_scope)
    by_family = {family: float(np.mean(values)) for family, values in sorted(right.items())}
    return {**report.figures(), "by_family": by_family}
