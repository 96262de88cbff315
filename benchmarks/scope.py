"""Time the routing of queries on one core: alone, in a batch, with and without candidates, repeated.

python -m benchmarks.scope --edits 1000 10000 --keep memories
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import mean, median

import torch
from tqdm import tqdm

from benchmarks.queries import everyday_queries, made_up_facts
from memedit import EditMemory, Router, ScopeClassifier, SentenceEncoder

BATCH = 64
MIXED_NEAR = 10
"""In mixed traffic one query in this many has candidates."""

ROWS = {
    "left_early": "everyday queries that leave early, share",
    "candidates": "candidates of a query about an edit, mean",
    "encoder_ms": "(a) one encoder pass, ms",
    "nothing_near_ms": "(b) routed query with nothing near, ms",
    "nothing_near_over_ideal": "(b) / (a)",
    "asked_ms": "(c) routed query with candidates, ms",
    "asked_over_ideal": "(c) / (an encoder pass and one batch of its pairs)",
    "batch_nothing_near_ms": f"(d) {BATCH} at once, nothing near, ms per query",
    "batch_nothing_near_gain": "(d) one by one / at once, nothing near",
    "batch_asked_ms": f"(d) {BATCH} at once, with candidates, ms per query",
    "batch_asked_gain": "(d) one by one / at once, with candidates",
    "batch_mixed_ms": f"(d) {BATCH} at once, one in {MIXED_NEAR} with candidates, ms per query",
    "batch_mixed_gain": f"(d) one by one / at once, one in {MIXED_NEAR} with candidates",
    "nothing_near_growth": "(e) (b) / (b) of the smallest memory",
    "asked_growth": "(e) (c) / (c) of the smallest memory",
    "repeated_ms": "(f) repeated query, ms",
}


def main() -> None:
    """Measure at the given sizes and print a Markdown table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, nargs="+", default=[1_000, 10_000], help="sizes to measure at")
    parser.add_argument(
        "--repeat", type=int, default=15, help="timed repetitions; a batch is repeated a fifth as often"
    )
    parser.add_argument("--margin", type=float, help="the router's margin; its default if not given")
    parser.add_argument(
        "--scope", type=Path, help="checkpoint of the scope classifier; the one that ships if not given"
    )
    parser.add_argument("--keep", type=Path, help="folder that keeps the filled memories for the next run")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    encoder = SentenceEncoder.from_pretrained()
    classifier = ScopeClassifier.beside(encoder, options.scope)
    settings = {} if options.margin is None else {"margin": options.margin}
    found: dict[int, dict[str, float]] = {}
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        for size in sorted(options.edits):
            with _filled(folder / f"{size}.db", encoder, size) as memory:
                found[size] = _measured(memory, classifier, settings, options.repeat)
    smallest = found[min(found)]
    for figures in found.values():
        for kind in ("nothing_near", "asked"):
            figures[f"{kind}_growth"] = figures[f"{kind}_ms"] / smallest[f"{kind}_ms"]
    print(json.dumps(found) if options.json else _table(found))


def _filled(path: Path, encoder: SentenceEncoder, size: int) -> EditMemory:
    """A memory of `size` edits about made-up towns; a file that holds them already is used as it is."""
    memory = EditMemory(path, encoder)
    if not len(memory):
        facts = itertools.islice(made_up_facts(), size)
        memory.add_many(({"prompt": stored, "target": "Answer"} for stored, _ in facts), progress=True)
    if len(memory) != size:
        raise SystemExit(f"expected {size} edits in {path}, got {len(memory)}")
    return memory


def _measured(
    memory: EditMemory, classifier: ScopeClassifier, settings: dict[str, float], repeat: int
) -> dict[str, float]:
    encoder, router = memory.encoder, Router(memory, classifier, cache_size=0, **settings)
    everyday = router.route(everyday_queries())
    far = [route.query for route in everyday if not route.candidates]
    left_early = len(far) / len(everyday)
    asked_of = [asked for _, asked in itertools.islice(made_up_facts(), len(memory))]
    asked = random.Random(0).sample(asked_of, BATCH)
    far = random.Random(0).sample(far, min(BATCH, len(far)))
    if len(far) < BATCH:
        raise SystemExit(f"expected {BATCH} everyday queries that leave early, got {len(far)}")
    pairs = [[(c.wording, route.query) for c in route.candidates] for route in router.route(asked)]

    def ideal(n: int) -> None:
        encoder.encode([asked[n]])
        classifier.logits(pairs[n])

    one_pass, nothing_near = _times([lambda n: encoder.encode([far[n]]), lambda n: router.route([far[n]])], repeat)
    at_best, with_pairs = _times([ideal, lambda n: router.route([asked[n]])], repeat)
    remembering = Router(memory, classifier, **settings)
    remembering.route(asked)
    [repeated] = _times([lambda n: remembering.route([asked[n]])], repeat)
    mixed = [asked[n] if n % MIXED_NEAR == 0 else far[n] for n in range(BATCH)]
    return {
        "left_early": left_early,
        "candidates": mean(map(len, pairs)),
        "encoder_ms": one_pass,
        "nothing_near_ms": nothing_near,
        "nothing_near_over_ideal": nothing_near / one_pass,
        "asked_ms": with_pairs,
        "asked_over_ideal": with_pairs / at_best,
        **_batched(router, "nothing_near", far, repeat),
        **_batched(router, "asked", asked, repeat),
        **_batched(router, "mixed", mixed, repeat),
        "repeated_ms": repeated,
    }


def _batched(router: Router, name: str, queries: Sequence[str], repeat: int) -> dict[str, float]:
    def one_by_one(_: int) -> None:
        for query in queries:
            router.route([query])

    alone, at_once = _times([one_by_one, lambda _: router.route(queries)], max(3, repeat // 5))
    return {f"batch_{name}_ms": at_once / len(queries), f"batch_{name}_gain": alone / at_once}


def _times(operations: Sequence[Callable[[int], object]], repeat: int) -> list[float]:
    """Median milliseconds of each operation, done in turns so that a noisy moment meets all of them."""
    seconds: list[list[float]] = [[] for _ in operations]
    for number in tqdm(range(repeat + 1), leave=False):
        for operation, spent in zip(operations, seconds, strict=True):
            started = time.perf_counter()
            operation(number % BATCH)
            spent.append(time.perf_counter() - started)
    return [1e3 * median(spent[1:]) for spent in seconds]  # the first warms up


def _table(found: dict[int, dict[str, float]]) -> str:
    lines = [f"| p50 | {' | '.join(f'{size:,} edits' for size in found)} |", "|---" * (len(found) + 1) + "|"]
    for name, words in ROWS.items():
        lines.append(f"| {words} | {' | '.join(f'{figures[name]:.2f}' for figures in found.values())} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
