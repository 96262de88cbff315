"""Time the edit memory on one core: add, add many, search, remove, open; and its size in the file and in RAM.

python -m benchmarks.memory --edits 1000 10000 100000 1000000 --repeat 100 --plot benchmarks/memory.png

The vectors are given, since the encoder's pass would hide what the memory costs; two rows give the
cost with the encoder. Processor time is given as well where nothing waits for the disk, since it
tells more on a machine that others use.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.queries import made_up_facts
from memedit import Edit, EditMemory, SentenceEncoder

K = 8
FILL = 50_000
"""Edits of one `add_many` while a memory is filled."""
MANY = 2_000
"""Edits of the `add_many` that is timed; with the encoder a quarter of it."""
WARM_UP = 5

ROWS = {
    "add_p50_ms": "add one, p50, ms",
    "add_p99_ms": "add one, p99, ms",
    "add_many_per_s": "add many, edits per second",
    "encoder_add_p50_ms": "add one with MiniLM's pass, p50, ms",
    "encoder_add_p99_ms": "add one with MiniLM's pass, p99, ms",
    "encoder_add_many_per_s": "add many with MiniLM, edits per second",
    "search_p50_ms": "search, k = 8, p50, ms",
    "search_p99_ms": "search, k = 8, p99, ms",
    "search_cpu_p50_ms": "the same, p50, ms of processor time",
    "search_cpu_p99_ms": "the same, p99, ms of processor time",
    "search_after_add_p50_ms": "first search after an add, p50, ms",
    "recall": "recall@8 against exact",
    "remove_p50_ms": "remove one, p50, ms",
    "remove_p99_ms": "remove one, p99, ms",
    "open_s": "open, s",
    "open_cpu_s": "open, s of processor time",
    "file_kb_per_edit": "file, KB per edit",
    "ram_kb_per_edit": "resident memory, KB per edit",
}
PLOTTED = ("add_p50_ms", "add_p99_ms", "search_p50_ms", "search_p99_ms", "remove_p50_ms")

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Shape:
    """How vectors lie.

    Attributes:
        name: Tells memories filled with such vectors apart.
        groups: Around how many directions they lie; 0 for no groups.
        mean: Their mean, float32 array (1, dimension); None for vectors without any order.
        factor: Standard normal rows times this have their covariance, float32 array (dimension, dimension).
    """

    name: str
    groups: int = 0
    mean: Floats | None = None
    factor: Floats | None = None

    @classmethod
    def of_texts(cls, path: Path) -> Shape:
        """That of the vectors that MiniLM gives the lines of a file, as far as mean and covariance tell."""
        texts = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        vectors = SentenceEncoder.from_pretrained().encode(texts)
        variances, axes = np.linalg.eigh(np.cov(vectors.T))
        factor = (axes * np.sqrt(np.maximum(variances, 0))).T
        return cls(path.stem, 0, vectors.mean(axis=0, keepdims=True), factor.astype(np.float32))


class GivenVectors:
    """Stands in for an encoder: the next random unit vectors of a shape, whatever the texts are."""

    dimension = 384

    def __init__(self, shape: Shape) -> None:
        self.id = f"random-{shape.name}"
        self._shape = shape
        self._generator = np.random.default_rng(1)
        self._centres = np.random.default_rng(0).standard_normal((shape.groups, self.dimension), dtype=np.float32)

    def encode(self, texts: Sequence[str]) -> Floats:
        """Unit vectors, float32 array (len(texts), dimension)."""
        vectors = self._generator.standard_normal((len(texts), self.dimension), dtype=np.float32)
        if self._shape.mean is not None and self._shape.factor is not None:
            vectors = vectors @ self._shape.factor + self._shape.mean
        if len(self._centres):
            vectors += 1.25 * self._centres[self._generator.integers(len(self._centres), size=len(texts))]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


def main() -> None:
    """Measure at the given sizes; print a Markdown table or JSON, and draw the curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, nargs="+", default=[1_000, 10_000], help="sizes to measure at")
    parser.add_argument("--repeat", type=int, default=200, help="timed operations of each kind")
    order = parser.add_mutually_exclusive_group()
    order.add_argument("--groups", type=int, default=0, help="directions that the vectors lie around; 0: no order")
    order.add_argument("--texts", type=Path, help="text file: vectors of the mean and covariance that its lines have")
    parser.add_argument("--keep", type=Path, help="folder that keeps the filled memories for the next run")
    parser.add_argument("--plot", type=Path, help="PNG file to draw the times in")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    shape = Shape.of_texts(options.texts) if options.texts else Shape(str(options.groups), options.groups)
    found: dict[int, dict[str, float]] = {}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.keep)))
        folder = options.keep or scratch
        with_encoder = _with_encoder(scratch / "encoder.db", options.repeat)
        for size in sorted(options.edits):
            filled = folder / f"{size}-{shape.name}.db"
            _fill(filled, size, shape)
            found[size] = with_encoder | _measured(filled, scratch / "edits.db", shape, size, options.repeat)
    if options.plot:
        _draw(found, options.plot)
    print(json.dumps(found) if options.json else _table(found))


def _fill(path: Path, size: int, shape: Shape) -> None:
    with EditMemory(path, GivenVectors(shape)) as memory:
        missing = size - len(memory)
        items = _items("town")
        for _ in tqdm(range(0, missing, FILL), desc=f"fill {size:,}", disable=missing <= FILL):
            memory.add_many(itertools.islice(items, min(FILL, size - len(memory))))


def _items(kind: str) -> Iterator[dict[str, Any]]:
    for number in itertools.count():
        yield {"prompt": f"Who is the mayor of {kind} {number}?", "target": f"Mayor {number}"}


