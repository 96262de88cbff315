"""Recognise a base model, so that an adapter or codebook is never put on another one."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

_SAMPLES = 16


def fingerprint(model: nn.Module) -> str:
    """A short hash of a model's weights, equal for float32 and bfloat16 copies of them.

    Hashes name, shape and a few evenly spread values of each parameter, rounded to bfloat16:
    milliseconds even for large models, and any training changes it.
    """
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        flat = parameter.detach().reshape(-1)
        chosen = torch.linspace(0, len(flat) - 1, min(_SAMPLES, len(flat)), dtype=torch.float64).long()
        values = flat[chosen.to(flat.device)].to("cpu", torch.bfloat16).float().numpy()
        digest.update(f"{name}{tuple(parameter.shape)}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()[:16]
