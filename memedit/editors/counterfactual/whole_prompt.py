"""Decode prompts that hold the edit, and give back sequences that begin as the caller's do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from memedit.editors.base import Rows
from memedit.editors.options import (
    batches_of,
    new_token_limit,
    pad_id_of,
    returns_of,
    setting,
    with_room,
    with_settings,
)
from memedit.editors.own_prompt import with_own_prompt
from memedit.editors.repetition import IN_A_PROMPT, IN_AN_ENCODER, with_own_repetition
from memedit.editors.sequences import pad_prompts, pad_right
from memedit.errors import UnsupportedCallError


def decode_whole(
    base: Any, tokenizer: PreTrainedTokenizerBase, rows: Rows, prompts: Sequence[Tensor], options: Mapping[str, Any]
) -> Tensor:
    """Let the base decode `prompts` in place of the caller's.

    Args:
        base: The base model.
        tokenizer: Its tokenizer.
        rows: The caller's rows; n of them.
        prompts: n prompts without padding: ids, int64, shape (length,), or embeddings, shape (length, size).
        options: What the caller gave to `generate`.

    Returns:
        Sequences as `Editor.answer` returns them.

    Raises:
        UnsupportedCallError: The base has too few positions for a prompt and its edit.
    """
    pad_id = pad_id_of(base, tokenizer, options)
    is_text = prompts[0].ndim == 1
    inputs, mask = pad_prompts(prompts, pad_id, "left" if rows.decoder_ids is None else "right")
    given = {"input_ids" if is_text else "inputs_embeds": inputs}
    # Of embeddings the base returns new tokens only.
    decoded = inputs.shape[1] if is_text else 0
    # Ids of the caller's own width would not fit.
    options = {name: value for name, value in options.items() if name != "token_type_ids"}
    rules = IN_A_PROMPT if rows.decoder_ids is None else IN_AN_ENCODER
    options = with_own_repetition(base, options, rows.input_ids, rows.attention_mask, rules)
    if rows.decoder_ids is not None:
        _check_encoder(base, inputs.shape[1])
        # The caller's decoder never sees the encoder's ids: lengths and callbacks are right as they are.
        sequences: Tensor = base.generate(**given, attention_mask=mask, **options)
        return sequences
    options = with_room(base, options, rows.counted, inputs.shape[1])
    limits = {"max_new_tokens": new_token_limit(base, rows.counted, options), "max_length": None}
    if shortest := setting(base, options, "min_length"):
        limits["min_length"] = max(0, int(shortest) - rows.counted) + inputs.shape[1]
    options = with_settings(options, **limits)
    options = with_own_prompt(options, rows.begin, decoded, batches_of(base, options))
    output = base.generate(**given, attention_mask=mask, **options)
    own = rows.begin.repeat_interleave(returns_of(base, options), dim=0)
    return pad_right(list(torch.cat([own, output[:, decoded:]], dim=1)), pad_id)


def _check_encoder(base: Any, length: int) -> None:
    longest = getattr(base.config, "max_position_embeddings", None)
    if longest is not None and length > longest:
        raise UnsupportedCallError(
            f"the text and its edit have {length} tokens together, and the encoder of {type(base).__name__} reads "
            f"{longest}; shorten the text"
        )
