"""Train `checkpoints/scope`, which decides whether a query means an edit.

    python -m training.scope --data DIR --output checkpoints/scope --seed 0

A user goes on from it with own edits by `memedit train scope`.
A run that was interrupted goes on where it stopped when the command is given again.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memedit.scope.classifier import ScopeClassifier
from memedit.scope.encoder import SentenceEncoder
from memedit.scope.fitting import FitConfig
from training.scope_data.card import scope_card
from training.scope_data.dataset import build_splits
from training.scope_data.held_out import SETTINGS, measure_routing
from training.scope_data.measures import measure_pairs
from training.scope_data.routed import calibrate_by_routing

logger = logging.getLogger("training.scope")


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and run the recipe."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    options = _parse(argv)
    encoder = SentenceEncoder.from_pretrained(options.encoder, device=options.device)
    splits = build_splits(options.data, encoder, pairs=options.count, seed=options.seed)
    if options.measure:
        classifier = ScopeClassifier.from_pretrained(options.output, encoder.files, device=options.device)
    else:
        if options.start:
            classifier = ScopeClassifier.from_pretrained(options.start, encoder.files, device=options.device)
        else:
            classifier = ScopeClassifier(encoder.files, device=options.device)
        kept = None
        if options.keep_of:
            kept = ScopeClassifier.from_pretrained(options.keep_of, encoder.files, device=options.device)
        train = splits["train"].pairs
        config = FitConfig(
            epochs=options.epochs, learning_rate=options.learning_rate, batch_size=options.batch_size,
            seed=options.seed, keep=options.keep,
        )  # fmt: skip
        classifier.fit(
            [(pair.wording, pair.query) for pair in train], [pair.in_scope for pair in train], config,
            kept=kept, resume_from=_state_file(options.output), progress=True,
        )  # fmt: skip
        classifier.save_pretrained(options.output)
    calibrate_by_routing(
        classifier, encoder, splits["calibration"], distractors=splits["train"].facts, locality=options.locality,
        seed=options.seed,
    )  # fmt: skip
    classifier.save_pretrained(options.output)
    metrics: dict[str, Any] = {"pairs": measure_pairs(classifier, splits["test"].pairs)}
    settings = [s for s in SETTINGS if s.edits <= options.largest]
    routing, report = measure_routing(classifier, encoder, options.data, settings, seed=options.seed)
    metrics |= routing
    metrics["left_out"] = json.loads(options.left_out.read_text(encoding="utf-8")) if options.left_out else {}
    text = json.dumps(metrics, indent=2, ensure_ascii=False)
    (options.output / "metrics.json").write_text(text + "\n", encoding="utf-8")
    if report is not None:
        report.save_plots(options.output)
    card = scope_card(classifier, splits["train"].pairs, metrics, _command(options))
    (options.output / "README.md").write_text(card, encoding="utf-8")
    for row in metrics["routing"]:
        logger.info("%s", row)


def _command(options: argparse.Namespace) -> str:
    going_on = f" --start START --keep {options.keep}" if options.start else ""
    going_on += " --keep-of EARLIER" if options.keep_of else ""
    return (
        f"python -m training.scope --data DIR --output {options.output} --count {options.count} "
        f"--epochs {options.epochs} --batch-size {options.batch_size} --locality {options.locality} "
        f"--learning-rate {options.learning_rate} --seed {options.seed}{going_on}"
    )


def _state_file(output: Path) -> Path:
    """Beside the checkpoint and not in it, so that a checkpoint never holds a half-done run."""
    return output.parent / f"{output.name}-in-progress.safetensors"


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the public data")
    parser.add_argument("--output", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--start", type=Path, help="classifier to go on from; default: the encoder's own weights")
    parser.add_argument("--keep", type=float, default=0.0, help="share of --start's weights in those it ends with")
    parser.add_argument("--keep-of", type=Path, help="classifier whose weights --keep keeps; default: --start")
    parser.add_argument("--encoder", help="folder or hub id of the sentence encoder")
    parser.add_argument("--count", type=int, default=180_000, help="training pairs to make from --data")
    parser.add_argument("--epochs", type=int, default=1, help="passes over the training pairs")
    parser.add_argument("--batch-size", type=int, default=64, help="pairs per step")
    parser.add_argument("--learning-rate", type=float, default=FitConfig.learning_rate)
    parser.add_argument("--locality", type=float, default=0.99, help="share of near-misses to keep out")
    parser.add_argument("--left-out", type=Path, help="output of training.scope_left_out, to be told in the card")
    parser.add_argument(
        "--measure", action="store_true", help="calibrate and measure the checkpoint at --output, train nothing"
    )
    parser.add_argument("--largest", type=int, default=100_000, help="edits in the largest memory of the evaluation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
