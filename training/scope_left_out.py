"""What the scope classifier is worth on a kind of data that it never saw: leave one source out, ask about it.

    python -m training.scope_left_out --data DIR --work DIR --output left_out.json

Each run is the recipe of `training.scope` with fewer pairs; one run leaves nothing out, to compare with. A run that
is done is in the output file and is not done again; its classifier stays in --work and is not trained again either.
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
from training.scope_data.dataset import build_splits
from training.scope_data.held_out import Setting, measure_routing
from training.scope_data.held_out_memory import KnownVectors
from training.scope_data.pairs import Pair
from training.scope_data.routed import calibrate_by_routing

logger = logging.getLogger("training.scope_left_out")

EDITS = 10_000
ASKED = 400
"""Edits asked about in each memory: enough to see a difference of a few hundredths."""


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and do the runs that are not done yet."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    options = _parse(argv)
    options.work.mkdir(parents=True, exist_ok=True)
    # The runs encode the same texts.
    known = KnownVectors(SentenceEncoder.from_pretrained(options.encoder, device=options.device))
    done: dict[str, Any] = json.loads(options.output.read_text(encoding="utf-8")) if options.output.exists() else {}
    for name in ("nothing", *options.sources):
        if name in done:
            continue
        left_out = None if name == "nothing" else name
        sources = options.sources if left_out is None else [left_out]
        done[name] = {"pairs": options.count, "routing": _run(options, known, left_out, sources)}
        options.output.write_text(json.dumps(done, indent=2) + "\n", encoding="utf-8")
        logger.info("without %s: %s", name, done[name]["routing"])


def _run(
    options: argparse.Namespace, encoder: KnownVectors, left_out: str | None, sources: Sequence[str]
) -> list[dict[str, Any]]:
    splits = build_splits(options.data, encoder, pairs=options.count, seed=options.seed, leave_out=left_out)
    classifier = _trained(options, options.work / f"without-{left_out or 'nothing'}", splits["train"].pairs)
    calibrate_by_routing(
        classifier, encoder, splits["calibration"], distractors=splits["train"].facts, locality=options.locality,
        seed=options.seed,
    )  # fmt: skip
    settings = [Setting(source, EDITS, ASKED) for source in sources]
    found, _ = measure_routing(classifier, encoder, options.data, settings, seed=options.seed)
    return list(found["routing"])


def _trained(options: argparse.Namespace, folder: Path, pairs: Sequence[Pair]) -> ScopeClassifier:
    """The classifier of a run, uncalibrated: trained, or read where that was done before."""
    if folder.exists():
        return ScopeClassifier.from_pretrained(folder, options.encoder, device=options.device)
    classifier = ScopeClassifier(options.encoder, device=options.device).fit(
        [(pair.wording, pair.query) for pair in pairs],
        [pair.in_scope for pair in pairs],
        FitConfig(batch_size=64, seed=options.seed),
        resume_from=folder.with_suffix(".safetensors"),
        progress=True,
    )
    classifier.save_pretrained(folder)
    return classifier


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the public data")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps the runs' classifiers")
    parser.add_argument("--output", type=Path, required=True, help="JSON file of the figures")
    parser.add_argument("--sources", nargs="+", default=["counterfact", "zsre", "statements", "knowedit"])
    parser.add_argument("--encoder", help="folder or hub id of the sentence encoder")
    parser.add_argument("--count", type=int, default=20_000, help="training pairs of each run")
    parser.add_argument("--locality", type=float, default=0.99, help="share of near-misses to keep out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
