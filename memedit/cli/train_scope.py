"""`memedit train scope`: fit the scope classifier to one's own edits."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memedit.cli import options
from memedit.cli.console import note, print_json
from memedit.cli.pairs import FEWEST, LabelledPairs, counts, read_edits, read_pairs, unzip, without_own_words
from memedit.errors import DatasetError

if TYPE_CHECKING:
    from memedit.edits import Edit
    from memedit.scope.classifier import ScopeClassifier
    from memedit.scope.report import ScopeReport

HELD_OUT_SHARE = 5
"""Every fifth edit, chosen by its prompt, is kept for calibration: it stays on its side in every file."""
_RATE_WHEN_GOING_ON = 2e-4


def scope(
    edits: Annotated[Path, typer.Option(help="JSON Lines of edits; `aliases` and `subject` teach most.")],
    output: Annotated[Path, typer.Option(help="Folder of the new classifier.")],
    pairs: Annotated[
        Path | None,
        typer.Option(help='JSON Lines of {"edit": wording, "query": …, "in_scope": true or false}.'),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", help="Classifier to go on from. Default: the shipped one, if it fits the encoder."),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin with an untrained classifier.")] = False,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the pairs.")] = 3,
    locality: Annotated[float, typer.Option(min=0.5, max=1.0, help="Share of near-misses to be kept out.")] = 0.99,
    seed: Annotated[int, typer.Option(help="Seed of order and fresh weights.")] = 0,
    encoder: options.Encoder = None,
    device: options.OnDevice = options.Device.CPU,
    as_json: options.AsJson = False,
) -> None:
    """Train the scope classifier on your own edits, calibrate it, and save it with a model card.

    In scope are the edits' other wordings, near-misses the edits nearest to them; --pairs adds more. A fifth of the
    edits is held out. An interrupted run goes on when the same command is given again.
    """
    from memedit.scope.fitting import FitConfig
    from memedit.scope.saved import check_place

    check_place(output)
    own = read_edits(edits)
    given = read_pairs(pairs) if pairs else []
    classifier, going_on = _beginning(start, encoder, device, fresh=fresh)
    training, held_out = _split(own, given, classifier, seed)
    config = FitConfig(epochs=epochs, seed=seed)
    if going_on:
        config = FitConfig(epochs=epochs, seed=seed, learning_rate=_RATE_WHEN_GOING_ON)
    note(f"training on {len(training)} pairs, calibrating on {len(held_out)}")
    classifier.fit(*unzip(training), config, resume_from=_state_file(output), progress=True)
    classifier.calibrate(*unzip(held_out), locality=locality)
    report = classifier.evaluate(*unzip(held_out))
    classifier.save_pretrained(output)
    _write_card(output, classifier, report, own, len(training), "a trained one" if going_on else "an untrained one")
    shown = _shown(classifier, report, len(training), output)
    if as_json:
        print_json(shown)
    else:
        typer.echo("\n".join(f"{name}: {value}" for name, value in shown.items()))


def _beginning(
    start: Path | None, encoder: str | None, device: options.Device, *, fresh: bool
) -> tuple[ScopeClassifier, bool]:
    """The classifier to train, and whether it has been trained before."""
    from transformers.utils import logging as transformers_logging

    from memedit.checkpoints import shipped
    from memedit.scope.classifier import ScopeClassifier
    from memedit.scope.encoder import find_encoder
    from memedit.scope.saved import read_config

    if fresh and start is not None:
        raise typer.BadParameter("give --from, to go on from that classifier, or --fresh, to begin with none; not both")
    transformers_logging.disable_progress_bar()
    files = find_encoder(encoder)
    if start is None and not fresh and encoder is not None:
        made_for = read_config(shipped("scope"))["encoder"]
        fresh = made_for["weights_sha256"] != files.weights_sha256
        if fresh:
            note(f"the shipped classifier is for {made_for['id']}: beginning with an untrained one on {files.id}")
    if fresh:
        return ScopeClassifier(files, device=device), False
    return ScopeClassifier.from_pretrained(start, files, device=device), True


def _split(
    edits: list[Edit], given: LabelledPairs, classifier: ScopeClassifier, seed: int
) -> tuple[LabelledPairs, LabelledPairs]:
    """Pairs to train on and pairs to calibrate on: all pairs of one edit are on the same side.

    Training sees no wording of a held-out edit; a held-out edit's near-misses come from all edits,
    since those are what it will meet.
    """
    from memedit.memory.wordings import prompt_key
    from memedit.scope.encoder import SentenceEncoder
    from memedit.scope.hard_negatives import pairs_from_edits

    sides = {prompt_key(text): _is_held_out(edit.prompt) for edit in edits for text in edit.wordings}
    encoder = SentenceEncoder(classifier.encoder, classifier.device)
    both: dict[bool, LabelledPairs] = {}
    for side in (False, True):
        chosen = [edit for edit in edits if _is_held_out(edit.prompt) is side]
        among = edits if side else None
        made = pairs_from_edits(chosen, encoder, seed=seed, among=among, progress=True)
        added = [item for item in given if sides.get(prompt_key(item[0][0]), _is_held_out(item[0][0])) is side]
        both[side] = [*zip(*made, strict=True), *added]
    # A swapped subject or a given pair can make a held-out edit's words.
    training = [item for item in both[False] if not any(sides.get(prompt_key(text)) for text in item[0])]
    held_out = without_own_words(both[True])
    inside, outside = counts(held_out)
    if min(inside, outside) < FEWEST or not training:
        raise DatasetError(
            f"calibration needs {FEWEST} paraphrases and {FEWEST} near-misses in the fifth that is held out, "
            f"got {inside} and {outside}; give more edits with aliases, or --pairs"
        )
    return training, held_out


def _is_held_out(prompt: str) -> bool:
    from memedit.memory.wordings import prompt_key

    return zlib.crc32(prompt_key(prompt).encode()) % HELD_OUT_SHARE == 0


def _state_file(output: Path) -> Path:
    """Beside the output and not in it, so that a classifier's folder never holds a half-done run."""
    file = output.parent / f"{output.name}-in-progress.safetensors"
    if file.exists():
        note(f"{file} holds an interrupted run; going on with it if pairs and settings are the same")
    return file


def _write_card(
    output: Path, classifier: ScopeClassifier, report: ScopeReport, edits: list[Edit], training: int, before: str
) -> None:
    from memedit.scope.card import write_card

    with_aliases, with_subject = sum(bool(edit.aliases) for edit in edits), sum(bool(edit.subject) for edit in edits)
    held_out = sum(_is_held_out(edit.prompt) for edit in edits)
    fit = classifier.fit_
    made = (
        f"Made by `memedit train scope` from {len(edits):,} edits ({with_aliases:,} with aliases, {with_subject:,} "
        f"with a subject), beginning with {before}. {held_out:,} of the edits were held out with all their pairs: "
        f"trained on {training:,} pairs, measured on {report.count:,}; {fit['steps']:.0f} steps in "
        f"{fit['seconds'] / 60:.1f} minutes, last loss {fit['loss']:.4f}."
    )
    if not write_card(output, classifier, report, made):
        note("matplotlib is not installed, so the card has no plots (pip install 'memedit[plots]')")


def _shown(classifier: ScopeClassifier, report: ScopeReport, training: int, output: Path) -> dict[str, Any]:
    return {
        "output": str(output),
        "training_pairs": training,
        "held_out_pairs": report.count,
        "threshold": classifier.threshold,
        "held_out_in_scope_found": report.recall,
        "held_out_near_misses_kept_out": report.locality,
        "held_out": report.figures(),
        "fit": classifier.fit_,
    }
