"""Save and resume a training run: safetensors and JSON, no pickle."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


@dataclass
class Progress:
    """How far a run has come, interruptions included."""

    step: int = 0
    tokens: int = 0
    minutes: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)


def save_state(folder: Path, progress: Progress, model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> None:
    """Write trainable weights, optimizer moments and the progress, so that a kill loses neither."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"model.{name}": p.detach().contiguous() for name, p in _trainable(model)}
    for number, optimizer in enumerate(optimizers):
        for index, values in optimizer.state_dict()["state"].items():
            for key, value in values.items():
                tensor = value if isinstance(value, Tensor) else torch.tensor(float(value))
                tensors[f"optimizer.{number}.{index}.{key}"] = tensor.contiguous()
    new = folder / "state.new.safetensors"
    save_file(tensors, new, metadata={"progress": json.dumps(asdict(progress))})
    new.replace(folder / "state.safetensors")  # atomic: a kill leaves the old state or the new one


def load_state(folder: Path, model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> Progress:
    """Restore what `save_state` wrote; a fresh `Progress` where nothing was saved."""
    path = folder / "state.safetensors"
    if not path.exists():
        return Progress()
    tensors = load_file(path)
    with torch.no_grad():
        for name, parameter in _trainable(model):
            parameter.copy_(tensors[f"model.{name}"])
    for number, optimizer in enumerate(optimizers):
        state = optimizer.state_dict()
        for key, value in tensors.items():
            if key.startswith(f"optimizer.{number}."):
                _, _, index, field = key.split(".", 3)
                state["state"].setdefault(int(index), {})[field] = value
        optimizer.load_state_dict(state)
    with safe_open(path, "pt") as saved:
        return Progress(**json.loads(saved.metadata()["progress"]))


def _trainable(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]
