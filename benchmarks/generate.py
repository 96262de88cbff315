"""Time `generate` beside an edit memory against the base alone, and weigh what wrapping adds.

python -m benchmarks.generate --edits 1000
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import torch
from tqdm import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from benchmarks.queries import everyday_queries, made_up_facts
from memedit import EditedModel, EditMemory, Router, ScopeClassifier, SentenceEncoder, wrap
from memedit.checkpoints import shipped
from memedit.model import Isolation

NEW_TOKENS = 64
BATCH = 16
MIXED: tuple[Isolation, ...] = ("fused", "split", "exact")
SIZES = {
    "random 100 M": {"hidden_size": 768, "intermediate_size": 2560, "num_hidden_layers": 12, "num_attention_heads": 12},
    "random 1 B": {"hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 16},
}
"""Llama shapes of about that many parameters, for mini's vocabulary."""
WANTED = {
    ("mini", "out of scope"): 1.10,
    ("random 100 M", "out of scope"): 1.03,
    ("mini", "in scope"): 1.25,
    ("mini", "mixed, fused"): 1.35,
}
WANTED_MEMORY = 0.05


def main() -> None:
    """Measure, and print a Markdown table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, default=1_000, help="edits in the memory")
    parser.add_argument("--repeat", type=int, default=10, help="timed pairs of calls of each kind; a third for batches")
    parser.add_argument(
        "--bases", nargs="+", choices=["mini", *SIZES], help="bases to measure; by the device if not given"
    )
    parser.add_argument("--device", default="cpu", help="where the bases run; cuda adds a random 1 B in bfloat16")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument(
        "--scope", type=Path, help="checkpoint of the scope classifier; the one that ships if not given"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--memory-only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    if options.memory_only:
        print(json.dumps(_memory(options.scope)))
        return
    rows = []
    for row in _measure(options):
        rows.append(row)
        tqdm.write(f"{row['base']}, {row['kind']}: {row['ratio']:.3f}", file=sys.stderr)
    weighed = _in_a_process_of_its_own(options)
    print(json.dumps({"rows": rows, "memory": weighed}) if options.json else _tables(rows, weighed))


def _measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    encoder = SentenceEncoder.from_pretrained()
    classifier = ScopeClassifier.beside(encoder, options.scope)
    tokenizer = AutoTokenizer.from_pretrained(shipped("mini"))
    facts = list(islice(made_up_facts(), options.edits))
    names = options.bases or ["mini", "random 100 M", *(["random 1 B"] if options.device.startswith("cuda") else [])]
    with EditMemory(None, encoder) as memory:
        memory.add_many(({"prompt": stored, "target": "Marlow"} for stored, _ in facts), progress=True)
        asked = _in_scope(Router(memory, classifier), [question for _, question in facts], options.repeat)
        for name in names:
            base = _base(name, options.device)
            model = wrap(base, tokenizer, memory=memory, scope=classifier)
            bench = _Bench(name, model, tokenizer, options.repeat, asked)
            yield bench.out_of_scope()
            yield bench.in_scope()
            if name == "mini" or options.device != "cpu":
                yield from (bench.mixed(level) for level in MIXED)
            model.unwrap()
            del bench, model, base


def _base(name: str, device: str) -> Any:
    if name == "mini":
        return AutoModelForCausalLM.from_pretrained(shipped("mini"), dtype=torch.float32).to(device).eval()
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=8192, pad_token_id=0, eos_token_id=0, **SIZES[name])  # type: ignore[arg-type]
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    return LlamaForCausalLM(config).to(device, dtype).eval()


def _in_scope(router: Router, questions: Sequence[str], repeat: int) -> list[str]:
    """As many questions that mean an edit as the calls need: one each, and half a batch for each batch."""
    wanted = max(repeat, _batches(repeat) * BATCH // 2)
    found: list[str] = []
    for start in range(0, len(questions), BATCH):
        if len(found) >= wanted:
            return found
        found += [route.query for route in router.route(questions[start : start + BATCH]) if route.in_scope]
    raise SystemExit(f"expected {wanted} questions in scope of the edits, found {len(found)}: give more --edits")


def _batches(repeat: int) -> int:
    return max(3, repeat // 3)


class _Bench:
    """Times one wrapped model against its base, call by call in turns."""

    def __init__(
        self, name: str, model: EditedModel, tokenizer: PreTrainedTokenizerBase, repeat: int, asked: Sequence[str]
    ) -> None:
        self.name, self.model, self.tokenizer, self.repeat = name, model, tokenizer, repeat
        self.everyday, self.asked = everyday_queries(), asked

    def out_of_scope(self) -> dict[str, Any]:
        """One row that no edit means; a new query each time."""
        return self._row("out of scope", [[query] for query in self.everyday[: self.repeat]])

    def in_scope(self) -> dict[str, Any]:
        """One row that an edit means, asked in other words; the edit was answered before."""
        return self._row("in scope", [[query] for query in self.asked[: self.repeat]])

    def mixed(self, level: Isolation) -> dict[str, Any]:
        """Sixteen rows, every second of which is in scope."""
        half = BATCH // 2
        self.model.isolation = level
        batches = []
        for number in range(_batches(self.repeat)):
            near = self.asked[number * half : (number + 1) * half]
            far = [self.everyday[(number * half + place) % len(self.everyday)] for place in range(half)]
            batches.append([query for pair in zip(near, far, strict=True) for query in pair])
        return self._row(f"mixed, {level}", batches)

    def _row(self, kind: str, batches: Sequence[list[str]]) -> dict[str, Any]:
        alone, beside, routing = [], [], []
        for number, queries in enumerate(tqdm(batches, desc=f"{self.name}, {kind}", leave=False)):
            self._generate(self.model, queries, 2)  # the prefixes of its edits are warm from here on

            def once(queries: list[str] = queries) -> None:
                alone.append(self._generate(self.model.base, queries, NEW_TOKENS))

            def edited(queries: list[str] = queries) -> None:
                self._forget()
                beside.append(self._generate(self.model, queries, NEW_TOKENS))
                routing.append(sum(route.seconds for route in self.model.last_routes))

            # Each goes first in every second pair: a machine that speeds up or slows down favours neither.
            for call in (once, edited) if number % 2 else (edited, once):
                call()
        pairs = list(zip(alone, beside, routing, strict=True))
        return {
            "base": self.name,
            "kind": kind,
            "rows": len(batches[0]),
            "pairs": len(pairs),
            "base_ms": 1e3 * median(alone),
            "edited_ms": 1e3 * median(beside),
            "routing_ms": 1e3 * median(routing),
            "ratio": median(total / base for base, total, _ in pairs),
            "ratio_without_routing": median((total - routed) / base for base, total, routed in pairs),
            "wanted": WANTED.get((self.name, kind)),
        }

    def _generate(self, model: Any, queries: list[str], tokens: int) -> float:
        inputs = self.tokenizer(queries, return_tensors="pt", padding=True, padding_side="left")
        given = {name: inputs[name].to(self.model.base.device) for name in ("input_ids", "attention_mask")}
        with _synchronised(self.model.base.device) as clock:
            model.generate(**given, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False)
        return clock()

    def _forget(self) -> None:
        """Make the router decide anew; what was read of an edit stays warm."""
        self.model.router = Router(self.model.edits, self.model.router.classifier)


@contextmanager
def _synchronised(device: torch.device) -> Iterator[Callable[[], float]]:
    """Seconds that the block took, the accelerator's work included."""
    ended = 0.0
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    yield lambda: ended - began
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    ended = time.perf_counter()


