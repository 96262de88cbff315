"""Read and change hidden states of a model by hooks that do nothing unless the calling context asks for it.

The engine of every editor that stores its edits in activations. Hooks are installed once and switched
by a `ContextVar`: other threads, tasks and users of the base see the plain base, also after an
exception.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache

from memedit.editors.eager import eagerly, uncompiled
from memedit.errors import UnsupportedModelError


@dataclass(frozen=True)
class Replacement:
    """Vectors that stand in place of a module's output in one row.

    Attributes:
        positions: Absolute positions in the sequence, padding counted, each once; int64, shape (k,).
        vectors: What stands there, shape (k, size), of any floating dtype and device.
    """

    positions: Tensor
    vectors: Tensor


@dataclass(frozen=True)
class Transformation:
    """A function that changes a module's output in one row.

    Attributes:
        function: From the module's first input and its output at some of the row's positions, shapes
            (m, input size) and (m, size), to what stands in place of that output, shape (m, size).
        start: First absolute position that is changed, padding counted.
        stop: First position behind it that is not; None for no end.
    """

    function: Callable[[Tensor, Tensor], Tensor]
    start: int = 0
    stop: int | None = None


Change = Replacement | Transformation
Plan = Mapping[Hashable, Sequence[Change | None]]
"""For each module to be changed, by its name in `ActivationHooks`: one change or None for each row."""


class ActivationHooks:
    """One permanent forward hook on each chosen module, switched on for single calls.

    Positions are absolute: they count what lies in the cache, so that they mean the same with a
    dynamic, a static or no cache, and however the prompt is cut into calls. Beams and several
    returns repeat each row of a plan in place. Outputs are never written in place, and rows without
    a change keep every bit.

    Args:
        model: A decoder-only or encoder-decoder model.
        modules: The modules to be hooked, by names of the caller's choice: blocks of the decoder or
            modules inside of them, which take (rows, length, …) and return it alone or first in a tuple.

    Raises:
        UnsupportedModelError: The model has no blocks that could be found, or keeps its past in a
            state without positions.
    """

    def __init__(self, model: nn.Module, modules: Mapping[Hashable, nn.Module]) -> None:
        if getattr(model, "_is_stateful", False):
            raise UnsupportedModelError(f"{type(model).__name__} keeps its past in a state that has no positions")
        self._calls: ContextVar[_Call | None] = ContextVar("memedit_activations", default=None)
        # Before any layer has grown the cache, it says how much went before.
        self._handles = [find_blocks(model)[0].register_forward_pre_hook(self._past_hook(), with_kwargs=True)]
        for name, module in modules.items():
            self._handles.append(module.register_forward_hook(self._hook(name), with_kwargs=True))

    @contextmanager
    def changing(self, plan: Plan) -> Iterator[None]:
        """Change outputs in calls of this thread or task, until the block ends.

        Compiled code is left aside meanwhile: it is the plain base's.

        Args:
            plan: Every sequence has one entry for each row of the batch.
        """
        with self._during(_Call({name: _Changes(rows) for name, rows in plan.items()})):
            yield

    @contextmanager
    def reading(self) -> Iterator[dict[Hashable, Tensor]]:
        """Read the outputs of hooked modules in calls of this thread or task, until the block ends.

        Yields:
            By name the module's output in the last call, shape (rows, length, size), as the base computes it.
        """
        seen: dict[Hashable, Tensor] = {}
        with self._during(_Call({}, seen)):
            yield seen

    def detach(self) -> None:
        """Remove every hook."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    @contextmanager
    def _during(self, call: _Call) -> Iterator[None]:
        token = self._calls.set(call)
        try:
            with eagerly():
                yield
        finally:
            self._calls.reset(token)

    def _past_hook(self) -> Any:
        # A function, no method: who copies the base in depth copies no hooks.
        def see_past(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if not torch.compiler.is_compiling() and (call := self._calls.get()) is not None:
                cache = next((value for value in (*args, *kwargs.values()) if isinstance(value, Cache)), None)
                call.past = 0 if cache is None else int(cache.get_seq_length())

        return see_past

    def _hook(self, name: Hashable) -> Any:
        def change(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
            # A compiler finds nothing here, so that compiled code is the base's own.
            if torch.compiler.is_compiling() or (call := self._calls.get()) is None:
                return None
            hidden = hidden_of(output)
            if call.seen is not None:
                call.seen[name] = hidden
            if name not in call.changes:
                return None
            changed = call.changes[name].applied(hidden_of(args or tuple(kwargs.values())), hidden, call.past)
            return None if changed is hidden else with_hidden(output, changed)

        return change


def find_blocks(model: nn.Module) -> nn.ModuleList:
    """The blocks of a model's decoder, in their order.

    Args:
        model: A decoder-only or encoder-decoder model of transformers.

    Raises:
        UnsupportedModelError: There is no list of blocks as long as the config says.
    """
    model = uncompiled(model)
    decoder: Any = getattr(model, "get_decoder", lambda: model)()
    config = getattr(decoder, "config", None)
    wanted = {getattr(config, name, None) for name in ("num_decoder_layers", "decoder_layers", "num_hidden_layers")}
    # The outermost come first: experts and the like lie inside of blocks.
    for module in decoder.modules():
        if isinstance(module, nn.ModuleList) and len(module) in wanted:
            return module
    raise UnsupportedModelError(
        f"found no list of decoder blocks in {type(model).__name__}; expected one with as many blocks as its "
        "config has layers"
    )


def hidden_of(output: Any) -> Tensor:
    """The hidden state in what a module takes or returns: the value itself, or the first of a tuple."""
    hidden: Tensor = output[0] if isinstance(output, tuple) else output
    return hidden


def with_hidden(output: Any, hidden: Tensor) -> Any:
    """What a module returned, with another hidden state in it."""
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden


@dataclass
class _Call:
    """What one request changes or reads, and where its running forward pass begins."""

    changes: Mapping[Hashable, _Changes]
    seen: dict[Hashable, Tensor] | None = None
    past: int = 0


class _Changes:
    """The changes of one module's output: all replacements as flat tensors, transformations one by one."""

    def __init__(self, rows: Sequence[Change | None]) -> None:
        self._count = len(rows)
        replaced = [(row, item) for row, item in enumerate(rows) if isinstance(item, Replacement)]
        self._functions = [(row, item) for row, item in enumerate(rows) if isinstance(item, Transformation)]
        self._vectors = torch.cat([item.vectors for _, item in replaced]) if replaced else torch.empty(0, 0)
        # On the CPU: where to write is decided there, without waiting for an accelerator.
        self._positions = torch.cat([torch.empty(0, dtype=torch.int64), *(r.positions.cpu() for _, r in replaced)])
        lengths = torch.tensor([len(item.positions) for _, item in replaced], dtype=torch.int64)
        self._rows = torch.tensor([row for row, _ in replaced], dtype=torch.int64).repeat_interleave(lengths)
        self._end = int(self._positions.max()) + 1 if len(self._positions) else 0

    def applied(self, given: Tensor, hidden: Tensor, past: int) -> Tensor:
        """The changed output of a call that begins at position `past`; `hidden` itself if nothing changes."""
        repeats = len(hidden) // self._count
        if past < self._end:
            hidden = self._replaced(hidden, past, repeats)
        for row, change in self._functions:
            first = max(change.start - past, 0)
            last = hidden.shape[1] if change.stop is None else min(change.stop - past, hidden.shape[1])
            if first < last:
                part = slice(row * repeats, (row + 1) * repeats), slice(first, last)
                changed = change.function(given[part].flatten(0, 1), hidden[part].flatten(0, 1))
                old, hidden = hidden, hidden.clone()
                hidden[part] = changed.to(old).view_as(old[part])
        return hidden

    def _replaced(self, hidden: Tensor, past: int, repeats: int) -> Tensor:
        columns = self._positions - past
        chosen = ((columns >= 0) & (columns < hidden.shape[1])).nonzero().squeeze(1)
        if not len(chosen):
            return hidden
        rows = self._rows[chosen, None] * repeats + torch.arange(repeats)
        places = (rows.flatten(), columns[chosen].repeat_interleave(repeats))
        vectors = self._vectors[chosen.to(self._vectors.device)].repeat_interleave(repeats, dim=0)
        return hidden.index_put(tuple(place.to(hidden.device) for place in places), vectors.to(hidden))
