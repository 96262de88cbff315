"""Run a call, and tell whether two runs came to the same."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from transformers import Cache

from tests.conformance.calls import Call, Run
from tests.conformance.inputs import Rows


@dataclass(frozen=True)
class Outcome:
    """What came of one call.

    Attributes:
        value: What `generate` returned; None if it raised.
        error: What it raised.
        seen: What the caller's callbacks were given.
        random_state: The state of the random numbers afterwards.
    """

    value: Any
    error: Exception | None
    seen: Sequence[Any]
    random_state: torch.Tensor

    @property
    def sequences(self) -> torch.Tensor:
        """The returned ids, int64 (rows, length)."""
        return getattr(self.value, "sequences", self.value)


def outcome(model: Any, call: Call, family: str, rows: Rows, only: Sequence[int] | None = None) -> Outcome:
    """Run one call on one model, from a fixed seed.

    Args:
        model: A base, or a wrapped model.
        call: How it is asked.
        family: The model's family.
        rows: The prompts.
        only: Rows that make up the batch, padded as they are among all of them; None for all.
    """
    run = Run(family)
    args, kwargs = call.arguments(run, rows)
    if only is not None:
        # Only prompts are tensors.
        args = tuple(_rows_of(value, only) for value in args)
        kwargs = {name: _rows_of(value, only) for name, value in kwargs.items()}
    torch.manual_seed(3)
    value, error = None, None
    try:
        value = model.generate(*args, **kwargs)
    except Exception as raised:  # whatever the base raises, the wrapped model is to raise
        error = raised
    return Outcome(value, error, run.seen, torch.get_rng_state())


def _rows_of(value: Any, rows: Sequence[int]) -> Any:
    return value[list(rows)] if isinstance(value, torch.Tensor) else value


@contextmanager
def counted(base: Any) -> Iterator[list[int]]:
    """Lists the number of rows of each pass that the base makes while the block runs."""
    passes: list[int] = []
    generate = base.generate

    @functools.wraps(generate)
    def counting(*args: Any, **kwargs: Any) -> Any:
        output = generate(*args, **kwargs)
        passes.append(len(getattr(output, "sequences", output)))
        return output

    base.generate = counting
    try:
        yield passes
    finally:
        del base.generate


def assert_same(given: Outcome, expected: Outcome) -> None:
    """Equal values, errors, callbacks and random states."""
    if expected.error is not None or given.error is not None:
        assert (type(given.error), str(given.error)) == (type(expected.error), str(expected.error))
        return
    difference = _difference(given.value, expected.value, "output")
    assert difference is None, difference
    assert given.seen == expected.seen, "the callbacks saw something else"
    assert torch.equal(given.random_state, expected.random_state), "other random numbers were drawn"


def _difference(given: Any, expected: Any, place: str) -> str | None:
    """Where two values differ first; None if they are equal bit for bit."""
    if type(given) is not type(expected):
        return f"{place}: {type(given).__name__} for {type(expected).__name__}"
    if isinstance(expected, torch.Tensor):
        same = given.dtype == expected.dtype and torch.equal(given, expected)
        return None if same else f"{place}: {given.tolist()} for {expected.tolist()}"
    if isinstance(expected, Mapping):
        if given.keys() != expected.keys():
            return f"{place}: {list(given)} for {list(expected)}"
        pairs = [(name, given[name], expected[name]) for name in expected]
    elif isinstance(expected, Cache):
        return _difference(_states(given), _states(expected), f"{place}.states")
    elif isinstance(expected, list | tuple):
        if len(given) != len(expected):
            return f"{place}: {len(given)} items for {len(expected)}"
        pairs = list(zip(range(len(expected)), given, expected, strict=True))
    elif is_dataclass(expected):
        pairs = [(item.name, getattr(given, item.name), getattr(expected, item.name)) for item in fields(expected)]
    else:
        return None if given == expected else f"{place}: {given!r} for {expected!r}"
    found = (_difference(one, other, f"{place}[{name!r}]") for name, one, other in pairs)
    return next((text for text in found if text is not None), None)


def _states(cache: Any) -> list[Any]:
    """Keys and values of every layer, the encoder's among them."""
    parts = [getattr(cache, name) for name in ("self_attention_cache", "cross_attention_cache") if hasattr(cache, name)]
    if parts:
        return [_states(part) for part in parts]
    return [(layer.keys, layer.values) for layer in cache.layers]
