"""Small operations on batches of token ids that several rooms need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor


def pad_right(rows: Sequence[Tensor], pad_id: int) -> Tensor:
    """Stack 1-d id tensors into shape (n, longest), padded on the right."""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=pad_id)


def by_row(sequences: Tensor, rows: Sequence[int]) -> dict[int, list[Tensor]]:
    """The sequences of each row: of one that returns several, they stand next to each other.

    Args:
        sequences: Shape (len(rows) * returns, length).
        rows: The numbers under which the rows are to be found, in their order.
    """
    return {row: list(part) for row, part in zip(rows, sequences.chunk(len(rows)), strict=True)}


def pad_left(rows: Sequence[Tensor], pad_id: int) -> tuple[Tensor, Tensor]:
    """Stack 1-d id tensors, padded on the left; returns ids and mask, both (n, longest), int64."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad_id, dtype=torch.int64, device=rows[0].device)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        if len(row):
            ids[index, width - len(row) :] = row
            mask[index, width - len(row) :] = 1
    return ids, mask


def pad_prompts(prompts: Sequence[Tensor], pad_id: int, side: Literal["left", "right"]) -> tuple[Tensor, Tensor]:
    """Stack prompts for one batch.

    Args:
        prompts: n prompts: ids, int64, shape (length,), or embeddings, shape (length, size).
        pad_id: Fills ids; embeddings are filled with zeros.
        side: Where decoders continue a prompt, padding belongs on the left; encoders that number
            their positions read from the left, and have it on the right.

    Returns:
        The prompts, shape (n, longest) or (n, longest, size), and their mask, int64, shape (n, longest).
    """
    fill = float(pad_id) if prompts[0].ndim == 1 else 0.0
    real = [torch.ones(len(prompt), dtype=torch.int64, device=prompt.device) for prompt in prompts]
    stack = torch.nn.utils.rnn.pad_sequence
    inputs = stack(list(prompts), batch_first=True, padding_value=fill, padding_side=side)
    return inputs, stack(real, batch_first=True, padding_side=side)
