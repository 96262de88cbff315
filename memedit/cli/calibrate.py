"""`memedit calibrate`: move a scope classifier's threshold to a stated locality on one's own pairs."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memedit.cli import options
from memedit.cli.console import note, print_json, print_table
from memedit.cli.pairs import FEWEST, LabelledPairs, counts, read_pairs, unzip, without_own_words
from memedit.errors import DatasetError

if TYPE_CHECKING:
    from memedit.scope.report import ScopeReport

LOW_RECALL = 0.5
"""Share of the pairs in scope under which an edit memory is of little use."""
_SHOWN = ("threshold", "locality", "recall", "precision", "accuracy", "auroc", "ece", "brier", "log_loss")


def calibrate(
    pairs: Annotated[
        Path,
        typer.Option(help='JSON Lines of {"edit": wording, "query": …, "in_scope": true or false}; fifty will do.'),
    ],
    output: Annotated[Path, typer.Option(help="Folder of the calibrated classifier.")],
    locality: Annotated[float, typer.Option(min=0.5, max=1.0, help="Share of near-misses to be kept out.")] = 0.99,
    scope: options.Scope = None,
    encoder: options.Encoder = None,
    device: options.OnDevice = options.Device.CPU,
    as_json: options.AsJson = False,
) -> None:
    """Choose the threshold of a scope classifier for a stated locality on your own labelled pairs.

    Probabilities are learned anew only from 500 pairs on; with fewer they are kept and the threshold moves.
    """
    from memedit.scope.saved import check_place

    check_place(output)
    labelled = _usable(read_pairs(pairs), pairs)
    from transformers.utils import logging as transformers_logging

    from memedit.scope.calibration import PAIRS_FOR_A_MAP
    from memedit.scope.card import threshold_sentences, write_card
    from memedit.scope.classifier import ScopeClassifier

    transformers_logging.disable_progress_bar()
    classifier = ScopeClassifier.from_pretrained(scope, encoder, device=device)
    before = classifier.evaluate(*unzip(labelled))
    keep = len(labelled) < PAIRS_FOR_A_MAP
    classifier.calibrate(*unzip(labelled), locality=locality, keep_probabilities=keep)
    after = classifier.evaluate(*unzip(labelled))
    threshold = classifier.threshold_
    assert threshold is not None
    done = (
        f"{len(labelled)} pairs are fewer than the {PAIRS_FOR_A_MAP} that new probabilities take: "
        "these were kept, the threshold was moved"
        if keep
        else f"probabilities and threshold were learned from {len(labelled)} pairs"
    )
    classifier.save_pretrained(output)
    command = f"memedit calibrate --pairs {pairs.name} --locality {locality}{f' --scope {scope.name}' if scope else ''}"
    write_card(output, classifier, after, f"Calibrated by `{command}`: {done}.")
    note(done)
    for form, own in ((None, threshold), *threshold.by_form.items()):
        of_form = f" of edits worded as {form}s" if form else ""
        if own.locality_low < locality:
            note(_what_is_not_shown(own.locality_low, own.near_misses, of_form, locality))
        if own.measured_recall < LOW_RECALL:
            note(
                f"only {own.measured_recall:.0%} of your pairs in scope{of_form} are let in: this classifier cannot "
                "tell them from your near-misses; train it on such pairs (memedit train scope --pairs) or state a "
                "lower locality"
            )
    if as_json:
        print_json({
            "output": str(output),
            "pairs": len(labelled),
            "probabilities": "kept" if keep else "learned",
            "threshold": asdict(threshold),
            "before": before.figures(),
            "after": after.figures(),
        })  # fmt: skip
        return
    _print(before, after)
    typer.echo(threshold_sentences(threshold))
    typer.echo(f"Saved to {output}")


def _usable(labelled: LabelledPairs, path: Path) -> LabelledPairs:
    found = without_own_words(labelled)
    if left_out := len(labelled) - len(found):
        note(f"{left_out} pairs repeat the edit's wording: always in scope, and left out here")
    inside, outside = counts(found)
    if min(inside, outside) < FEWEST:
        raise DatasetError(
            f"calibration needs at least {FEWEST} pairs in scope and {FEWEST} near-misses in {path}, "
            f"got {inside} and {outside}"
        )
    return found


def _what_is_not_shown(low: float, near_misses: int, of_form: str, locality: float) -> str:
    said = (
        f"{near_misses} near-misses{of_form} cannot show a locality of {locality}: it may be as low as {low:.3f} (95 %)"
    )
    if locality == 1.0:
        return said
    # All of them kept out, the lower end of Wilson's interval is n / (n + z²).
    return f"{said}; {math.ceil(1.96**2 * locality / (1 - locality))} that are all kept out would"


def _print(before: ScopeReport, after: ScopeReport) -> None:
    rows = [[name.replace("_", " "), *(_shown(getattr(report, name)) for report in (before, after))] for name in _SHOWN]
    rows.insert(2, ["locality, 95 % interval", _interval(before), _interval(after)])
    print_table(f"On {after.positives} pairs in scope and {after.negatives} near-misses", ["", "before", "after"], rows)


def _interval(report: ScopeReport) -> str:
    return f"{_shown(report.locality_low)} to {_shown(report.locality_high)}"


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
