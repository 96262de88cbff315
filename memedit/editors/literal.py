"""Answer with an edit's target, word for word: what a refusal needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from memedit.editors.base import Rows
from memedit.editors.options import new_token_limit, pad_id_of, returns_of
from memedit.editors.sequences import pad_right


class LiteralEditor:
    """Writes the target after the prompt without asking any model.

    The base takes no part, so nothing of its old answer can appear: this is how edits of kind
    `erase` are answered, whatever the other editor is.

    Args:
        base: The base model; only its generation settings are read.
        tokenizer: The base's tokenizer.
    """

    def __init__(self, base: Any, tokenizer: PreTrainedTokenizerBase) -> None:
        self._base = base
        self._tokenizer = tokenizer

    def answer(self, rows: Rows, options: Mapping[str, Any]) -> Tensor:
        """Append each row's target and the end-of-text token; see `Editor.answer`."""
        limit = new_token_limit(self._base, rows.input_ids.shape[1], options)
        streamer = options.get("streamer")
        sequences = []
        for ids, edit in zip(rows.input_ids, rows.edits, strict=True):
            answer = self._tokenizer(f" {edit.target.strip()}", add_special_tokens=False)["input_ids"]
            if self._tokenizer.eos_token_id is not None:
                answer = [*answer, self._tokenizer.eos_token_id]
            new = torch.tensor(answer[:limit], dtype=torch.int64, device=ids.device)
            sequences += [torch.cat([ids, new])] * returns_of(self._base, options)
            if streamer is not None:
                streamer.put(ids[None].cpu())
                for token in new.cpu():
                    streamer.put(token[None])
                streamer.end()
        return pad_right(sequences, pad_id_of(self._base, self._tokenizer))

    def detach(self) -> None:
        """Nothing is hooked into the base."""
