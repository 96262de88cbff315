"""The cross-encoder: the sentence encoder's transformer reads edit and query together."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from peft.utils import set_peft_model_state_dict
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, PreTrainedModel

from memedit.scope.linear import dense, ordered
from memedit.scope.pairing import PairBatch

HEAD_WIDTH = 192

_PREFIX, _DOWN, _UP = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
"""How PEFT names the tensors of an adapter."""
_DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout")
"""How the encoders' configurations name their own dropout."""


@dataclass(frozen=True)
class Adapter:
    """What training adds to the frozen encoder: a few megabytes.

    Attributes:
        rank: LoRA rank.
        alpha: LoRA alpha; updates are scaled by alpha / rank.
        lora: PEFT's tensors, float32, on the CPU.
        head: The head's tensors, float32, on the CPU.
    """

    rank: int
    alpha: int
    lora: Mapping[str, torch.Tensor]
    head: Mapping[str, torch.Tensor]


class PairNetwork(nn.Module):
    """Transformer and head: one logit for each pair.

    The head sees the first token's state, the mean state of the wording, that of the query, and
    how the two means differ: what a sentence encoder was trained to put into its means is used.
    """

    def __init__(self, backbone: nn.Module, *, hidden: int, uses_segments: bool) -> None:
        """Put a fresh head on `backbone`.

        Args:
            backbone: A transformer that returns `last_hidden_state` (pairs, tokens, hidden).
            hidden: Its width.
            uses_segments: Whether it takes `token_type_ids` with two types.
        """
        super().__init__()
        self.backbone = backbone
        self._uses_segments = uses_segments
        self.head = nn.Sequential(
            nn.Linear(4 * hidden, HEAD_WIDTH), nn.GELU(), nn.Dropout(0.1), nn.Linear(HEAD_WIDTH, 1)
        ).float()  # whatever the default is

    def forward(self, batch: PairBatch) -> torch.Tensor:
        """Logits that each query is in scope of its edit: float32 (pairs,)."""
        extra = {"token_type_ids": batch.segments} if self._uses_segments else {}
        states = self.backbone(input_ids=batch.ids, attention_mask=batch.mask, **extra)
        hidden = states.last_hidden_state.float()
        query = batch.segments.unsqueeze(-1).float()
        wording = batch.mask.unsqueeze(-1).float() - query
        first = (hidden * wording).sum(1) / wording.sum(1)
        second = (hidden * query).sum(1) / query.sum(1)
        features = torch.cat([hidden[:, 0], first, second, (first - second).abs()], dim=1)
        logits: torch.Tensor = self.head(features).float().squeeze(-1)
        return logits

    @property
    def device(self) -> torch.device:
        """Where the network's weights are."""
        return next(self.parameters()).device


def trainable_network(
    encoder: Path, *, rank: int, alpha: int, dropout: float, start: Adapter | None = None
) -> PairNetwork:
    """A frozen encoder with a LoRA adapter (Hu et al. 2022) on all its linear layers, and a head.

    Args:
        encoder: Folder of the sentence encoder.
        rank: LoRA rank.
        alpha: LoRA alpha.
        dropout: Dropout in the encoder and on the adapter's input.
        start: Adapter to go on from; None starts as the encoder itself.
    """
    network = _bare(encoder, dropout=dropout)
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules="all-linear")
    backbone: Any = network.backbone
    with warnings.catch_warnings():
        # PEFT asks transformers a question under its old name.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")
        network.backbone = get_peft_model(backbone, config)
    if start is not None:
        set_peft_model_state_dict(network.backbone, dict(start.lora))
        _load_head(network, start)
    return network


