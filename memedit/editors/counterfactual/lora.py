"""A LoRA adapter laid over a model without touching its module tree (Hu et al. 2021, section 4.1).

PEFT trains and stores adapters; to *apply* one it replaces modules inside the user's own object.
Here the same files are applied by forward hooks, which do nothing unless the calling context asks
for them: the tree, the weights and every call of other threads stay as they were.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from memedit.editors.eager import eagerly, uncompiled
from memedit.errors import CheckpointError

_PREFIX, _DOWN, _UP = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
_UNSUPPORTED = (
    "use_dora",
    "lora_bias",
    "alora_invocation_tokens",
    "modules_to_save",
    "layer_replication",
)


class LoraOverlay:
    """Adds `scaling * B(A(x))` to the output of chosen linear layers while it is active.

    Args:
        model: The model the adapter was trained for; hooks are registered on its layers.
        folder: A PEFT checkpoint: `adapter_config.json` and `adapter_model.safetensors`.

    Raises:
        CheckpointError: Files are missing or damaged, the adapter is of a kind that cannot be laid over, or a
            layer it names does not exist in `model` or has another shape.
    """

    def __init__(self, model: nn.Module, folder: Path) -> None:
        scaling, pairs = _read(folder)
        # One variable per overlay: two adapters on one base do not switch each other on.
        self._active: ContextVar[_Plan | None] = ContextVar("memedit_lora_active", default=None)
        self._handles = []
        modules = dict(uncompiled(model).named_modules())
        for name, (down, up) in pairs.items():
            module = modules.get(name)
            features = (getattr(module, "out_features", None), getattr(module, "in_features", None))
            if module is None or features != (up.shape[0], down.shape[1]):
                self.detach()
                raise CheckpointError(
                    f"the adapter in {folder} changes a layer {name} of shape {(up.shape[0], down.shape[1])}; "
                    f"the base has {'no such layer' if module is None else f'shape {features}'}"
                )
            self._handles.append(module.register_forward_hook(self._hook(down, up * scaling)))

    @contextmanager
    def active(self, rows: Sequence[bool] | None = None) -> Iterator[None]:
        """Switch the adapter on for calls of this thread or task, until the block ends.

        Layers of a compiled model run eagerly meanwhile: its compiled code is the plain base's.

        Args:
            rows: For each row of the batch whether the adapter changes it; None for every row.
                Beams and several returns may repeat each row in place. The outputs of the other
                rows keep every bit.
        """
        token = self._active.set(_Plan(rows))
        try:
            with eagerly():
                yield
        finally:
            self._active.reset(token)

    def detach(self) -> None:
        """Remove every hook."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _hook(self, down: Tensor, up: Tensor) -> Any:
        placed = (down, up.T.contiguous())

        def add(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
            nonlocal placed
            # A compiler finds nothing here, so that compiled code is the base's own.
            if torch.compiler.is_compiling() or (plan := self._active.get()) is None:
                return None
            # Read once: another thread may place the matrices elsewhere at any time.
            first, second = placed
            if first.dtype != output.dtype or first.device != output.device:
                first, second = placed = (first.to(output), second.to(output))
            read = inputs[0]
            if read.dtype != output.dtype:
                read = read.to(output.dtype)
            # At every layer and token, calls are what this costs: few of them, and none to change a shape.
            inner = plan.only_chosen(functional.linear(read, first))
            return torch.matmul(inner, second).add_(output)

        return add


class _Plan:
    """Which rows of a pass the adapter changes.

    Args:
        rows: For each row of the request whether it is changed; None for every row.
    """

    def __init__(self, rows: Sequence[bool] | None) -> None:
        self._rows = rows
        self._others: dict[tuple[int, int, torch.device], Tensor] = {}

    def only_chosen(self, inner: Tensor) -> Tensor:
        """`inner`, what comes between the two matrices, emptied in place in rows that are not chosen.

        Beams and several returns repeat rows in place; a layer that sees all positions of a batch as
        one long batch has each row's positions next to each other. Both are a repetition.
        """
        if self._rows is None:
            return inner
        shape = (len(inner), inner.ndim, inner.device)
        if shape not in self._others:
            others = ~torch.tensor(self._rows, device=inner.device)
            repeated = others.repeat_interleave(len(inner) // len(self._rows))
            self._others[shape] = repeated.view(-1, *[1] * (inner.ndim - 1))
        return inner.masked_fill_(self._others[shape], 0)


def _read(folder: Path) -> tuple[float, dict[str, tuple[Tensor, Tensor]]]:
    """Scaling, and for each layer its A (rank, in) and B (out, rank)."""
    config_file, weights_file = folder / "adapter_config.json", folder / "adapter_model.safetensors"
    for path in (config_file, weights_file):
        if not path.is_file():
            raise CheckpointError(f"expected a LoRA adapter with {path.name} in {folder}, found none")
    try:
        config, tensors = dict(json.loads(config_file.read_text(encoding="utf-8"))), load_file(weights_file)
    except (ValueError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"the adapter in {folder} is damaged: {error}") from None
    if config.get("peft_type") != "LORA":
        raise CheckpointError(f"expected an adapter of type LORA in {folder}, got {config.get('peft_type')}")
    for name in (*_UNSUPPORTED, "rank_pattern", "alpha_pattern"):
        if config.get(name):
            raise CheckpointError(f"the adapter in {folder} uses {name}, which cannot be laid over a base")
    rank, alpha = (config.get(name) for name in ("r", "lora_alpha"))
    if not (isinstance(rank, int) and isinstance(alpha, int | float) and rank > 0):
        raise CheckpointError(f"expected numbers r and lora_alpha in {config_file}, got {rank!r} and {alpha!r}")
    scaling = alpha / (rank**0.5 if config.get("use_rslora") else rank)
    names = [key.removesuffix(_DOWN) for key in tensors if key.endswith(_DOWN)]
    # Biases, embeddings, single tokens: an adapter is laid over as a whole or not at all.
    if others := tensors.keys() ^ {f"{name}{end}" for name in names for end in (_DOWN, _UP)}:
        raise CheckpointError(
            f"expected pairs of matrices for linear layers in the adapter in {folder}; it has, or lacks, {min(others)}"
        )
    if not names:
        raise CheckpointError(f"expected an adapter in {folder}, found a file without any weights")
    pairs = {name.removeprefix(_PREFIX): (tensors[name + _DOWN], tensors[name + _UP]) for name in names}
    return scaling, pairs
