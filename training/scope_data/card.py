"""The model card of a scope classifier, written from its run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from memedit.scope.classifier import ScopeClassifier
from training.scope_data.pairs import Pair

_COLUMNS = {
    "memory": "memory",
    "paraphrase_recall": "right edit",
    "wrong_edit": "wrong edit",
    "neighbour_kept_out": "neighbour kept out",
    "same_subject_kept_out": "same subject kept out",
    "unrelated_kept_out": "unrelated kept out",
    "auroc": "AUROC",
    "ece": "ECE",
    "retrieved": "retrieved in 8",
}


def scope_card(classifier: ScopeClassifier, train: Sequence[Pair], metrics: Mapping[str, Any], command: str) -> str:
    """The card as Markdown."""
    fit, threshold = classifier.fit_, classifier.threshold_
    assert threshold is not None
    counts = Counter((pair.family, pair.in_scope) for pair in train)
    accuracy = metrics["pairs"]["by_family"]
    families = "\n".join(
        f"| {family} | {'yes' if positive else 'no'} | {count:,} | {_shown(accuracy.get(family))} |"
        for (family, positive), count in sorted(counts.items(), key=lambda item: -item[1])
    )
    rows = "\n".join("| " + " | ".join(_shown(row[name]) for name in _COLUMNS) + " |" for row in metrics["routing"])
    losses = ", ".join(f"{k} {v:.4f}" for k, v in classifier.calibration_.log_loss.items())
    errors = "\n".join(f"- {error}" for error in metrics["errors"][:24])
    return f"""---
license: apache-2.0
library_name: memedit
base_model: sentence-transformers/all-MiniLM-L6-v2
language: en
---

# memedit scope classifier, first version

Says how probable it is that a query is in scope of an edit: a cross-encoder on the frozen weights of
all-MiniLM-L6-v2 (not stored here; SHA-256 in `config.json`) with a LoRA adapter (rank {fit["settings"]["rank"]}) and a
small head. English only. Made by

    {command}

in {fit["seconds"] / 60:.0f} minutes ({fit["steps"]:.0f} steps, last loss {fit["loss"]:.4f}).

## Training pairs

{fit["pairs"]:,} pairs from CounterFact (MIT), zsRE (Levy et al. 2017), KnowEdit and PokeMQA (MIT), with SimpleQuestions
(CC BY 3.0) and Natural Questions (CC BY-SA 3.0), subjects disjoint between training,
calibration and test. CounterFact's validation file and the last tenth of zsRE are in none of them, nor
is any row that names one of their subjects. Accuracy is on the test split, at the threshold.

| family | in scope | training pairs | test accuracy |
|---|---|---|---|
{families}

## Calibration and threshold

Method: {classifier.calibration_.method} (cross-validated log loss: {losses}) on {classifier.calibration_.pairs:,} held-out pairs.
Threshold {threshold.value:.4f}, chosen to keep out {threshold.stated_locality:.1%} of {threshold.near_misses:,} held-out near-misses; it keeps out
{threshold.measured_locality:.1%} of them and lets in {threshold.measured_recall:.1%} of {threshold.positives:,} held-out pairs in scope.

## Routing, whole memory loaded

Edits of the test data (never trained on), one per subject; neighbours that name a stored subject are
dropped. Where the memory is larger than the test data, training edits fill it as distractors; they are
searched, not asked. zsRE has no neighbour prompts: the edit's question with part of its subject's name
exchanged stands in for them. "Same subject" asks another relation of an edited subject.

| {" | ".join(_COLUMNS.values())} |
|{"---|" * len(_COLUMNS)}
{rows}

## What goes wrong

Query, nearest wording, probability:

{errors}

Same subject with a nearby relation, near-identical names, long queries with several questions, and
edits written as free statements (few were seen) are the weak places.
"""


def _shown(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "–" if value is None else str(value)