def _measured(filled: Path, path: Path, shape: Shape, size: int, repeat: int) -> dict[str, float]:
    """All figures that need no encoder, of a copy of a filled memory."""
    for part in path.parent.glob(f"{path.name}*"):
        part.unlink()
    shutil.copyfile(filled, path)
    # In a process of its own, whose memory nothing else has filled.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        seconds, processor_seconds, kilobytes = pool.apply(_opened, (path, shape))
    figures = {"open_s": seconds, "open_cpu_s": processor_seconds, "ram_kb_per_edit": kilobytes / size}
    figures["file_kb_per_edit"] = path.stat().st_size / 1024 / size
    encoder = GivenVectors(shape)
    with EditMemory(path, encoder) as memory:
        queries = encoder.encode([""] * (repeat + WARM_UP))
        stored = _vectors_of(memory)
        # Half of them near a stored vector, as another wording of its prompt would be.
        queries[::2] = _nearby(stored, len(queries[::2]))
        items = list(itertools.islice(_items("village"), repeat + WARM_UP))
        added: list[Edit] = []

        def search(number: int) -> None:
            memory.search(queries[number, None], K)

        def add(number: int) -> None:
            added.append(memory.add(**items[number]))

        for name, clock in (("search", time.perf_counter), ("search_cpu", time.process_time)):
            figures |= _summary(name, _times(search, repeat, clock=clock))
        figures["recall"] = _recall(memory, queries[:100], stored)
        adds, searches = _in_turns((add, search), repeat)
        figures |= _summary("add", adds) | _summary("search_after_add", searches)
        figures |= _summary("remove", _times(lambda number: memory.remove(added[number].id), repeat))
        figures["add_many_per_s"] = _rate(memory, _items("hamlet"), MANY)
    return figures


def _with_encoder(path: Path, repeat: int) -> dict[str, float]:
    """What adding costs when MiniLM encodes the prompts."""
    with EditMemory(path, SentenceEncoder.from_pretrained()) as memory:
        facts: Iterator[dict[str, Any]] = ({"prompt": stored, "target": "Answer"} for stored, _ in made_up_facts())
        figures = _summary("encoder_add", _times(lambda _: memory.add(**next(facts)), repeat))
        figures["encoder_add_many_per_s"] = _rate(memory, facts, MANY // 4)
    return figures


def _opened(path: Path, shape: Shape) -> tuple[float, float, float]:
    """Seconds to open a memory, those of the processor, and the KB of RAM that it then takes."""
    faiss.omp_set_num_threads(1)
    before = _resident_kb()
    started, used = time.perf_counter(), time.process_time()
    with EditMemory(path, GivenVectors(shape)):
        return time.perf_counter() - started, time.process_time() - used, _resident_kb() - before


def _resident_kb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1024


def _vectors_of(memory: EditMemory) -> Floats:
    """The stored vectors, in the order of the edits."""
    return np.concatenate([entry.vectors for entry in memory._store.entries() if entry.vectors is not None])


def _nearby(stored: Floats, count: int) -> Floats:
    generator = np.random.default_rng(2)
    vectors = stored[generator.integers(len(stored), size=count)]
    noise = generator.standard_normal(vectors.shape, dtype=np.float32)
    vectors = vectors + 0.7 * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def _recall(memory: EditMemory, queries: Floats, stored: Floats) -> float:
    """Share of the K nearest that the search finds; told by their scores, since the order may tie."""
    exact, _ = faiss.knn(queries, stored, K, metric=faiss.METRIC_INNER_PRODUCT)
    hits = [
        sum(hit.score >= scores[-1] - 1e-5 for hit in memory.search(query[None], K)[0])
        for query, scores in zip(queries, exact, strict=True)
    ]
    return float(np.mean(hits)) / K


def _rate(memory: EditMemory, items: Iterator[dict[str, Any]], count: int) -> float:
    chosen = list(itertools.islice(items, count))
    [seconds] = _times(lambda _: memory.add_many(chosen), 1, warm_up=0)
    return count / seconds


def _times(
    operation: Callable[[int], object],
    repeat: int,
    warm_up: int = WARM_UP,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Seconds of each operation but the first few."""
    return _in_turns((operation,), repeat, warm_up, clock)[0]


def _in_turns(
    operations: Sequence[Callable[[int], object]],
    repeat: int,
    warm_up: int = WARM_UP,
    clock: Callable[[], float] = time.perf_counter,
) -> list[list[float]]:
    """Seconds of each of several operations that follow each other, but for the first few times."""
    seconds: list[list[float]] = [[] for _ in operations]
    for number in range(repeat + warm_up):
        for own, operation in zip(seconds, operations, strict=True):
            started = clock()
            operation(number)
            own.append(clock() - started)
    return [own[warm_up:] for own in seconds]


def _summary(name: str, seconds: list[float]) -> dict[str, float]:
    p50, p99 = np.quantile(seconds, (0.5, 0.99)) * 1e3
    return {f"{name}_p50_ms": float(p50), f"{name}_p99_ms": float(p99)}


def _table(found: dict[int, dict[str, float]]) -> str:
    lines = [f"| | {' | '.join(f'{size:,} edits' for size in found)} |", "|---" * (len(found) + 1) + "|"]
    for name, words in ROWS.items():
        lines.append(f"| {words} | {' | '.join(_shown(figures[name]) for figures in found.values())} |")
    return "\n".join(lines)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _draw(found: dict[int, dict[str, float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name in PLOTTED:
        axes.plot(list(found), [figures[name] for figures in found.values()], marker="o", label=ROWS[name])
    axes.set(xscale="log", yscale="log", xlabel="edits", ylabel="ms", title="Edit memory, one core, vectors given")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
