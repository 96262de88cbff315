"""Time the edit memory: one durable add with the encoder's pass, and one search.

python -m benchmarks.memory --edits 1000 10000
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm import tqdm

from memedit import EditMemory, SentenceEncoder


def main() -> None:
    """Fill memories of the given sizes and print a JSON line with milliseconds for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, nargs="+", default=[1_000], help="sizes to measure at")
    parser.add_argument("--repeat", type=int, default=200, help="timed operations of each kind")
    options = parser.parse_args()
    torch.set_num_threads(1)
    encoder = SentenceEncoder.from_pretrained()
    for size in options.edits:
        with tempfile.TemporaryDirectory() as folder, EditMemory(Path(folder) / "edits.db", encoder) as memory:
            memory.add_many(
                ({"prompt": f"Who is the mayor of town {n}?", "target": f"Mayor {n}"} for n in range(size)),
                progress=True,
            )
            print(json.dumps({"edits": size, **_measure(memory, encoder, options.repeat)}))


def _measure(memory: EditMemory, encoder: SentenceEncoder, repeat: int) -> dict[str, dict[str, float]]:
    vectors = encoder.encode(["Who governs town 7?"])
    add = _times(lambda n: memory.add(f"Who leads village {n}?", f"Leader {n}"), repeat)
    search = _times(lambda _: memory.search(vectors, 8), repeat)
    return {"add_ms": _summary(add), "search_ms": _summary(search)}


def _times(operation: Callable[[int], object], repeat: int) -> list[float]:
    seconds = []
    for number in tqdm(range(repeat), leave=False):
        started = time.perf_counter()
        operation(number)
        seconds.append(time.perf_counter() - started)
    return seconds


def _summary(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": round(cuts[49] * 1e3, 2), "p99": round(cuts[98] * 1e3, 2)}


if __name__ == "__main__":
    main()
