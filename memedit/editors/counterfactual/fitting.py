"""Fit a LoRA adapter that reads edits: SERAC's counterfactual model, on the base itself.

Two losses, as in Mitchell et al. 2022, section 3: the target where the edit bears on the query,
and the base's own distribution where it does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from memedit.editors.counterfactual.batches import (
    Example,
    example_batch,
    example_batches,
    weighted_logits,
    weighted_loss,
)
from memedit.editors.counterfactual.config import CounterfactualConfig
from memedit.editors.fingerprint import fingerprint
from memedit.precision import autocast, bf16_is_faster


@dataclass(frozen=True)
class AdapterTraining:
    """Settings of a training run."""

    steps: int = field(default=300, metadata={"help": "optimizer steps"})
    rank: int = field(default=16, metadata={"help": "rank of the LoRA matrices"})
    learning_rate: float = field(default=2e-3, metadata={"help": "peak learning rate of AdamW"})
    keep_weight: float = field(default=0.5, metadata={"help": "weight of the KL divergence to the base"})
    longest: int = field(default=128, metadata={"help": "longest example in tokens"})
    seed: int = field(default=7, metadata={"help": "seed of the adapter's weights"})


Draw = Callable[[int], tuple[Sequence[Example], Sequence[Example]]]
"""For a step number: examples whose edit decides the answer, and examples whose edit does not."""


def fit_adapter(
    base: Any,
    tokenizer: PreTrainedTokenizerBase,
    draw: Draw,
    output: Path,
    training: AdapterTraining,
    *,
    progress: bool = True,
) -> dict[str, float]:
    """Train an adapter on a base of the caller's and save it as a counterfactual checkpoint.

    Args:
        base: A causal language model; PEFT's layers are put into it for the time of the training and
            taken out again. Its weights stay as they are.
        tokenizer: Its tokenizer.
        draw: Gives the examples of a step; the second kind's answers are the base's own.
        output: The folder to write `adapter_config.json`, `adapter_model.safetensors` and
            `counterfactual.json` into.
        training: Steps, rank, rates.
        progress: Whether to show a progress bar.

    Returns:
        Mean losses of the last 50 steps: `read` (nats per token) and `keep` (KL in nats).
    """
    config = CounterfactualConfig(kind="adapter", placement="kv_prefix", base_fingerprint=fingerprint(base))
    torch.manual_seed(training.seed)
    lora = LoraConfig(
        r=training.rank,
        lora_alpha=2 * training.rank,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    frozen = {name: parameter.requires_grad for name, parameter in base.named_parameters()}
    adapted = get_peft_model(base, lora)
    try:
        losses = _train(adapted, base, tokenizer, draw, training, progress=progress)
        output.mkdir(parents=True, exist_ok=True)
        adapted.save_pretrained(output)
    finally:
        adapted.unload()
        for name, parameter in base.named_parameters():
            parameter.requires_grad_(frozen[name])
    config.save(output)
    return losses


def _train(
    adapted: Any,
    base: Any,
    tokenizer: PreTrainedTokenizerBase,
    draw: Draw,
    training: AdapterTraining,
    *,
    progress: bool,
) -> dict[str, float]:
    device = next(base.parameters()).device
    weights = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=training.learning_rate, weight_decay=0.0)
    recent: dict[str, list[float]] = {"read": [], "keep": []}
    probe = torch.zeros((16, 48), dtype=torch.long, device=device)
    bf16 = bf16_is_faster(device, lambda: base(input_ids=probe))
    bar = tqdm(range(training.steps), desc="adapter", mininterval=5, disable=not progress)
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = training.learning_rate * _schedule(step, training.steps)
        reading, keeping = draw(step)
        totals = {"read": 0.0, "keep": 0.0}
        for share, batch in example_batches(tokenizer, reading, 0.0, training.longest, parts=2):
            with autocast(device, bf16=bf16):
                loss = weighted_loss(base, batch.to(device)) * share
            loss.backward()
            totals["read"] += loss.item()
        if keeping:
            with autocast(device, bf16=bf16):
                loss = _divergence(adapted, base, tokenizer, keeping, training.longest, device)
            (loss * training.keep_weight).backward()
            totals["keep"] = loss.item()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        for name, value in totals.items():
            recent[name] = [*recent[name], value][-50:]
        bar.set_postfix({name: f"{sum(v) / len(v):.3f}" for name, v in recent.items()})
    return {name: sum(values) / len(values) for name, values in recent.items()}


def _divergence(
    adapted: Any,
    base: Any,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    longest: int,
    device: torch.device,
) -> Tensor:
    """KL from the plain base without the edit to the adapted base with it, per answer token."""
    plain = [Example(example.prompt, example.answer) for example in examples]
    with torch.no_grad(), adapted.disable_adapter():
        wanted, *_ = weighted_logits(base, example_batch(tokenizer, plain, 0.0, longest).to(device))
    given, *_ = weighted_logits(base, example_batch(tokenizer, examples, 0.0, longest).to(device))
    return functional.kl_div(given.log_softmax(-1), wanted.log_softmax(-1), log_target=True, reduction="batchmean")


def _schedule(step: int, steps: int, warm_up: int = 20) -> float:
    return min(1.0, (step + 1) / warm_up) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))
