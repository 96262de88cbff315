"""What edits and routed queries cost in time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from memedit.edits import Edit
from memedit.evaluation.cases import Case
from memedit.evaluation.decoding import MAX_NEW_TOKENS, Generator, batches, generate_exactly
from memedit.evaluation.subject import EvaluatedModel, QueryRouter
from memedit.scope.router import Router

TIMED_EDITS = 50
"""How many edits are added one by one with a clock; the others go in together before them."""
TIMED_ROUTES = 200
TIMED_GENERATIONS = 7


def store(memory: Any, cases: Sequence[Case], *, progress: bool) -> tuple[list[Edit], float]:
    """Store all cases in their order.

    Args:
        memory: An `EditMemory` or anything with its `add` and `add_many`.
        cases: What to store.
        progress: Whether to show a progress bar.

    Returns:
        The edit that each case became, and the median seconds of one `add` near the full size.
    """
    bulk = len(cases) - min(len(cases), TIMED_EDITS)
    items = [{"prompt": case.prompt, "target": case.target, "subject": case.subject} for case in cases[:bulk]]
    edits = list(memory.add_many(items, progress=progress)) if items else []
    seconds = []
    for case in cases[bulk:]:
        started = time.perf_counter()
        edits.append(memory.add(case.prompt, case.target, subject=case.subject))
        seconds.append(time.perf_counter() - started)
    return edits, statistics.median(seconds)


def route_milliseconds(router: QueryRouter | None, queries: Sequence[str]) -> dict[str, float | None]:
    """Median and 99th percentile of routing one query, in milliseconds; None without router or queries."""
    if router is None or not queries:
        return {"route_ms_p50": None, "route_ms_p99": None}
    router.route(queries[:1])  # the first call pays for what is loaded lazily
    milliseconds = []
    for query in queries[:TIMED_ROUTES]:
        started = time.perf_counter()
        router.route([query])
        milliseconds.append(1e3 * (time.perf_counter() - started))
    return {
        "route_ms_p50": float(np.percentile(milliseconds, 50)),
        "route_ms_p99": float(np.percentile(milliseconds, 99)),
    }


@contextmanager
def nothing_remembered(model: EvaluatedModel) -> Iterator[None]:
    """Let the model take every decision anew, so that what is timed is a decision and not a memory of one."""
    router = model.router
    if isinstance(router, Router):
        memory, classifier = router.memory, router.classifier
        model.router = Router(memory, classifier, k=router.k, floor=router.floor, margin=router.margin, cache_size=0)
    try:
        yield
    finally:
        model.router = router


def generate_ratio(model: EvaluatedModel, prompts: Sequence[str], new_tokens: int = MAX_NEW_TOKENS) -> float | None:
    """Time of the edited model's `generate` relative to the base's, routing included.

    One prompt at a time, exactly `new_tokens` new tokens, greedy; the median over prompts.

    Args:
        model: The edited model.
        prompts: All in scope, or all out of scope.
        new_tokens: The length of every answer.

    Returns:
        The ratio; None without prompts.
    """
    ratios = []
    for prompt in prompts[: TIMED_GENERATIONS + 1]:
        edited = _seconds(model, model, prompt, new_tokens, queries=[prompt])
        ratios.append(edited / _seconds(model, model.base, prompt, new_tokens))
    # The first prompt warms up caches, unless it is the only one.
    return statistics.median(ratios[1:] or ratios) if ratios else None


def _seconds(model: EvaluatedModel, generator: Generator, prompt: str, new_tokens: int, **options: Any) -> float:
    device = torch.device(model.base.device)
    (batch,) = batches(model.tokenizer, [prompt], device)
    wait: Callable[[], None] = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    started = time.perf_counter()
    generate_exactly(generator, model.tokenizer, batch, new_tokens, **options)
    wait()
    return time.perf_counter() - started
