"""Count the hooks of memedit on a model; transformers registers some of its own."""

from __future__ import annotations

from torch import nn


def hooks_of_memedit(model: nn.Module) -> int:
    """How many forward hooks and pre-hooks on any module were put there by memedit."""
    hooks = [h for m in model.modules() for h in (*m._forward_hooks.values(), *m._forward_pre_hooks.values())]
    return sum(getattr(hook, "__module__", "").startswith("memedit") for hook in hooks)
