"""The counterfactual model as a model of its own, beside the base (SERAC, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from memedit.editors.base import Rows
from memedit.editors.counterfactual.config import CounterfactualConfig
from memedit.editors.counterfactual.context import render_edits
from memedit.editors.counterfactual.saving import save_counterfactual
from memedit.editors.options import new_token_limit, setting
from memedit.editors.written import written

_SAMPLING = ("do_sample", "temperature", "top_p", "top_k", "num_beams", "num_return_sequences")


class SeparateModelEditor:
    """A small language model reads edit and query as text; its answer becomes the base's ids.

    The two models need not share a tokenizer. Length, sampling and beam settings of the call are
    passed on; processors that look at the base's ids have no meaning here.

    Args:
        base: The base model; only its generation settings are read.
        tokenizer: The base's tokenizer.
        model: The counterfactual model, decoder-only or encoder-decoder, whatever the base is.
        model_tokenizer: Its tokenizer.
        config: How the edit is written.
        folder: The checkpoint it was loaded from, if any.
    """

    def __init__(
        self,
        base: Any,
        tokenizer: PreTrainedTokenizerBase,
        model: Any,
        model_tokenizer: PreTrainedTokenizerBase,
        config: CounterfactualConfig,
        folder: Path | None = None,
    ) -> None:
        self.config = config
        self.folder = folder
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
        # An encoder expects its end token; a decoder would take one for the end of the answer.
        has_encoder = bool(self._model.config.is_encoder_decoder)
        side = "right" if has_encoder else "left"
        inputs = self._model_tokenizer(
            texts, return_tensors="pt", padding=True, padding_side=side, add_special_tokens=has_encoder
        ).to(self._model.device)
        given = {name: value for name in _SAMPLING if (value := setting(self._base, options, name)) is not None}
        output = self._model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=new_token_limit(self._base, rows.counted, options),
            **given,
        )
        read = 0 if has_encoder else inputs["input_ids"].shape[1]
        answers = self._model_tokenizer.batch_decode(output[:, read:], skip_special_tokens=True)
        return written(self._base, self._tokenizer, rows, answers, options)

    def detach(self) -> None:
        """Nothing is hooked into the base."""

    def save_pretrained(self, folder: Path) -> None:
        """Write a checkpoint into an empty folder.

        Raises:
            CheckpointError: The weights are not where they were loaded from.
        """
        save_counterfactual(self.config, self.folder, folder)
