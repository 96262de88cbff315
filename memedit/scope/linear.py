"""Linear layers that take many rows at once by oneDNN.

PyTorch's float32 products on a CPU are MKL's, which uses AVX-512 on Intel's processors only. oneDNN uses it on every
processor that has it: on an AMD EPYC up to twice as fast, from a few dozen rows on. Of fewer rows less is won or some
is lost, since the layer's weights are put in its order each time; kept so they would be a second copy of the encoder.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

MANY_ROWS = 32
"""With 24 rows oneDNN was faster for each shape of the encoder's layers, copies counted in, with 12 it was not."""


class ManyRowsLinear(nn.Linear):
    """A linear layer that many rows pass faster than one by one; the same function of them."""

    def __init__(self, layer: nn.Linear) -> None:
        """Do what `layer` does, with the very same parameters."""
        super().__init__(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Outputs for `input`, float (…, in features): of its dtype (…, out features)."""
        return dense(functional.linear(ordered(input), self.weight, self.bias))


def use_for_many_rows(model: nn.Module) -> None:
    """Exchange every plain linear layer of `model` for a `ManyRowsLinear` of the same parameters."""
    plain = {name: module for name, module in model.named_modules() if type(module) is nn.Linear}
    for name, layer in plain.items():
        model.set_submodule(name, ManyRowsLinear(layer))


def ordered(states: torch.Tensor) -> torch.Tensor:
    """`states` as oneDNN takes them where it is the faster one and nothing is to be learned; else as they are."""
    faster = (
        states.device.type == "cpu"
        and states.dtype == torch.float32
        and states.numel() >= MANY_ROWS * states.shape[-1]
        and not torch.is_grad_enabled()
        and torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
    )
    return states.to_mkldnn() if faster else states


def dense(states: torch.Tensor) -> torch.Tensor:
    """`states` in the usual order."""
    return states.to_dense() if states.is_mkldnn else states
