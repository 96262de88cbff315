"""Answer with an edit's target, word for word: what a refusal needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from memedit.editors.base import Rows
from memedit.editors.options import returns_of
from memedit.editors.written import written


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
        returns = returns_of(self._base, options)
        spaces = [self._space(rows, row) for row in range(len(rows.edits))]
        answers = [
            f"{space}{edit.target.strip()}"
            for space, edit in zip(spaces, rows.edits, strict=True)
            for _ in range(returns)
        ]
        return written(self._base, self._tokenizer, rows, answers, options)

    def _space(self, rows: Rows, row: int) -> str:
        """What stands between prompt and answer: nothing where the prompt ends with white space or a mark of a turn."""
        if rows.decoder_ids is not None:  # an encoder-decoder model's answer stands alone
            return ""
        if rows.inputs_embeds is not None:
            return " "
        last = rows.input_ids[row][rows.attention_mask[row].bool()][-1:].tolist()
        end = self._tokenizer.decode(last)
        return "" if {*last} & {*self._tokenizer.all_special_ids} or end != end.rstrip() else " "

    def detach(self) -> None:
        """Nothing is hooked into the base."""
