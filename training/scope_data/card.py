"""The model card of the shipped scope classifier, written from its run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memedit.scope.card import overlap_table, threshold_sentences
from memedit.scope.classifier import ScopeClassifier
from training.scope_data.aspects import HELD_OUT as KINDS
from training.scope_data.aspects import load_kinds
from training.scope_data.pairs import Pair
from training.scope_data.passages import HELD_OUT as PASSAGES
from training.scope_data.passages import load_passages
from training.scope_data.statements import HELD_OUT as EVENTS
from training.scope_data.statements import load_events

_COLUMNS = {
    "memory": "asked about",
    "edits": "edits",
    "paraphrase_recall": "right edit",
    "one_step_recall": "right edit, one step",
    "wrong_edit": "wrong edit",
    "neighbour_kept_out": "neighbour kept out",
    "same_subject_kept_out": "same subject kept out",
    "name_swapped_kept_out": "namesake kept out",
    "unrelated_kept_out": "unrelated kept out",
    "auroc": "AUROC",
    "ece": "ECE",
    "retrieved": "retrieved in 8",
}


_TRIED = Path(__file__).with_name("tried.md")
"""What the card says was tried, checkpoint after checkpoint."""
_LEFT_OUT = Path(__file__).with_name("left_out.md")
"""What the card says of runs without some of the sources."""


def scope_card(classifier: ScopeClassifier, train: Sequence[Pair], metrics: Mapping[str, Any], command: str) -> str:
    """The card as Markdown."""
    fit, threshold = classifier.fit_, classifier.threshold_
    assert threshold is not None
    losses = ", ".join(f"{k} {v:.4f}" for k, v in classifier.calibration_.log_loss.items())
    pairs = metrics["pairs"]
    return f"""---
license: apache-2.0
library_name: memedit
base_model: sentence-transformers/all-MiniLM-L6-v2
language: en
---

# memedit scope classifier

Says how probable it is that a query is in scope of an edit: a cross-encoder on the frozen weights of
all-MiniLM-L6-v2 (not stored here; SHA-256 in `config.json`) with a LoRA adapter (rank {fit["settings"]["rank"]}) and a
small head. English only. Made by

    {command}

in {fit["seconds"] / 60:.0f} minutes on two cores ({fit["steps"]:.0f} steps, last loss {fit["loss"]:.4f}){_beginning(fit)}.

## Training pairs

{fit["pairs"]:,} pairs from CounterFact (MIT), zsRE (Levy et al. 2017), KnowEdit and PokeMQA (MIT), the relations of LRE
(MIT), SimpleQuestions (CC BY 3.0) and Natural Questions (CC BY-SA 3.0), with the project's own wordings of
91 relations (`training/scope_data/relations`), its own free statements made from templates
(`training/scope_data/statements`), its own passages, each on a topic of its own (`training/scope_data/passages`), and
its own questions about everyday things (`training/scope_data/aspects`).
Subjects are disjoint between training, calibration and test. CounterFact's validation file, the last tenth of zsRE
and an eighth of KnowEdit's subjects are in none of them, nor is any row that names one of their subjects.

Accuracy is on the test split ({pairs["count"]:,} pairs; AUROC {pairs["auroc"]:.4f}), at the threshold. A test pair is one edit and one
query; four of ten training queries and two of ten test queries are written in another way (lower case, typing
errors, no punctuation, courtesy, behind another sentence).

| family | in scope | training pairs | test accuracy |
|---|---|---|---|
{_families(train, pairs["by_family"])}

## Calibration and threshold

Method: {classifier.calibration_.method} (cross-validated log loss: {losses}) on {classifier.calibration_.pairs:,} held-out queries, each
with the best candidate that the router found for it in a memory of the calibration split's edits, filled up to 10,000.
{_prior(classifier)}
{overlap_table(classifier.calibration_)}

{_forms(classifier)}{threshold_sentences(threshold)}

![Reliability diagram](reliability.png)

![Precision and recall](precision_recall.png)

Both are of all held-out decisions with 10,000 edits stored (the table below).

## Routing, whole memory loaded

