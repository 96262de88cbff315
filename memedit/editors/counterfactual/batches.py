"""Reading examples as padded tensors, with a weight on each token that is to be predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Example:
    """A prompt and the answer that is to follow it; `context` holds edits, already rendered.

    The answer has no leading space: one is put between prompt and answer.
    """

    prompt: str
    answer: str
    context: str = ""


@dataclass(frozen=True)
class Batch:
    """Token ids (n, length), int64, right-padded, and loss weights of the same shape, float32.

    `weights[row, column]` weighs the prediction *of* the token in that column. Right padding needs
    no attention mask: a causal model cannot look at it from the left.
    """

    ids: Tensor
    weights: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(self.ids.to(device), self.weights.to(device))


def encode(tokenizer: PreTrainedTokenizerBase, example: Example) -> tuple[list[int], int, int]:
    """Ids of context, prompt, answer and end; where the prompt starts; where the answer starts.

    The parts are encoded apart because the editor puts the context before the user's own ids.
    """
    context, prompt, answer = tokenizer(
        [example.context, example.prompt, " " + example.answer], add_special_tokens=False
    )["input_ids"]
    return (
        [*context, *prompt, *answer, tokenizer.eos_token_id],
        len(context),
        len(context) + len(prompt),
    )


def example_batch(
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    prompt_weight: float = 0.0,
    longest: int = 160,
) -> Batch:
    """Pad examples into one batch; answers weigh 1, prompts `prompt_weight`, contexts nothing.

    Examples of more than `longest` tokens are left out.
    """
    rows, weights = [], []
    for example in examples:
        ids, start, answer = encode(tokenizer, example)
        if len(ids) <= longest:
            rows.append(ids)
            weights.append([0.0] * start + [prompt_weight] * (answer - start) + [1.0] * (len(ids) - answer))
    width = -(-max(map(len, rows)) // 8) * 8  # few distinct widths keep the allocator quiet
    return Batch(
        torch.tensor([row + [tokenizer.eos_token_id] * (width - len(row)) for row in rows]),
        torch.tensor([row + [0.0] * (width - len(row)) for row in weights]),
    )


def example_batches(
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    prompt_weight: float,
    longest: int,
    parts: int,
) -> list[tuple[float, Batch]]:
    """Split examples by length into `parts` batches, so that short ones are not padded to the longest.

    Returns each batch with its share of the weights: losses times shares add up to the whole's mean.
    """
    examples = sorted(examples, key=lambda e: len(e.context) + len(e.prompt) + len(e.answer))
    size = -(-len(examples) // parts)
    chunks = [examples[start : start + size] for start in range(0, len(examples), size)]
    batches = [example_batch(tokenizer, chunk, prompt_weight, longest) for chunk in chunks]
    total = sum(float(batch.weights.sum()) for batch in batches)
    return [(float(batch.weights.sum()) / total, batch) for batch in batches]


def weighted_logits(model: Any, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (m, vocabulary) float32, target ids (m,) and weights (m,) where a weight is set.

    The output matrix is applied to those positions only, which are few.
    """
    hidden = model.get_decoder()(input_ids=batch.ids[:, :-1]).last_hidden_state
    targets, weights = batch.ids[:, 1:], batch.weights[:, 1:]
    chosen = weights > 0
    logits = model.get_output_embeddings()(hidden[chosen]).float()
    return logits, targets[chosen], weights[chosen]


def weighted_loss(model: Any, batch: Batch) -> Tensor:
    """Weighted mean cross-entropy in nats."""
    logits, targets, weights = weighted_logits(model, batch)
    losses = functional.cross_entropy(logits, targets, reduction="none")
    return (losses * weights).sum() / weights.sum()