def _in_a_process_of_its_own(options: argparse.Namespace) -> dict[str, float]:
    """What is freed stays with the process, so that memory is weighed in a new one."""
    command = [sys.executable, "-m", "benchmarks.generate", "--memory-only"]
    command += ["--scope", str(options.scope)] if options.scope else []
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own command
    weighed: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return weighed


def _memory(scope: Path | None) -> dict[str, float]:
    """Megabytes that each step adds, on the random 100 M base; and what wrapping takes at its highest."""
    tokenizer = AutoTokenizer.from_pretrained(shipped("mini"))
    SentenceEncoder.from_pretrained().encode(["libraries load their parts when they are first used"])
    sizes = [_status("VmRSS")]
    base = _base("random 100 M", "cpu")
    sizes.append(_status("VmRSS"))
    encoder = SentenceEncoder.from_pretrained()
    sizes.append(_status("VmRSS"))
    # From here on the process's high-water mark is that of wrapping.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    classifier = ScopeClassifier.beside(encoder, scope)
    sizes.append(_status("VmRSS"))
    _ = wrap(base, tokenizer, memory=EditMemory(None, encoder), scope=classifier)
    sizes.append(_status("VmRSS"))
    names = ("base_mb", "encoder_mb", "classifier_mb", "wrapping_mb")
    parts = {name: after - before for name, before, after in zip(names, sizes, sizes[1:], strict=False)}
    parts["peak_mb"] = _status("VmHWM") - sizes[2]
    beside = parts["base_mb"] + parts["encoder_mb"]
    shares = {
        "share": parts["wrapping_mb"] / beside,
        "share_with_classifier": (parts["wrapping_mb"] + parts["classifier_mb"]) / beside,
        "share_at_peak": parts["peak_mb"] / beside,
    }
    return {**parts, **shares, "wanted": WANTED_MEMORY}


def _status(name: str) -> float:
    """Megabytes of this process (Linux): what is resident (VmRSS), or was at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1e3


def _tables(rows: Sequence[dict[str, Any]], weighed: dict[str, float]) -> str:
    lines = [
        "| base | call | rows | base alone, ms | edited, ms | of it routing, ms | ratio | without routing | wanted |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        wanted = f"{row['wanted']:.2f}" if row["wanted"] else ""
        figures = " | ".join(f"{row[name]:.0f}" for name in ("base_ms", "edited_ms", "routing_ms"))
        ratios = f"{row['ratio']:.3f} | {row['ratio_without_routing']:.3f}"
        lines.append(f"| {row['base']} | {row['kind']} | {row['rows']} | {figures} | {ratios} | {wanted} |")
    lines += [
        "",
        "| base | encoder | scope classifier | wrapping | at its highest | wrapping, of base and encoder "
        "| with the classifier | wanted |",
        "|---|---|---|---|---|---|---|---|",
    ]
    parts = ("base", "encoder", "classifier", "wrapping", "peak")
    sizes = " | ".join(f"{weighed[f'{part}_mb']:.0f} MB" for part in parts)
    shares = " | ".join(f"{weighed[name]:.1%}" for name in ("share", "share_with_classifier"))
    lines.append(f"| {sizes} | {shares} | {weighed['wanted']:.0%} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
