"""Run only the part of a model that lies above one block.

What is below a hooked block does not change while a value is fitted. The model's own forward runs
over shallow copies of its containers, in which the lower blocks give back what they gave before:
masks, positions, final norm and head are the model's own, and nothing is put into the model itself.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache
from transformers.modeling_outputs import BaseModelOutput

from memedit.editors.activations import find_blocks, hidden_of, with_hidden
from memedit.editors.eager import uncompiled


class UpperBlocks:
    """A model cut above one of its blocks.

    For one thread: what the lower blocks give back is kept here.

    Args:
        model: A decoder-only or encoder-decoder model.
        layer: Number of the block whose output is given; counted from 0.
    """

    def __init__(self, model: nn.Module, layer: int) -> None:
        model, blocks = uncompiled(model), find_blocks(model)
        below = [_Below(block) for block in blocks[: layer + 1]]
        self._below = below
        path = next(name for name, module in model.named_modules() if module is blocks)
        self._model = _with_module(model, path.split("."), nn.ModuleList([*below, *blocks[layer + 1 :]]))

    def read(self, inputs: dict[str, Any]) -> tuple[Tensor, Any]:
        """Run the whole model.

        Args:
            inputs: Arguments of the model's forward.

        Returns:
            The block's output, shape (n, length, size), and what `logits` needs to take its place.
        """
        for block in self._below:
            block.given = None
        with torch.no_grad():
            self._model(**inputs)
        output = self._below[-1].seen
        self._below[-1].seen = None
        return hidden_of(output), output

    def logits(self, hidden: Tensor, output: Any, inputs: dict[str, Any]) -> Tensor:
        """Logits (n, length, vocabulary) where the block's output is `hidden`.

        Args:
            hidden: Shape (n, length, size), of the model's dtype; gradients flow back to it.
            output: The second thing that `read` returned.
            inputs: The same arguments as for `read`, or the same rows of them.
        """
        for block in self._below:
            block.given = with_hidden(output, hidden)
        logits: Tensor = self._model(**inputs).logits
        return logits


class _Below(nn.Module):
    """A lower block, which runs or gives back what it is told."""

    given: Any = None
    seen: Any = None

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def __getattr__(self, name: str) -> Any:
        """Some models read attributes of their blocks."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("block"), name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self.given is not None:
            return self.given
        self.seen = self.block(*args, **kwargs)
        return self.seen


def _with_module(model: nn.Module, path: list[str], module: nn.Module) -> nn.Module:
    """A shallow copy of a model in which one module is another; all others are the model's own."""
    if not path:
        return module
    changed = copy.copy(model)
    changed._modules = dict(model._modules)
    changed._modules[path[0]] = _with_module(getattr(model, path[0]), path[1:], module)
    # Where a container is spread over devices its forward is bound to the original.
    changed.__dict__.pop("forward", None)
    return changed


def rows_of(value: Any, rows: Tensor, count: int) -> Any:
    """Some rows of whatever a forward takes or a block returns; what is shared by all `count` rows stays.

    Caches come back as new ones, so that the forward can grow them.
    """
    if isinstance(value, Tensor):
        return value[rows.to(value.device)] if value.ndim and len(value) == count else value
    if isinstance(value, BaseModelOutput):
        return BaseModelOutput(last_hidden_state=rows_of(value.last_hidden_state, rows, count))
    if isinstance(value, tuple):
        return tuple(rows_of(item, rows, count) for item in value)
    if type(value) is dict:
        return {name: rows_of(item, rows, count) for name, item in value.items()}
    if isinstance(value, Cache):
        chosen = fresh(value)
        for layer in chosen.layers:
            layer.keys, layer.values = rows_of(layer.keys, rows, count), rows_of(layer.values, rows, count)
        return chosen
    return value


def fresh(value: Any) -> Any:
    """The same arguments with a cache of their own over the same states: growing it leaves them as they are."""
    if type(value) is dict:
        return {name: fresh(item) for name, item in value.items()}
    if not isinstance(value, Cache):
        return value
    grown = copy.copy(value)
    grown.layers = [copy.copy(layer) for layer in value.layers]
    return grown
