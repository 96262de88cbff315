"""Patches: the trained neurons of an edit in a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from memedit.edits import Edit


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
        """The neurons of one or several patches of one layer together, on a device."""
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
    """What was learned of one edit in one layer: a neuron for each token of its answer; float32 on the CPU.

    Attributes:
        edit_id: The edit.
        revision: The edit's revision that was learned.
        target: Its target.
        layer: The block in whose feed-forward layer the neurons are.
        keys: See `Neurons`.
        biases: See `Neurons`.
        values: See `Neurons`.
        queries: The layer's input where each neuron is to be active, shape (k, input size): neurons
            that are fitted later are to be silent there.
    """

    edit_id: str
    revision: int
    target: str
    layer: int
    keys: Tensor
    biases: Tensor
    values: Tensor
    queries: Tensor

    def fits(self, edit: Edit) -> bool:
        """Whether this is the edit in the very state that was learned."""
        return (self.edit_id, self.revision, self.target) == (edit.id, edit.revision, edit.target)
