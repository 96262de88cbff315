"""`memedit train scope`: fit the scope classifier to one's own edits."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memedit.cli import options
from memedit.cli.console import note, print_json
from memedit.errors import DatasetError

if TYPE_CHECKING:
    from memedit.edits import Edit
    from memedit.scope.classifier import ScopeClassifier

HELD_OUT_SHARE = 5
"""Every fifth wording, chosen by its text, is kept for calibration."""
FEWEST = 5
"""Pairs of each class that calibration needs."""
_RATE_WHEN_GOING_ON = 2e-4

LabelledPairs = list[tuple[tuple[str, str], int]]


def scope(
    edits: Annotated[Path, typer.Option(help="JSON Lines of edits; `aliases` teach paraphrases.")],
    output: Annotated[Path, typer.Option(help="Folder of the new classifier.")],
    pairs: Annotated[
        Path | None,
        typer.Option(help='JSON Lines of {"edit": wording, "query": …, "in_scope": true or false}.'),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", help="Classifier to go on from. Default: the shipped one."),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin with an untrained classifier.")] = False,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the pairs.")] = 3,
    locality: Annotated[float, typer.Option(min=0.5, max=1.0, help="Share of near-misses to be kept out.")] = 0.99,
    seed: Annotated[int, typer.Option(help="Seed of order and fresh weights.")] = 0,
    encoder: options.Encoder = None,
    device: options.OnDevice = options.Device.CPU,
    as_json: options.AsJson = False,
) -> None:
    """Train the scope classifier on your own edits, calibrate it, and save it.

    Positives are the edits' aliases, negatives the other edits nearest to them; --pairs adds more.
    """
    from memedit.scope.classifier import ScopeClassifier
    from memedit.scope.fitting import FitConfig

    own = _read_edits(edits)
    labelled = _own_pairs(own, encoder, seed) + (_read_pairs(pairs) if pairs else [])
    training = [item for item in labelled if not _is_held_out(item[0])]
    held_out = [item for item in labelled if _is_held_out(item[0]) and item[0][0] != item[0][1]]
    _check_enough(held_out)
    classifier = (
        ScopeClassifier(encoder, device=device)
        if fresh
        else ScopeClassifier.from_pretrained(start, encoder, device=device)
    )
    config = FitConfig(epochs=epochs, seed=seed)
    if not fresh:
        config = FitConfig(epochs=epochs, seed=seed, learning_rate=_RATE_WHEN_GOING_ON)
    note(f"training on {len(training)} pairs, calibrating on {len(held_out)}")
    classifier.fit(*_unzip(training), config, progress=True)
    classifier.calibrate(*_unzip(held_out), locality=locality)
    classifier.save_pretrained(output)
    report = _report(classifier, held_out, len(training), output)
    if as_json:
        print_json(report)
    else:
        typer.echo("\n".join(f"{name}: {value}" for name, value in report.items()))


def _report(classifier: ScopeClassifier, held_out: LabelledPairs, training: int, output: Path) -> dict[str, Any]:
    pairs, labels = _unzip(held_out)
    fired = classifier.probability(pairs) >= classifier.threshold
    inside = [bool(f) for f, label in zip(fired, labels, strict=True) if label]
    outside = [not f for f, label in zip(fired, labels, strict=True) if not label]
    return {
        "output": str(output),
        "training_pairs": training,
        "held_out_pairs": len(held_out),
        "threshold": classifier.threshold,
        "held_out_in_scope_found": sum(inside) / len(inside),
        "held_out_near_misses_kept_out": sum(outside) / len(outside),
        "fit": classifier.fit_,
    }


def _read_edits(path: Path) -> list[Edit]:
    from memedit.edits import Edit
    from memedit.evaluation.records import read_records

    found = [
        Edit(
            id=str(record.row),
            prompt=record.text("prompt"),
            target=record.text("target"),
            aliases=record.texts("aliases"),
        )
        for record in read_records(path)
    ]
    if not found:
        raise DatasetError(f"{path} holds no edits")
    return found


def _read_pairs(path: Path) -> LabelledPairs:
    from memedit.evaluation.records import read_records

    found: LabelledPairs = []
    for record in read_records(path):
        label = record.values.get("in_scope")
        if label not in (True, False):
            raise record.error(f"in_scope must be true or false, got {label!r}")
        found.append(((record.text("edit"), record.text("query")), int(label)))
    return found


def _own_pairs(edits: list[Edit], encoder: str | None, seed: int) -> LabelledPairs:
    from memedit.scope.encoder import SentenceEncoder
    from memedit.scope.fitting import pairs_from_edits

    pairs, labels = pairs_from_edits(edits, SentenceEncoder.from_pretrained(encoder), seed=seed)
    return list(zip(pairs, labels, strict=True))


def _is_held_out(pair: tuple[str, str]) -> bool:
    return zlib.crc32(pair[0].encode()) % HELD_OUT_SHARE == 0


def _check_enough(held_out: LabelledPairs) -> None:
    inside = sum(label for _, label in held_out)
    outside = len(held_out) - inside
    if min(inside, outside) < FEWEST:
        raise DatasetError(
            f"calibration needs {FEWEST} paraphrases and {FEWEST} near-misses in the fifth that is held out, "
            f"got {inside} and {outside}; give more edits with aliases, or --pairs"
        )


def _unzip(labelled: LabelledPairs) -> tuple[list[tuple[str, str]], list[int]]:
    return [pair for pair, _ in labelled], [label for _, label in labelled]
