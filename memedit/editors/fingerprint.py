"""Recognise a base model, so that an adapter or codebook is never put on another one."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor, nn

from memedit.editors.eager import uncompiled

_SAMPLES = 16


def fingerprint(model: nn.Module) -> str:
    """A short hash of a model's weights, equal for float32 and bfloat16 copies of them.

    Hashes name, shape and a few evenly spread values of each parameter, rounded to bfloat16:
    milliseconds even for large models, and any training changes it. A quantised copy of a model is
    another model, and so may be a float16 copy of float32 weights, which are then rounded twice; one
    that is compiled, or kept on several devices or on disk, is the same.
    """
    digest = hashlib.sha256()
    model = uncompiled(model)
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    for name, parameter in sorted(model.named_parameters()):
        if parameter.is_meta and name in tied:  # elsewhere one tensor under two names counts once
            continue
        flat = _values(model, name, parameter.detach()).reshape(-1)
        chosen = torch.linspace(0, len(flat) - 1, min(_SAMPLES, len(flat)), dtype=torch.float64).long()
        values = flat[chosen.to(flat.device)].to("cpu", torch.bfloat16).float().numpy()
        digest.update(f"{name}{tuple(parameter.shape)}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()[:16]


def _values(model: Any, name: str, parameter: Tensor) -> Tensor:
    """The numbers of a parameter, wherever and however they are kept."""
    if parameter.is_meta:
        # They are offloaded, and whoever did that can be asked for them.
        from accelerate.utils import align_module_device  # type: ignore[import-untyped]

        owner, _, own_name = name.rpartition(".")
        module = model.get_submodule(owner)
        with align_module_device(module, "cpu"):
            placed: Tensor = getattr(module, own_name).detach()
        return placed
    # A quantised tensor of a kind of its own (torchao) cannot be cut into pieces.
    return parameter if type(parameter) is Tensor else parameter.dequantize()
