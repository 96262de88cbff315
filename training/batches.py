"""Windows of running text, and free decoding for measuring."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from memedit.editors.counterfactual.batches import Batch, Example, encode


def text_batch(tokens: Tensor, rng: random.Random, rows: int, width: int) -> Batch:
    """Cut `rows` windows out of one long sequence of ids (int, any integer dtype)."""
    starts = [rng.randrange(len(tokens) - width) for _ in range(rows)]
    ids = torch.stack([tokens[start : start + width] for start in starts]).long()
    return Batch(ids, torch.ones(ids.shape))


@torch.no_grad()
def answers(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    batch_size: int = 64,
    max_new_tokens: int = 24,
) -> list[str]:
    """Answer examples by greedy free decoding until the end of text or a newline."""
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].context + examples[i].prompt))
    found = [""] * len(examples)
    device = next(model.parameters()).device
    for start in range(0, len(order), batch_size):
        chunk = order[start : start + batch_size]
        rows = [encode(tokenizer, examples[i]) for i in chunk]
        prompts = [ids[:answer] for ids, _, answer in rows]
        padded = tokenizer.pad({"input_ids": prompts}, padding_side="left", return_tensors="pt").to(device)
        output = model.generate(**padded, max_new_tokens=max_new_tokens, do_sample=False)
        texts = tokenizer.batch_decode(output[:, padded["input_ids"].shape[1] :], skip_special_tokens=True)
        for index, text in zip(chunk, texts, strict=True):
            found[index] = text.split("\n")[0].strip()
    return found


def share_correct(found: Sequence[str], examples: Sequence[Example]) -> float:
    """Share of answers equal to the expected ones, to the letter."""
    return sum(a == e.answer for a, e in zip(found, examples, strict=True)) / len(examples)
