"""Edits as key-value prefixes: computed once, kept a while, and never changed."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

Layers = tuple[tuple[Tensor, Tensor], ...]
"""Keys and values of one prefix for every layer, each (1, heads, length, head size)."""

_Key = tuple[tuple[int, ...], torch.device, torch.dtype]
CAPACITY = 64 * 2**20
"""Bytes of prefixes kept: 150 of the shipped base's, about 20 of a model with 7 B parameters and grouped heads."""
ROOM = 64
"""Tokens that a layer has room for behind those it holds."""


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values of one layer that grow into room kept behind them.

    The layer it stands for copies all it holds for each new token. This one copies when its room is used
    up, or when somebody has reordered, repeated or cut its states. It holds the same numbers.
    """

    keys: Tensor
    values: Tensor

    def __init__(self) -> None:
        super().__init__()
        self._buffers: tuple[Tensor, Tensor] | None = None
        self._shown: Tensor | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any) -> tuple[Tensor, Tensor]:
        """Add states (n, heads, new, head size), and return all there are."""
        if torch.compiler.is_compiling():
            # What a compiler writes for the usual layer is known to be right, and has no copies to save.
            usual: tuple[Tensor, Tensor] = super().update(key_states, value_states)
            return usual
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if self._buffers is None or self.keys is not self._shown or end > self._buffers[0].shape[-2]:
            self._buffers = (_roomy(self.keys, key_states, start), _roomy(self.values, value_states, start))
        keys, values = self._buffers
        keys[..., start:end, :] = key_states
        values[..., start:end, :] = value_states
        self.keys, self.values = keys[..., :end, :], values[..., :end, :]
        self._shown = self.keys
        return self.keys, self.values


class PrefixCache:
    """Keeps the key-value states of the prefixes used last.

    The stored tensors are only ever read: each request gets a cache of its own, since decoding
    grows a cache in place.

    Args:
        compute: Gives the layers for prefix ids (1, length).
        capacity: Bytes kept, which are where the model's layers are; the prefix unused longest is
            dropped first, and the last one never.
    """

    def __init__(self, compute: Callable[[Tensor], Layers], capacity: int = CAPACITY) -> None:
        self._compute = compute
        self._capacity = capacity
        self._kept: OrderedDict[_Key, Layers] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def batch(
        self, prefixes: Sequence[Sequence[int]], device: torch.device, dtype: torch.dtype
    ) -> tuple[DynamicCache, Tensor]:
        """A fresh cache for a batch, prefixes padded on the left.

        Args:
            prefixes: Prefix ids of each row; a row without a prefix brings none. At least one brings some.
            device: Where the ids go; keys and values stay where their layer is.
            dtype: The base's, now: a base that was moved or cast since computes its prefixes anew.

        Returns:
            The cache, and the mask (n, longest), int64, that says which positions are real.
        """
        known = [self._layers((tuple(prefix), device, dtype)) if prefix else None for prefix in prefixes]
        model = next(layers for layers in known if layers is not None)
        nothing = tuple((keys[..., :0, :], values[..., :0, :]) for keys, values in model)
        rows = [nothing if layers is None else layers for layers in known]
        width = max(map(len, prefixes))
        mask = torch.zeros(len(rows), width, dtype=torch.int64, device=device)
        for index, prefix in enumerate(prefixes):
            mask[index, width - len(prefix) :] = 1
        cache = DynamicCache()
        for layer in range(len(model)):
            keys = torch.cat([_pad(row[layer][0], width) for row in rows])
            values = torch.cat([_pad(row[layer][1], width) for row in rows])
            cache.layers.append(GrowingLayer())
            cache.update(keys, values, layer)
        return cache, mask

    def _layers(self, key: _Key) -> Layers:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        prefix, device, _ = key
        layers = self._compute(torch.tensor([prefix], device=device))
        with self._lock:
            # Another thread may have been as quick.
            if key not in self._kept:
                self._kept[key] = layers
                self._bytes += _bytes(layers)
            while self._bytes > self._capacity and len(self._kept) > 1:
                self._bytes -= _bytes(self._kept.popitem(last=False)[1])
        return layers


def prefix_layers(base: Any, ids: Tensor) -> Layers:
    """Run `ids` (1, length) through the base and return the keys and values it leaves behind."""
    cache = DynamicCache()
    # Only the states are wanted; models that can leave out the other logits are told to.
    fewer = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(base.forward).parameters else {}
    # Kept for calls under any autocast and none.
    with torch.no_grad(), torch.autocast(ids.device.type, enabled=False):
        base(input_ids=ids, past_key_values=cache, use_cache=True, **fewer)
    return tuple((layer.keys.clone(), layer.values.clone()) for layer in cache.layers)


def _roomy(held: Tensor, new: Tensor, length: int) -> Tensor:
    """Room for `length` states held, for new ones and for `ROOM` more; those held are in their place."""
    rows, heads, more, size = new.shape
    buffer = new.new_empty(rows, heads, length + more + ROOM, size)
    if length:
        buffer[..., :length, :] = held
    return buffer


def _bytes(layers: Layers) -> int:
    return sum(states.nbytes for layer in layers for states in layer)


def _pad(states: Tensor, width: int) -> Tensor:
    missing = width - states.shape[-2]
    return torch.nn.functional.pad(states, (0, 0, missing, 0)) if missing else states
