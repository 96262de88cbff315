"""The model card of a classifier that a user trained or calibrated, with its figures and plots."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from memedit.scope.calibration import Calibration
from memedit.scope.classifier import ScopeClassifier
from memedit.scope.encoder import HUB_ID, PACKAGE_SHA256
from memedit.scope.report import ScopeReport
from memedit.scope.thresholds import Threshold

_FIGURES = {
    "accuracy": "pairs decided rightly",
    "precision": "of those that fire, in scope",
    "recall": "of those in scope, found",
    "locality": "of those out of scope, kept out",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "ece": "expected calibration error (15 bins)",
    "brier": "Brier score",
    "log_loss": "log loss",
}


def write_card(folder: Path, classifier: ScopeClassifier, report: ScopeReport, made: str) -> list[Path]:
    """Write `README.md` and `metrics.json`, and the plots if matplotlib is there.

    Args:
        folder: The classifier's folder.
        classifier: A calibrated classifier.
        report: Its figures on held-out pairs.
        made: Markdown that tells how it was made: command, data, counts.

    Returns:
        The files of the plots; none without matplotlib, which the card then says.
    """
    try:
        plots = report.save_plots(folder)
    except ImportError:
        plots = []
    text = json.dumps(report.to_dict(), indent=2)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_card(classifier, report, made, plots), encoding="utf-8")
    return plots


def threshold_sentences(threshold: Threshold) -> str:
    """What the threshold was chosen for and on, and how much that can show."""
    if threshold.by_form:
        parts = [f"Of edits worded as {form}s: {threshold_sentences(own)}" for form, own in threshold.by_form.items()]
        return "\n".join([*parts, f"Of all others: {threshold_sentences(replace(threshold, by_form={}))}"])
    return (
        f"Threshold {threshold.value:.4f}, chosen to keep out {threshold.stated_locality:.2%} of near-misses. "
        f"It keeps out {threshold.measured_locality:.2%} of the {threshold.near_misses:,} it was chosen on "
        f"(95 % interval {threshold.locality_low:.2%} to {threshold.locality_high:.2%}) and lets in "
        f"{threshold.measured_recall:.2%} of {threshold.positives:,} pairs in scope."
    )


def overlap_table(calibration: Calibration) -> str:
    """What words in common are worth, by form of edit, as Markdown."""
    maps = {**{f"{form}s": own for form, own in calibration.by_form.items()}, "all others": calibration}
    rows = [f"| {form} | {' | '.join(f'{worth:.2f}' for worth in own.overlap)} |" for form, own in maps.items()]
    return "\n".join(
        (
            "What is added to the logit where one has all words or names of the other, rare ones counting more:",
            "",
            "| edits worded as | the edit has the query's words | the edit has its names | the query has the edit's names |",
            "|---|---|---|---|",
            *rows,
        )
    )


def _card(classifier: ScopeClassifier, report: ScopeReport, made: str, plots: list[Path]) -> str:
    calibration, threshold = classifier.calibration_, classifier.threshold_
    assert threshold is not None
    base = f"base_model: {HUB_ID}\n" if classifier.encoder.weights_sha256 == PACKAGE_SHA256 else ""
    settings = "\n".join(f"| {name} | {value} |" for name, value in classifier.fit_.get("settings", {}).items())
    figures = "\n".join(f"| {words} | {_shown(getattr(report, name))} |" for name, words in _FIGURES.items())
    losses = ", ".join(f"{method} {loss:.4f}" for method, loss in calibration.log_loss.items())
    learned = f" learned from {calibration.pairs:,} pairs (cross-validated log loss: {losses})" if losses else ""
    shown = "\n".join(f"![{file.stem.replace('_', ' ')}]({file.name})" for file in plots)
    missing = "No plots were drawn, since matplotlib was not installed (`pip install 'memedit[plots]'`)."
    return f"""---
library_name: memedit
{base}tags: [memedit, scope-classifier]
---

# memedit scope classifier

Says how probable it is that a query is in scope of an edit: a LoRA adapter and a small head on the frozen weights
of the sentence encoder {classifier.encoder.id}, which are not stored here (SHA-256 in `config.json`).

{made}

## Settings of the last training

| setting | value |
|---|---|
{settings}

## Held-out figures

{report.count:,} pairs, {report.positives:,} of them in scope, at the threshold {report.threshold:.4f}. Map and threshold were chosen
on these pairs as well, so that all figures but AUROC and average precision are a little too good.

| figure | value |
|---|---|
{figures}

{shown or missing}

## Calibration and threshold

Probabilities by the {calibration.method} method{learned}. {overlap_table(calibration)}

{threshold_sentences(threshold)}
"""


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
