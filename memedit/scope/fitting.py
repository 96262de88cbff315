"""Training of the scope classifier: the loop, its settings, and its state on disk."""

from __future__ import annotations

import hashlib
import json
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import tqdm

from memedit.precision import autocast, bf16_is_faster
from memedit.scope.network import PairNetwork
from memedit.scope.pairing import Pair, PairTokenizer

logger = logging.getLogger(__name__)

SAVE_EVERY_SECONDS = 120.0
BUCKET_BATCHES = 50
"""Batches sorted by length together: enough to save padding, few enough to stay random."""


@dataclass(frozen=True)
class FitConfig:
    """Settings of one training run."""

    epochs: int = field(default=1, metadata={"help": "passes over the pairs"})
    batch_size: int = field(default=48, metadata={"help": "pairs per step"})
    learning_rate: float = field(default=8e-4, metadata={"help": "peak learning rate of AdamW"})
    warmup: float = field(default=0.06, metadata={"help": "share of steps with a rising rate"})
    weight_decay: float = field(default=0.01, metadata={"help": "AdamW's weight decay"})
    rank: int = field(default=32, metadata={"help": "LoRA rank"})
    alpha: int = field(default=64, metadata={"help": "LoRA alpha"})
    dropout: float = field(
        default=0.0,
        metadata={"help": "dropout in the encoder and on the adapter's input; one pass over many pairs needs none"},
    )
    max_tokens: int = field(default=112, metadata={"help": "longest pair in tokens"})
    seed: int = field(default=0, metadata={"help": "seed of order, dropout and fresh weights"})
    keep: float = field(
        default=0.0, metadata={"help": "share of the weights that training went on from in those it ends with"}
    )


def fit_network(
    network: PairNetwork,
    tokenizer: PairTokenizer,
    pairs: Sequence[Pair],
    labels: Sequence[int] | Sequence[bool],
    config: FitConfig,
    *,
    resume_from: Path | None = None,
    progress: bool = False,
) -> dict[str, float]:
    """Train the adapter and head of `network` in place.

    Args:
        network: From `memedit.scope.network.trainable_network`, on its device.
        tokenizer: Encodes the pairs.
        pairs: (edit wording, query), one for each label.
        labels: 1 where the query is in scope of the edit, else 0.
        config: Settings.
        resume_from: File to which the state is saved every two minutes, and from which an
            interrupted run on the same pairs and settings goes on; removed at the end.
        progress: Whether to show a progress bar.

    Returns:
        `steps`, `seconds` (of this call), `loss` (mean of the last 200 steps), `bf16` (0 or 1).
    """
    encoded = tokenizer(pairs)
    batches = _batches([len(pair.ids) for pair in encoded], config)
    parameters = {n: p for n, p in network.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(parameters.values(), lr=config.learning_rate, weight_decay=config.weight_decay)
    # All weights are read for it.
    fingerprint = _fingerprint(pairs, labels, config, network) if resume_from else ""
    state = _State(resume_from, fingerprint, parameters, optimizer)
    start = state.load()
    targets = torch.tensor([float(label) for label in labels])
    network.eval()  # dropout would draw from the caller's random stream
    first = tokenizer.collate(encoded[: config.batch_size]).to(network.device)
    bf16 = bf16_is_faster(network.device, lambda: network(first))
    losses: list[float] = []
    began = saved = time.monotonic()
    network.train()
    with (
        torch.random.fork_rng(devices=range(torch.cuda.device_count())),  # manual_seed seeds every one
        tqdm(total=len(batches), initial=start, unit="step", disable=not progress, mininterval=5) as bar,
    ):
        for step in range(start, len(batches)):
            torch.manual_seed(config.seed * 1_000_003 + step)
            rows = batches[step]
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * _schedule(step, len(batches), config.warmup)
            batch = tokenizer.collate([encoded[row] for row in rows]).to(network.device)
            with autocast(network.device, bf16=bf16):
                logits = network(batch)
            loss = binary_cross_entropy_with_logits(logits, targets[rows].to(network.device))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
            bar.set_postfix(loss=f"{np.mean(losses[-200:]):.4f}", refresh=False)
            bar.update()
            if time.monotonic() - saved > SAVE_EVERY_SECONDS:
                state.save(step + 1)
                saved = time.monotonic()
    network.eval()
    state.discard()
    return {
        "steps": float(len(batches)),
        "seconds": time.monotonic() - began,
        "loss": float(np.mean(losses[-200:])) if losses else float("nan"),
        "bf16": float(bf16),
    }


class _State:
    """The run's tensors on disk: parameters and AdamW's moments, without pickle."""

    def __init__(
        self,
        file: Path | None,
        fingerprint: str,
        parameters: dict[str, torch.nn.Parameter],
        optimizer: torch.optim.AdamW,
    ) -> None:
        self._file, self._fingerprint = file, fingerprint
        self._parameters, self._optimizer = parameters, optimizer

    def save(self, step: int) -> None:
        if self._file is None:
            return
        tensors: dict[str, torch.Tensor] = {}
        for name, parameter in self._parameters.items():
            moments = self._optimizer.state[parameter]
            tensors[f"value.{name}"] = parameter.detach()
            tensors[f"exp_avg.{name}"] = moments["exp_avg"]
            tensors[f"exp_avg_sq.{name}"] = moments["exp_avg_sq"]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_suffix(".partial")
        save_file(tensors, draft, {"step": str(step), "fingerprint": self._fingerprint})
        draft.replace(self._file)

    def load(self) -> int:
        if self._file is None or not self._file.exists():
            return 0
        with safe_open(self._file, framework="pt") as file:
            metadata = file.metadata()
            if metadata.get("fingerprint") != self._fingerprint:
                logger.warning("%s is of another run; starting anew", self._file)
                return 0
            step = int(metadata["step"])
            for name, parameter in self._parameters.items():
                parameter.data.copy_(file.get_tensor(f"value.{name}"))
                self._optimizer.state[parameter] = {
                    "step": torch.tensor(float(step)),
                    "exp_avg": file.get_tensor(f"exp_avg.{name}").to(parameter.device),
                    "exp_avg_sq": file.get_tensor(f"exp_avg_sq.{name}").to(parameter.device),
                }
        logger.info("going on from step %d of %s", step, self._file)
        return step

    def discard(self) -> None:
        if self._file is not None:
            self._file.unlink(missing_ok=True)


def _fingerprint(
    pairs: Sequence[Pair], labels: Sequence[int] | Sequence[bool], config: FitConfig, network: PairNetwork
) -> str:
    """Tells runs apart by what they learn from, how, and what they go on from."""
    text = json.dumps([[*pair, int(label)] for pair, label in zip(pairs, labels, strict=True)])
    digest = hashlib.sha256((text + json.dumps(asdict(config))).encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _batches(lengths: Sequence[int], config: FitConfig) -> list[list[int]]:
    rng = random.Random(config.seed)
    batches: list[list[int]] = []
    for _ in range(config.epochs):
        order = list(range(len(lengths)))
        rng.shuffle(order)
        size, bucket = config.batch_size, config.batch_size * BUCKET_BATCHES
        epoch = []
        for start in range(0, len(order), bucket):
            rows = sorted(order[start : start + bucket], key=lengths.__getitem__)
            epoch += [rows[at : at + size] for at in range(0, len(rows), size)]
        rng.shuffle(epoch)
        batches += epoch
    return batches


def _schedule(step: int, steps: int, warmup: float) -> float:
    rising = max(1, int(steps * warmup))
    if step < rising:
        return (step + 1) / rising
    return max(0.0, (steps - step) / max(1, steps - rising))
