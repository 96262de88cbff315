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
        # Behind a prompt a space comes first; an encoder-decoder model's answer stands alone.
        space = " " if rows.decoder_ids is None else ""
        returns = returns_of(self._base, options)
        answers = [f"{space}{edit.target.strip()}" for edit in rows.edits for _ in range(returns)]
        return written(self._base, self._tokenizer, rows, answers, options)

    def detach(self) -> None:
        """Nothing is hooked into the base."""
