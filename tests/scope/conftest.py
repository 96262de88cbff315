"""A small classifier, trained for real on a made-up world."""

from __future__ import annotations

from pathlib import Path

import pytest

from memedit.scope import ScopeClassifier, SentenceEncoder
from memedit.scope.fitting import FitConfig

NAMES = ("Orla Venn", "Tam Brisk", "Iva Lund", "Pell Osten", "Mika Dorn", "Rua Falk", "Sol Areng", "Wim Kast")
WORDINGS = {
    "capital": ("The capital of {} is", "Which city is the capital of {}?"),
    "mother": ("Who is the mother of {}?", "{}'s mother is"),
    "job": ("What does {} do for a living?", "The occupation of {} is"),
}
QUICK = FitConfig(epochs=4, batch_size=16, learning_rate=2e-3, rank=4, alpha=8, dropout=0.0)


def world_pairs() -> tuple[list[tuple[str, str]], list[int]]:
    """Every pair of wordings that share a name or a relation, and whether they ask the same."""
    asked = [
        (name, relation, text.format(name)) for name in NAMES for relation, texts in WORDINGS.items() for text in texts
    ]
    pairs = [
        ((first[2], second[2]), int(first[:2] == second[:2]))
        for first in asked
        for second in asked
        if first[2] != second[2] and (first[0] == second[0] or first[1] == second[1])
    ]
    positives = [pair for pair in pairs if pair[1]]
    chosen = positives + [pair for pair in pairs if not pair[1]][:: max(1, len(pairs) // len(positives) // 2)]
    return [pair for pair, _ in chosen], [label for _, label in chosen]


@pytest.fixture(scope="session")
def small_classifier(encoder: SentenceEncoder) -> ScopeClassifier:
    """A classifier of the made-up world; tests must not change it."""
    pairs, labels = world_pairs()
    fitted = ScopeClassifier(encoder.files).fit(pairs, labels, QUICK)
    return fitted.calibrate(pairs, labels, locality=0.9)


@pytest.fixture(scope="session")
def saved(small_classifier: ScopeClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the small classifier; tests must not change it."""
    folder = tmp_path_factory.mktemp("scope")
    small_classifier.save_pretrained(folder)
    return folder
