"""What the scope classifier is worth on a kind of data that it never saw: leave sources out, ask about them.

    python -m training.scope_left_out --data DIR --work DIR --output left_out.json

Each run is the recipe of `training.scope` from the encoder's own weights. A run named "nothing" leaves nothing out, to
compare with; one named "zsre+statements" leaves out two sources at once, which costs half the time and is the
harder test. A run that is done is in the output file and is not done again; its classifier stays in --work
and is not trained again either, so that it can be calibrated to another locality.
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
SOURCES = ("counterfact", "zsre", "statements", "passages", "knowedit")
"""What can be asked about."""
NOTHING = "nothing"


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and do the runs that are not done yet."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    options = _parse(argv)
    for name in options.runs:
        _left_out(name)  # a slip of the pen is told before the first run, not after it
    options.work.mkdir(parents=True, exist_ok=True)
    # The runs encode the same texts.
    known = KnownVectors(SentenceEncoder.from_pretrained(options.encoder, device=options.device))
    done: dict[str, Any] = json.loads(options.output.read_text(encoding="utf-8")) if options.output.exists() else {}
    for name in options.runs:
        run = f"{name} at {options.locality}"
        if run in done:
            continue
        done[run] = {"pairs": options.count, **_run(options, known, name)}
        options.output.write_text(json.dumps(done, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        logger.info("without %s: %s", run, done[run]["routing"])


def _run(options: argparse.Namespace, encoder: KnownVectors, name: str) -> dict[str, Any]:
    """What `measure_routing` finds of the sources that the run `name` leaves out."""
    left_out = _left_out(name)
    splits = build_splits(options.data, encoder, pairs=options.count, seed=options.seed, leave_out=left_out)
    classifier = _trained(options, options.work / f"without-{name}", splits["train"].pairs)
    calibrate_by_routing(
        classifier, encoder, splits["calibration"], distractors=splits["train"].facts, locality=options.locality,
        seed=options.seed,
    )  # fmt: skip
    settings = [Setting(source, EDITS, ASKED) for source in left_out or SOURCES]
    found, _ = measure_routing(classifier, encoder, options.data, settings, seed=options.seed)
    return found


def _left_out(run: str) -> list[str]:
    """The sources that a run leaves out.

    Raises:
        ValueError: One of them cannot be asked about.
    """
    sources = [] if run == NOTHING else run.split("+")
    if unknown := sorted({*sources} - {*SOURCES}):
        raise ValueError(f"expected sources of {SOURCES}, joined by '+', got {unknown}")
    return sources


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
    parser.add_argument(
        "--runs", nargs="+", default=[NOTHING, *SOURCES], help='"nothing", or what to leave out, joined by "+"'
    )
    parser.add_argument("--encoder", help="folder or hub id of the sentence encoder")
    parser.add_argument("--count", type=int, default=20_000, help="training pairs of each run")
    parser.add_argument("--locality", type=float, default=0.993, help="share of near-misses to keep out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
