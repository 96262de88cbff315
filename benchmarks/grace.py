"""Judge the GRACE editor on mini: what each part of it is worth, and what a fit costs beside the published method.

python -m benchmarks.grace --data counterfact-val.json --format counterfact --edits 1 10 100 1000
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from memedit import EditedModel, EditMemory, Router, ScopeClassifier, SentenceEncoder
from memedit.checkpoints import shipped
from memedit.editors.activations import find_blocks
from memedit.editors.grace import GraceConfig, GraceDeferral, GraceEditor, PublishedGrace
from memedit.edits import Edit
from memedit.evaluation import build_report, evaluate, load_dataset
from memedit.evaluation.subject import RememberedRoutes

NEW_TOKENS = 20
BATCH = 100
ALONE = 5


@dataclass(frozen=True)
class Variant:
    """One row of the ablation table: how its editor is made, and whether the router decides."""

    make: Callable[[Any, Any], GraceEditor]
    routed: bool = True


def _with(**settings: Any) -> Callable[[Any, Any], GraceEditor]:
    return lambda base, tokenizer: GraceEditor(base, tokenizer, GraceConfig(**settings))


def _in_the_middle(base: Any, tokenizer: Any) -> GraceEditor:
    return GraceEditor(base, tokenizer, GraceConfig(layer=len(find_blocks(base)) // 2))


VARIANTS = {
    "all on": Variant(_with()),
    "no router": Variant(_with(), routed=False),
    "no router, no subject keys": Variant(_with(subject_keys=False), routed=False),
    "one vector": Variant(_with(value="single")),
    "no stop": Variant(_with(stop=False)),
    "prompt only": Variant(_with(wordings=False)),
    "middle layer": Variant(_in_the_middle),
    "published": Variant(PublishedGrace, routed=False),
}
"""Everything on, then one item switched off in each row, then the method as published."""


def main() -> None:
    """Measure, and print Markdown tables or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="data file")
    parser.add_argument("--format", choices=["counterfact", "zsre"], default="counterfact", help="its format")
    parser.add_argument("--edits", type=int, nargs="+", default=[1, 10, 100, 1_000], help="edits in the memory")
    parser.add_argument("--queries", type=int, help="ask about so many of them; all if not given")
    parser.add_argument(
        "--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), help="rows of the table"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    bench = _Bench(options)
    rows = [bench.row(name, count) for count in options.edits for name in options.variants]
    costs = bench.costs()
    print(json.dumps({"rows": rows, "seconds_per_edit": costs}) if options.json else _tables(rows, costs))


class _Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.base: Any = AutoModelForCausalLM.from_pretrained(shipped("mini"), dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(shipped("mini"))
        self.dataset = load_dataset(options.data, options.format)
        self.encoder, self.classifier = SentenceEncoder.from_pretrained(), ScopeClassifier.from_pretrained(None)
        self.stored: dict[int, tuple[EditMemory, RememberedRoutes]] = {}

    def row(self, name: str, count: int) -> dict[str, Any]:
        """Reliability, generality and locality of one variant beside so many edits, decoded freely."""
        variant = VARIANTS[name]
        memory, router = self._memory(count)
        editor = variant.make(self.base, self.tokenizer)
        with ExitStack() as undo:
            undo.callback(editor.detach)
            model: Any = EditedModel(
                self.base, self.tokenizer, memory, router if variant.routed else GraceDeferral(editor, memory), editor
            )
            # The edits are there already: every row is asked about one memory.
            model.edits = _Known(memory)
            began = time.perf_counter()
            evaluation = evaluate(
                model, self.dataset, edits=count, queries=self.options.queries, max_new_tokens=NEW_TOKENS
            )
            report = build_report(evaluation, {})
        locality = [share for share in report["locality"].values() if share is not None]
        return {
            "edits": count,
            "variant": name,
            "reliability": report["reliability"],
            "generality": report["generality"],
            "locality": min(locality, default=None),
            "layer": editor.choice.layer if editor.choice else None,
            "entries": len(editor.codebook),
            "seconds": time.perf_counter() - began,
        }

    def costs(self) -> dict[str, float]:
        """Seconds per edit: alone, in one batch, and as published."""
        cases = self.dataset.cases[:BATCH]
        edits = [
            Edit(id=str(number), prompt=case.prompt, target=case.target, subject=case.subject)
            for number, case in enumerate(cases)
        ]
        chosen, published = GraceEditor(self.base, self.tokenizer), PublishedGrace(self.base, self.tokenizer)
        with ExitStack() as undo:
            undo.callback(chosen.detach)
            undo.callback(published.detach)
            choosing = _seconds(chosen, edits[:ALONE])
            alone = [_seconds(chosen, [edit]) for edit in edits[:ALONE]]
            return {
                "choosing the layer, once": choosing,
                "alone": sum(alone) / len(alone),
                f"in a batch of {len(edits)}": _seconds(chosen, edits) / len(edits),
                "published": _seconds(published, edits[:ALONE]) / len(edits[:ALONE]),
            }

    def _memory(self, count: int) -> tuple[EditMemory, RememberedRoutes]:
        if count not in self.stored:
            memory = EditMemory(None, self.encoder)
            self.stored[count] = memory, RememberedRoutes(Router(memory, self.classifier))
        return self.stored[count]


class _Known:
    """A memory that is filled by the first evaluation, and tells the others what it holds already."""

    def __init__(self, memory: EditMemory) -> None:
        self._memory = memory
        self._edits = {(edit.prompt, edit.target): edit for edit in memory.list()}

    def __len__(self) -> int:
        return len(self._memory)

    def add_many(self, items: Any, *, progress: bool = False) -> list[Edit]:
        items = list(items)
        if not len(self._memory):
            return self._memory.add_many(items, progress=progress)
        return [self._edits.get((item["prompt"], item["target"])) or self._memory.add(**item) for item in items]

    def add(self, prompt: str, target: str, **more: Any) -> Edit:
        return self._edits.get((prompt, target)) or self._memory.add(prompt, target, **more)


def _seconds(editor: GraceEditor, edits: Sequence[Edit]) -> float:
    began = time.perf_counter()
    editor.fit(edits)
    return time.perf_counter() - began


def _tables(rows: Sequence[dict[str, Any]], costs: dict[str, float]) -> str:
    shares = ("reliability", "generality", "locality")
    lines = [f"| edits | variant | {' | '.join(shares)} | layer | entries |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        figures = " | ".join("" if row[name] is None else f"{row[name]:.3f}" for name in shares)
        lines.append(f"| {row['edits']} | {row['variant']} | {figures} | {row['layer']} | {row['entries']} |")
    lines += ["", "| fitting | seconds per edit |", "|---|---|"]
    lines += [f"| {name} | {seconds:.3f} |" for name, seconds in costs.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
