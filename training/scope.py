"""Train `checkpoints/scope`, which decides whether a query means an edit.

    python -m training.scope --data DIR --output checkpoints/scope --seed 0

A user goes on from it with own edits by `memedit train scope`.
A run that was interrupted goes on where it stopped when the command is given again.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memedit.evaluation.metrics import auroc, expected_calibration_error
from memedit.scope.classifier import ScopeClassifier
from memedit.scope.encoder import SentenceEncoder
from memedit.scope.fitting import FitConfig
from training.scope_data.card import scope_card
from training.scope_data.dataset import build_dataset
from training.scope_data.held_out import measure_routing
from training.scope_data.pairs import NEAR_MISSES, Pair

logger = logging.getLogger("training.scope")


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and run the recipe."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    options = _parse(argv)
    encoder = SentenceEncoder.from_pretrained(options.encoder, device=options.device)
    dataset = build_dataset(options.data, encoder, pairs=options.count, seed=options.seed)
    if options.measure:
        classifier = ScopeClassifier.from_pretrained(options.output, encoder.files, device=options.device)
    else:
        classifier = ScopeClassifier(encoder.files, device=options.device)
        classifier.fit(
            _texts(dataset.train), _labels(dataset.train), _config(options),
            resume_from=_state_file(options.output), progress=True,
        )  # fmt: skip
    _calibrate(classifier, dataset.calibration, options.locality)
    classifier.save_pretrained(options.output)
    metrics: dict[str, Any] = {"pairs": measure_pairs(classifier, dataset.test)}
    metrics["routing"], metrics["errors"] = measure_routing(
        classifier, encoder, options.data, seed=options.seed, scale=options.evaluation_scale
    )
    text = json.dumps(metrics, indent=2, ensure_ascii=False)
    (options.output / "metrics.json").write_text(text + "\n", encoding="utf-8")
    command = (
        f"python -m training.scope --data DIR --output {options.output} --count {options.count} "
        f"--epochs {options.epochs} --locality {options.locality} --seed {options.seed}"
    )
    card = scope_card(classifier, dataset.train, metrics, command)
    (options.output / "README.md").write_text(card, encoding="utf-8")
    for row in metrics["routing"]:
        logger.info("%s", row)


def measure_pairs(classifier: ScopeClassifier, pairs: Sequence[Pair]) -> dict[str, Any]:
    """Accuracy by family, AUROC and expected calibration error on held-out pairs."""
    found = classifier.probability(_texts(pairs))
    right: dict[str, list[bool]] = defaultdict(list)
    for pair, probability in zip(pairs, found, strict=True):
        right[pair.family].append((probability >= classifier.threshold) == pair.in_scope)
    labels = np.array(_labels(pairs))
    return {
        "count": len(pairs),
        "auroc": auroc(found[labels].tolist(), found[~labels].tolist()),
        "ece": expected_calibration_error(found.tolist(), labels.tolist()),
        "by_family": {family: float(np.mean(values)) for family, values in sorted(right.items())},
    }


def _calibrate(classifier: ScopeClassifier, pairs: Sequence[Pair], locality: float) -> None:
    near = [pair.family in NEAR_MISSES for pair in pairs]
    classifier.calibrate(_texts(pairs), _labels(pairs), locality=locality, near_misses=near)


def _texts(pairs: Sequence[Pair]) -> list[tuple[str, str]]:
    return [(pair.wording, pair.query) for pair in pairs]


def _labels(pairs: Sequence[Pair]) -> list[bool]:
    return [pair.in_scope for pair in pairs]


def _config(options: argparse.Namespace) -> FitConfig:
    return FitConfig(epochs=options.epochs, learning_rate=options.learning_rate, seed=options.seed)


def _state_file(output: Path) -> Path:
    """Beside the checkpoint and not in it, so that a checkpoint never holds a half-done run."""
    return output.parent / f"{output.name}-in-progress.safetensors"


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the public data")
    parser.add_argument("--output", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--encoder", help="folder or hub id of the sentence encoder")
    parser.add_argument("--count", type=int, default=150_000, help="training pairs to make from --data")
    parser.add_argument("--epochs", type=int, default=1, help="passes over the training pairs")
    parser.add_argument("--learning-rate", type=float, default=FitConfig.learning_rate)
    parser.add_argument("--locality", type=float, default=0.998, help="share of near-misses to keep out")
    parser.add_argument(
        "--measure", action="store_true", help="calibrate and measure the checkpoint at --output, train nothing"
    )
    parser.add_argument("--evaluation-scale", type=float, default=1.0, help="share of the full evaluation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
