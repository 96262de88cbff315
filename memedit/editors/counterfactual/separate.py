"""The counterfactual model as a model of its own, beside the base (SERAC, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from memedit.editors.base import Rows
from memedit.editors.counterfactual.config import CounterfactualConfig
from memedit.editors.counterfactual.context import render_edits
from memedit.editors.options import new_token_limit, pad_id_of, returns_of, setting
from memedit.editors.sequences import pad_right

_SAMPLING = ("do_sample", "temperature", "top_p", "top_k", "num_beams", "num_return_sequences")


class SeparateModelEditor:
    """A small causal language model reads edit and query as text; its answer becomes the base's ids.

    The two models need not share a tokenizer. Length, sampling and beam settings of the call are
    passed on; processors that look at the base's ids have no meaning here.

    Args:
        base: The base model; only its generation settings are read.
        tokenizer: The base's tokenizer.
        model: The counterfactual model.
        model_tokenizer: Its tokenizer.
        config: How the edit is written.
    """

    def __init__(
        self,
        base: Any,
        tokenizer: PreTrainedTokenizerBase,
        model: Any,
        model_tokenizer: PreTrainedTokenizerBase,
        config: CounterfactualConfig,
    ) -> None:
        self.config = config
        self._base = base
        self._tokenizer = tokenizer
        self._model = model
        self._model_tokenizer = model_tokenizer

    def answer(self, rows: Rows, options: Mapping[str, Any]) -> Tensor:
        """Let the separate model answer, and write its words after the caller's ids."""
        texts = [
            render_edits([(edit.prompt, edit.target)], self.config.template) + query
            for edit, query in zip(rows.edits, rows.queries, strict=True)
        ]
        inputs = self._model_tokenizer(
            texts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False
        ).to(self._model.device)
        limit = new_token_limit(self._base, rows.input_ids.shape[1], options)
        given = {name: value for name in _SAMPLING if (value := setting(self._base, options, name)) is not None}
        output = self._model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=limit,
            **given,
        )
        answers = self._model_tokenizer.batch_decode(
            output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        own = rows.input_ids.repeat_interleave(returns_of(self._base, options), dim=0)
        end = [] if self._tokenizer.eos_token_id is None else [self._tokenizer.eos_token_id]
        sequences = []
        for ids, answer in zip(own, answers, strict=True):
            new = [*self._tokenizer(answer, add_special_tokens=False)["input_ids"], *end][:limit]
            sequences.append(torch.cat([ids, torch.tensor(new, dtype=torch.int64, device=ids.device)]))
        return pad_right(sequences, pad_id_of(self._base, self._tokenizer))

    def detach(self) -> None:
        """Nothing is hooked into the base."""
