"""Bases that `torch.compile` has been at: what is hooked into them is not part of their compiled code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Any

import torch


def uncompiled(base: Any) -> Any:
    """The model itself where `base` is what `torch.compile(model)` returned, else `base`.

    The wrapper's `generate` is the model's own, which never calls the wrapper; and its parameters
    and modules have the model's names with a prefix before them.
    """
    return getattr(base, "_orig_mod", base)


class _Stance:
    """Counts the blocks that want eager code, since torch keeps one stance for the whole process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._blocks = 0
        self._forced = ExitStack()

    def enter(self) -> None:
        with self._lock:
            if not self._blocks:
                self._forced.enter_context(torch.compiler.set_stance("force_eager"))
            self._blocks += 1

    def leave(self) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._blocks:
                self._forced.close()


_STANCE = _Stance()


@contextmanager
def eagerly() -> Iterator[None]:
    """Run a block without compiled code, so that hooks are called.

    Code that was compiled before a hook came never calls it, and says nothing. Compiled code of other
    threads is left aside for the same time, since torch knows one stance for all.
    """
    # Nothing is compiled before this module is there, and to import it takes seconds.
    if "torch._dynamo" not in sys.modules:
        yield
        return
    _STANCE.enter()
    try:
        yield
    finally:
        _STANCE.leave()
