"""The forms in which prompts reach `generate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from tests.conformance.families import PAD, TRIGGER, base_of

Rows = Sequence[Sequence[int]]
Form = Callable[[Rows, str], tuple[tuple[Any, ...], dict[str, Any]]]
"""Positional and keyword arguments for rows of ids and a family."""

PROMPTS: Rows = ((11, 12, 13, 14), (21, 22), (31, 32, 33, 34, 35, 36), (41,), (51, 52, 53))
"""Out of scope, of different lengths."""


def in_scope(prompt: Sequence[int]) -> list[int]:
    """The prompt, now in scope of any edit; as long as before."""
    return [*prompt[:-1], TRIGGER]


def padded(rows: Rows, side: str = "left", extra: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask, both int64 (rows, longest + extra)."""
    width = max(map(len, rows)) + extra
    ids = [
        [PAD] * (width - len(row)) + list(row) if side == "left" else [*row, *[PAD] * (width - len(row))]
        for row in rows
    ]
    mask = [
        [0] * (width - len(row)) + [1] * len(row) if side == "left" else [1] * len(row) + [0] * (width - len(row))
        for row in rows
    ]
    return torch.tensor(ids), torch.tensor(mask)


def _keywords(side: str = "left", extra: int = 0) -> Form:
    def form(rows: Rows, family: str) -> Any:
        ids, mask = padded(rows, side, extra)
        return (), {"input_ids": ids, "attention_mask": mask}

    return form


def _first(rows: Rows, family: str) -> Any:
    ids, mask = padded(rows[:1])
    return (), {"input_ids": ids, "attention_mask": mask}


def _positional(rows: Rows, family: str) -> Any:
    ids, mask = padded(rows)
    return (ids,), {"attention_mask": mask}


def _inputs_keyword(rows: Rows, family: str) -> Any:
    ids, mask = padded(rows)
    return (), {"inputs": ids, "attention_mask": mask}


def _no_mask(rows: Rows, family: str) -> Any:
    return (), {"input_ids": padded(rows)[0]}


def _positional_no_mask(rows: Rows, family: str) -> Any:
    return (padded(rows)[0],), {}


def _bool_mask(rows: Rows, family: str) -> Any:
    ids, mask = padded(rows)
    return (), {"input_ids": ids, "attention_mask": mask.bool()}


def _int32(rows: Rows, family: str) -> Any:
    ids, mask = padded(rows)
    return (), {"input_ids": ids.int(), "attention_mask": mask.int()}


def _ones(rows: Rows, family: str) -> Any:
    ids, mask = padded(rows)
    return (), {"input_ids": ids, "attention_mask": torch.ones_like(mask)}


def _equal(rows: Rows, family: str) -> Any:
    width = min(map(len, rows))
    ids, mask = padded([row[-width:] for row in rows])
    return (), {"input_ids": ids, "attention_mask": mask}


def _embeddings(rows: Rows, family: str) -> Any:
    ids, mask = padded(rows)
    return (), {"inputs_embeds": base_of(family).get_input_embeddings()(ids).detach(), "attention_mask": mask}


def _both(rows: Rows, family: str) -> Any:
    args, given = _embeddings(rows, family)
    return args, {"input_ids": padded(rows)[0], **given}


def _long(rows: Rows, family: str) -> Any:
    return _keywords()([[*range(5, 45), *row] for row in rows], family)


FORMS: dict[str, Form] = {
    "left": _keywords(),
    "right": _keywords("right"),
    "wide left": _keywords("left", extra=3),
    "one row": _first,
    "positional": _positional,
    "positional without mask": _positional_no_mask,
    "inputs=": _inputs_keyword,
    "without mask": _no_mask,
    "boolean mask": _bool_mask,
    "int32": _int32,
    "mask of ones": _ones,
    "equal lengths": _equal,
    "long": _long,
    "embeddings": _embeddings,
    "ids and embeddings": _both,
}
