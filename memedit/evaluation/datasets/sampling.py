"""Drawing from a data set."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def sample(items: Sequence[Any], count: int, seed: int) -> list[Any]:
    """Up to `count` of the items, drawn with `seed`, in their own order.

    Cases of one group come together: a group that no longer fits is passed over, so that they may
    be fewer than `count`. If even the first drawn group does not fit it comes alone.
    """
    if count >= len(items):
        return list(items)
    groups = grouped(items)
    rng = random.Random(seed)
    if len(groups) == len(items):
        chosen = rng.sample(range(len(groups)), count)
    else:
        chosen = _fitting([len(group) for group in groups], count, rng)
    return [item for position in sorted(chosen) for item in groups[position]]


def grouped(items: Sequence[T]) -> list[list[T]]:
    """The items cut into what must stay together: neighbouring cases of one group, or single items."""
    groups: list[list[T]] = []
    last = None
    for item in items:
        group = getattr(item, "group", None)
        if group is not None and group == last:
            groups[-1].append(item)
        else:
            groups.append([item])
        last = group
    return groups


def _fitting(sizes: Sequence[int], count: int, rng: random.Random) -> list[int]:
    """Positions of drawn groups that have `count` items together, or as many as fit."""
    order = rng.sample(range(len(sizes)), len(sizes))
    chosen, left = [], count
    for position in order:
        if sizes[position] <= left:
            chosen.append(position)
            left -= sizes[position]
    return chosen or order[:1]
