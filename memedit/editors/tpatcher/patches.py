"""Patches: the trained neurons of one edit, and the files that hold those of many."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from memedit.editors.tpatcher.config import PatcherConfig
from memedit.edits import Edit
from memedit.errors import CheckpointError

CONFIG_FILE = "tpatcher.json"
NEURONS_FILE = "neurons.safetensors"
_TENSORS = ("keys", "biases", "values", "queries")


@dataclass(frozen=True)
class Neurons:
    """Neurons beside those of a feed-forward layer (Huang et al. 2023, equation 5).

    Attributes:
        keys: What their input is multiplied with, shape (k, input size).
        biases: What is added to that, shape (k,).
        values: What an activation of one adds to the layer's output, shape (k, size).
    """

    keys: Tensor
    biases: Tensor
    values: Tensor

    @classmethod
    def of(cls, patches: Sequence[Patch], device: torch.device) -> Self:
        """The neurons of one or several patches together, on a device."""
        parts = ([getattr(patch, name) for patch in patches] for name in ("keys", "biases", "values"))
        return cls(*(torch.cat(part).to(device) for part in parts))

    def fired(self, given: Tensor, output: Tensor) -> Tensor:
        """The layer's output with theirs.

        Args:
            given: The layer's input, shape (m, input size).
            output: Its output, shape (m, size), which keeps every value where no neuron is active.
        """
        active = torch.relu(given @ self.keys.to(given).T + self.biases.to(given))
        return output + (active @ self.values.to(given)).to(output)


@dataclass(frozen=True)
class Patch:
    """What was learned of one edit: a neuron for each token of its answer; float32 on the CPU.

    Attributes:
        edit_id: The edit.
        revision: The edit's revision that was learned.
        target: Its target.
        keys: See `Neurons`.
        biases: See `Neurons`.
        values: See `Neurons`.
        queries: The layer's input where each neuron is to be active, shape (k, input size): neurons
            that are fitted later are to be silent there.
    """

    edit_id: str
    revision: int
    target: str
    keys: Tensor
    biases: Tensor
    values: Tensor
    queries: Tensor

    def fits(self, edit: Edit) -> bool:
        """Whether this is the edit in the very state that was learned."""
        return (self.edit_id, self.revision, self.target) == (edit.id, edit.revision, edit.target)


def save_patches(folder: Path, config: PatcherConfig, patches: Mapping[str, Patch]) -> None:
    """Write settings and neurons into a folder, which is made if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = list(patches.values())
    told = [
        {"edit_id": patch.edit_id, "revision": patch.revision, "target": patch.target, "neurons": len(patch.biases)}
        for patch in kept
    ]
    text = json.dumps({"config": asdict(config), "patches": told}, indent=1)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
    tensors = {
        name: torch.cat([getattr(patch, name) for patch in kept]) if kept else torch.empty(0) for name in _TENSORS
    }
    save_file(tensors, folder / NEURONS_FILE)


def load_patches(folder: Path) -> tuple[PatcherConfig, dict[str, Patch]]:
    """Read what `save_patches` wrote.

    Raises:
        CheckpointError: A file is missing, damaged, or does not belong to the other one.
    """
    for name in (CONFIG_FILE, NEURONS_FILE):
        if not (folder / name).is_file():
            raise CheckpointError(f"expected saved neurons with {name} in {folder}, found none")
    try:
        read = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        config, told = PatcherConfig(**read["config"]), read["patches"]
        tensors = load_file(folder / NEURONS_FILE)
        counts = [int(patch.pop("neurons")) for patch in told]
        parts = [tensors[name].split(counts) if told else () for name in _TENSORS]
        patches = (
            Patch(patch["edit_id"], patch["revision"], patch["target"], *(part.clone() for part in own))
            for patch, *own in zip(told, *parts, strict=True)
        )
        return config, {patch.edit_id: patch for patch in patches}
    except (json.JSONDecodeError, TypeError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{folder} holds no neurons that can be read: {error}") from error
