"""Keys: a hooked layer's output at an edit's last token and at its subject's last token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from memedit.editors.activations import ActivationHooks
from memedit.editors.lessons import forward_inputs, has_encoder, prompt_inputs
from memedit.edits import Edit

_ROWS = 64


def prompt_states(
    base: Any, tokenizer: PreTrainedTokenizerBase, hooks: ActivationHooks, layers: Sequence[int], prompts: Sequence[str]
) -> list[Tensor]:
    """The layers' output at every token of each prompt, as the plain base computes it.

    Args:
        base: The base.
        tokenizer: Its tokenizer.
        hooks: Hooks on the blocks, under their numbers.
        layers: The blocks.
        prompts: Any number of texts.

    Returns:
        float32 on the CPU, each of shape (layers, length, size); of an encoder-decoder model the one position
        that its decoder begins with.
    """
    states: list[Tensor] = []
    for first in range(0, len(prompts), _ROWS):
        ids, mask = prompt_inputs(base, tokenizer, prompts[first : first + _ROWS])
        with torch.inference_mode(False), torch.no_grad(), hooks.reading() as seen:
            base(**forward_inputs(base, ids, mask))
        hidden = torch.stack([seen[layer].float().cpu() for layer in layers], dim=1)
        lengths = [1] * len(ids) if has_encoder(base) else mask.sum(1).tolist()
        states += [row[:, row.shape[1] - length :].clone() for row, length in zip(hidden, lengths, strict=True)]
    return states


def subject_position(base: Any, tokenizer: PreTrainedTokenizerBase, edit: Edit) -> int | None:
    """Where the subject ends in the edit's prompt, as a number among the prompt's tokens.

    None if the edit names no subject, the prompt does not hold it, the tokenizer cannot tell, or an
    encoder reads the prompt.
    """
    place = -1 if edit.subject is None else edit.prompt.rfind(edit.subject.strip())
    if edit.subject is None or place < 0 or has_encoder(base) or not tokenizer.is_fast:
        return None
    position: int | None = tokenizer(edit.prompt).char_to_token(place + len(edit.subject.strip()) - 1)
    return position


def edit_keys(
    base: Any, tokenizer: PreTrainedTokenizerBase, edit: Edit, states: Tensor
) -> tuple[Tensor, Tensor | None]:
    """In each layer the key at the last token, and the one at the subject's last token or None; (layers, size).

    Args:
        base: The base.
        tokenizer: Its tokenizer.
        edit: An edit.
        states: What `prompt_states` gives for its prompt.
    """
    position = subject_position(base, tokenizer, edit)
    return states[:, -1], None if position is None else states[:, position]