The edits that are asked about were never trained on, one per subject. Where the memory is larger than the test data,
training edits fill it as distractors; they are searched, not asked. Near-misses that name another stored subject
are dropped ({_dropped(metrics["routing"])}). "Neighbour" is CounterFact's own neighbour prompt; for zsRE and KnowEdit the
most similar question of the same relation about a subject that is not stored; for statements a question of the
statement's kind about something else; for passages and aspects one of its own questions about another thing, mostly one with nearly the same name.
"Same subject" asks another relation of the subject (KnowEdit: its own locality prompts; statements and passages:
questions that they leave open; aspects: the aspect that comes nearest to what is stored). "Namesake" is the edit's own question with the last word of the name exchanged. "One
step" is KnowEdit's portability where it names the subject. Statements are made from templates on {len(load_events(*EVENTS))} topics and asked one
question each; of {len(load_passages(*PASSAGES))} passages on as many topics all questions are asked; aspects are what is asked about {len(load_kinds(*KINDS))} kinds of things.

| {" | ".join(_COLUMNS.values())} |
|{"---|" * len(_COLUMNS)}
{_routing(metrics["routing"])}

{_left_out(metrics.get("left_out", {}))}
## What goes wrong

Query, best candidate, probability; the first few of each kind:

{_errors(metrics["errors"])}

## What was tried

{_TRIED.read_text(encoding="utf-8").strip()}
"""


def _prior(classifier: ScopeClassifier) -> str:
    prior = classifier.calibration_.prior
    assert prior is not None, "the recipe states it"
    return (
        f"Probabilities are true of queries {prior:.0%} of which are in scope; among those that were routed more are, "
        "which would make probabilities too high elsewhere."
    )


def _forms(classifier: ScopeClassifier) -> str:
    """Which forms of edit have a map of their own."""
    own = classifier.calibration_.by_form
    if not own:
        return ""
    told = " and ".join(f"{form}s ({map_.pairs:,} queries, {map_.method})" for form, map_ in own.items())
    return f"Edits worded as {told} have maps of their own; the figures above are of all others.\n"


def _beginning(fit: Mapping[str, Any]) -> str:
    """What START was, and how much of it was kept."""
    before = fit.get("before")
    if not before:
        return ""
    earlier = [before]
    while "before" in earlier[-1]:
        earlier.append(earlier[-1]["before"])
    runs = "; before that ".join(f"{run['pairs']:,} pairs, {run['seconds'] / 60:.0f} minutes" for run in earlier)
    kept, ancestor = fit.get("kept_of"), "START"
    if kept is not None:
        known = [{name: run.get(name) for name in kept} for run in earlier]
        ancestor = f"EARLIER, the {known.index(kept) + 1}. of these," if kept in known else "EARLIER"
    return (
        f", where START is a classifier trained before: {runs}. "
        f"Of the weights of {ancestor} {fit['settings']['keep']:.0%} are in these (WiSE-FT, Wortsman et al. 2022)"
    )


def _families(train: Sequence[Pair], accuracy: Mapping[str, float]) -> str:
    counts = Counter((pair.family, pair.in_scope) for pair in train)
    return "\n".join(
        f"| {family} | {'yes' if positive else 'no'} | {count:,} | {_shown(accuracy.get(family))} |"
        for (family, positive), count in sorted(counts.items(), key=lambda item: (-item[0][1], -item[1]))
    )


def _routing(rows: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join("| " + " | ".join(_shown(row.get(name)) for name in _COLUMNS) + " |" for row in rows)


def _dropped(rows: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{row['memory']} {row['edits']:,}: {row['dropped']}" for row in rows)


def _left_out(runs: Mapping[str, Mapping[str, Any]]) -> str:
    if not runs:
        return ""
    names = ["left out", "training pairs", *_COLUMNS.values()]
    rows = "\n".join(
        f"| {name} | {run['pairs']:,} | " + " | ".join(_shown(row.get(column)) for column in _COLUMNS) + " |"
        for name, run in runs.items()
        for row in run["routing"]
    )
    return f"""## A kind of data never seen

{_LEFT_OUT.read_text(encoding="utf-8").strip()}

| {" | ".join(names)} |
|{"---|" * len(names)}
{rows}

What goes wrong there, of each kind the first few: query, best candidate, probability.

{"".join(_errors_of_run(name, run["errors"]) for name, run in runs.items() if run.get("errors"))}
"""


def _errors_of_run(name: str, errors: Mapping[str, Sequence[str]]) -> str:
    return f"### Without {name}\n{_errors(errors)}\n\n"


def _errors(errors: Mapping[str, Sequence[str]]) -> str:
    return "\n".join(
        f"\n**{family}**\n\n" + "\n".join(f"- {error}" for error in dict.fromkeys(found))
        for family, found in errors.items()
        if found
    )


def _shown(value: object) -> str:
    return (
        f"{value:.3f}"
        if isinstance(value, float)
        else "–"
        if value is None
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