class LoraLinear(nn.Module):
    """A linear layer of the encoder, and what the adapter adds to its output.

    Not merged into one matrix: the encoder's own is then the only copy of it in memory, for a sixth of the
    classifier's time.
    """

    def __init__(self, layer: nn.Linear, down: torch.Tensor, up: torch.Tensor) -> None:
        """Add `x @ down.T @ up.T` to what `layer` gives, whose weights stay where they are.

        Args:
            layer: The encoder's layer.
            down: float32 (rank, in features).
            up: float32 (out features, rank), scaled.

        Raises:
            ValueError: The shapes do not fit the layer.
        """
        super().__init__()
        wanted = (layer.out_features, layer.in_features)
        if (up.shape[0], down.shape[1]) != wanted or up.shape[1] != down.shape[0]:
            raise ValueError(f"expected an adapter for {wanted}, got {tuple(up.shape)} and {tuple(down.shape)}")
        self.weight, self.bias = layer.weight, layer.bias
        self.register_buffer("down", down)
        self.register_buffer("up", up)
        self.down: torch.Tensor
        self.up: torch.Tensor

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """States of the next layer: float32 (…, out features)."""
        rows = ordered(states)
        given = dense(functional.linear(rows, self.weight, self.bias))
        inner = dense(functional.linear(rows, self.down))
        # In place: the sum of two tensors would be a third one.
        given.view(-1, given.shape[-1]).addmm_(inner.view(-1, inner.shape[-1]), self.up.T)
        return given


def adapted_network(encoder: Path, adapter: Adapter, loaded: PreTrainedModel | None = None) -> PairNetwork:
    """The network for inference: the encoder with the adapter beside its weights.

    Args:
        encoder: Folder of the sentence encoder.
        adapter: What was trained on it.
        loaded: The encoder's transformer where it is in memory as float32: its weights are then shared and not
            read again.

    Raises:
        ValueError: The adapter's tensors do not fit the encoder.
    """
    with torch.random.fork_rng(devices=[]):  # a fresh head is drawn, then overwritten
        network = _bare(encoder) if loaded is None else _around(_sharing(loaded))
    _load_head(network, adapter)
    for name, down in adapter.lora.items():
        if not name.endswith(_DOWN):
            continue
        path = name.removeprefix(_PREFIX).removesuffix(_DOWN)
        up = adapter.lora[f"{_PREFIX}{path}{_UP}"] * (adapter.alpha / adapter.rank)
        layer = network.backbone.get_submodule(path)
        if not isinstance(layer, nn.Linear):
            raise ValueError(f"expected a linear layer at {path}, got {type(layer).__name__}")
        network.backbone.set_submodule(path, LoraLinear(layer, down, up).to(layer.weight.device))
    return network.eval().requires_grad_(False)


def mean_adapter(first: Adapter, second: Adapter, share: float) -> Adapter:
    """Weights between those of two adapters, one of which was trained on from the other.

    The mean of two such states is often better than either on data unlike the training's (WiSE-FT,
    Wortsman et al. 2022, section 3).

    Args:
        first: An adapter.
        second: Another of the same rank and alpha, for the same encoder.
        share: Weight of the first, from 0 to 1.
    """

    def mean(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: share * a[name] + (1 - share) * b[name] for name in a}

    return Adapter(first.rank, first.alpha, mean(first.lora, second.lora), mean(first.head, second.head))


def adapter_of(network: PairNetwork, *, rank: int, alpha: int) -> Adapter:
    """A copy of the trained tensors of `network`."""
    lora = get_peft_model_state_dict(network.backbone)
    return Adapter(rank, alpha, _copied(lora), _copied(network.head.state_dict()))


def _bare(encoder: Path, *, dropout: float = 0.0) -> PairNetwork:
    settings = AutoConfig.from_pretrained(str(encoder), local_files_only=True)
    for name in _DROPOUTS:
        if hasattr(settings, name):
            setattr(settings, name, dropout)
    backbone: PreTrainedModel = AutoModel.from_pretrained(
        str(encoder), config=settings, local_files_only=True, dtype=torch.float32
    )
    return _around(backbone)


def _sharing(model: PreTrainedModel) -> PreTrainedModel:
    """A copy of `model` in other modules, whose parameters are the very same."""
    return copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})


def _around(backbone: PreTrainedModel) -> PairNetwork:
    if hasattr(backbone, "pooler"):
        backbone.pooler = None
    config = backbone.config
    segments = getattr(config, "type_vocab_size", 0) > 1
    return PairNetwork(backbone, hidden=config.hidden_size, uses_segments=segments)


def _load_head(network: PairNetwork, adapter: Adapter) -> None:
    network.head.load_state_dict(dict(adapter.head))


def _copied(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: t.detach().to("cpu", torch.float32).clone() for name, t in tensors.items()}
