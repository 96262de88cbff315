"""The cache that decoding begins with: the numbers of the usual one, without its copies."""

from __future__ import annotations

import torch
from transformers.cache_utils import DynamicLayer

from memedit.editors.counterfactual.prefix import ROOM, GrowingLayer, PrefixCache


def states(length: int, rows: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Random keys and values, whose head sizes need not be equal."""
    return torch.randn(rows, 3, length, 4), torch.randn(rows, 3, length, 5)


def test_a_growing_layer_holds_what_the_usual_layer_holds() -> None:
    """Grown token by token, beyond its room, cut, reordered, repeated and selected, both hold the same numbers."""
    growing, usual = GrowingLayer(), DynamicLayer()
    changes = {
        5: lambda layer: layer.crop(-2),
        9: lambda layer: layer.reorder_cache(torch.tensor([1, 0])),
        13: lambda layer: layer.batch_repeat_interleave(2),
        17: lambda layer: layer.batch_select_indices(torch.tensor([0, 3])),
        21: lambda layer: layer.reset(),
    }
    rows = 2
    for step in range(2 * ROOM):
        new = states(7 if step % 10 == 0 else 1, rows)
        given, expected = growing.update(*new), usual.update(*new)
        assert all(torch.equal(a, b) for a, b in zip(given, expected, strict=True))
        assert growing.get_seq_length() == usual.get_seq_length()
        if step in changes:
            changes[step](growing)
            changes[step](usual)
            rows = rows if growing.keys is None else len(growing.keys)


def test_a_growing_layer_does_not_copy_what_it_holds() -> None:
    """Within its room, states stay where they are in memory."""
    layer = GrowingLayer()
    first = layer.update(*states(6))[0].data_ptr()
    assert all(layer.update(*states(1))[0].data_ptr() == first for _ in range(ROOM))
    assert layer.update(*states(1))[0].data_ptr() != first


def test_a_stored_prefix_is_not_grown_into() -> None:
    """Two requests that decode after one prefix get caches of their own, and what is kept stays as it was."""
    keys, values = states(3, rows=1)
    prefixes = PrefixCache(lambda _ids: ((keys, values),))
    before = keys.clone(), values.clone()
    one, other = (prefixes.batch([[1, 2, 3]], torch.device("cpu"), torch.float32)[0] for _ in range(2))
    one.update(*states(2, rows=1), 0)
    other.update(*(torch.zeros_like(part) for part in states(2, rows=1)), 0)
    assert torch.equal(keys, before[0])
    assert torch.equal(values, before[1])
    assert torch.equal(other.layers[0].keys[..., :3, :], keys)
    assert not other.layers[0].keys[..., 3:, :].any()
    assert one.layers[0].keys[..., 3:, :].any()
