"""Small operations on batches of token ids that several rooms need."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def pad_right(rows: Sequence[Tensor], pad_id: int) -> Tensor:
    """Stack 1-d id tensors into shape (n, longest), padded on the right."""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=pad_id)


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
