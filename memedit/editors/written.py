"""Answers that are known as text: their ids after a prompt, and their way to a streamer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from memedit.editors.base import Rows
from memedit.editors.options import new_token_limit, pad_id_of, returns_of, setting
from memedit.editors.sequences import pad_right


def written(
    base: Any, tokenizer: PreTrainedTokenizerBase, rows: Rows, answers: list[str], options: Mapping[str, Any]
) -> Tensor:
    """Put answers and the end-of-text token behind what each row's sequences begin with.

    Args:
        base: The base model; only its generation settings are read.
        tokenizer: The base's tokenizer.
        rows: n rows.
        answers: One text for each returned sequence: n * num_return_sequences.
        options: What the caller gave to `generate`; a streamer among them hears one row.

    Returns:
        Sequences, int64, shape (len(answers), longest), right-padded, cut where the caller's length
        limit cuts.
    """
    limit = new_token_limit(base, rows.counted, options)
    # Where decoding would begin with a forced token (BART), so does what is written.
    forced = setting(base, options, "forced_bos_token_id") if rows.decoder_ids is not None else None
    first = [] if forced is None else [int(forced)]
    last = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    sequences = []
    for begin, answer in zip(rows.begin.repeat_interleave(returns_of(base, options), dim=0), answers, strict=True):
        ids = [*first, *tokenizer(answer, add_special_tokens=False)["input_ids"], *last][:limit]
        new = torch.tensor(ids, dtype=torch.int64, device=begin.device)
        sequences.append(torch.cat([begin, new]))
        if options.get("streamer") is not None:
            _stream(options["streamer"], begin, new)
    return pad_right(sequences, pad_id_of(base, tokenizer, options))


def _stream(streamer: Any, begin: Tensor, new: Tensor) -> None:
    streamer.put(begin[None].cpu())
    for token in new.cpu():
        streamer.put(token[None])
    streamer.end()
