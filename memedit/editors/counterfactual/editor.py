"""The counterfactual editor: a model that reads the edit beside the query (SERAC, Mitchell et al. 2022).

Two of its three kinds live here, since both let the base itself do the reading: the frozen base,
and the base under a LoRA overlay. The third, a separate model, is in `separate.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from memedit.editors.base import Rows
from memedit.editors.counterfactual.config import CounterfactualConfig
from memedit.editors.counterfactual.context import render_edits
from memedit.editors.counterfactual.lora import LoraOverlay
from memedit.editors.counterfactual.prefix import Layers, PrefixCache, prefix_layers
from memedit.editors.options import expansion_of, new_token_limit, pad_id_of, returns_of
from memedit.editors.own_prompt import with_own_prompt
from memedit.editors.sequences import pad_left, pad_right


class CounterfactualEditor:
    """The base answers with the edit in its context.

    Args:
        base: The frozen base model; nothing of it is changed.
        tokenizer: The base's tokenizer.
        config: Where and how the edit is written.
        overlay: A LoRA adapter on the base that is active while this editor decodes, or None.
    """

    def __init__(
        self,
        base: Any,
        tokenizer: PreTrainedTokenizerBase,
        config: CounterfactualConfig | None = None,
        overlay: LoraOverlay | None = None,
    ) -> None:
        self.config = config or CounterfactualConfig()
        self._base = base
        self._tokenizer = tokenizer
        self._overlay = overlay
        self._prefixes = PrefixCache(self._prefix_layers)

    def answer(self, rows: Rows, options: Mapping[str, Any]) -> Tensor:
        """Decode every row with its edit in context; see `Editor.answer`."""
        with self._reading():
            if self._in_prompt():
                return self._answer_in_prompt(rows, options)
            return self._answer_after_prefix(rows, options)

    def detach(self) -> None:
        """Remove the adapter's hooks from the base."""
        if self._overlay is not None:
            self._overlay.detach()

    def _reading(self) -> contextlib.AbstractContextManager[None]:
        return self._overlay.active() if self._overlay is not None else contextlib.nullcontext()

    def _in_prompt(self) -> bool:
        if self.config.placement != "auto":
            return self.config.placement == "prompt"
        # Windowed layers forget a prefix; and an instruct model listens to the user's turn.
        layer_types = getattr(self._base.config, "layer_types", None) or ["full_attention"]
        return self._tokenizer.chat_template is not None or set(layer_types) != {"full_attention"}

    def _context(self, rows: Rows) -> list[str]:
        return [render_edits([(edit.prompt, edit.target)], self.config.template) for edit in rows.edits]

    def _answer_after_prefix(self, rows: Rows, options: Mapping[str, Any]) -> Tensor:
        prefixes = [self._tokenizer(text, add_special_tokens=False)["input_ids"] for text in self._context(rows)]
        cache, mask = self._prefixes.batch(prefixes, rows.input_ids.device)
        expansion = expansion_of(self._base, options)
        if expansion > 1:
            cache.batch_repeat_interleave(expansion)
        sequences: Tensor = self._base.generate(
            input_ids=rows.input_ids,
            attention_mask=torch.cat([mask, rows.attention_mask], dim=1),
            past_key_values=cache,
            **options,
        )
        return sequences

    def _prefix_layers(self, ids: Tensor) -> Layers:
        return prefix_layers(self._base, ids)

    def _answer_in_prompt(self, rows: Rows, options: Mapping[str, Any]) -> Tensor:
        prompts = [
            self._with_edit(ids[mask.bool()], query, context)
            for ids, mask, query, context in zip(
                rows.input_ids, rows.attention_mask, rows.queries, self._context(rows), strict=True
            )
        ]
        pad_id = pad_id_of(self._base, self._tokenizer)
        input_ids, mask = pad_left(prompts, pad_id)
        options = with_own_prompt(dict(options), rows.input_ids, input_ids.shape[1])
        options["max_new_tokens"] = new_token_limit(self._base, rows.input_ids.shape[1], options)
        options.pop("max_length", None)
        output = self._base.generate(input_ids=input_ids, attention_mask=mask, **options)
        own = rows.input_ids.repeat_interleave(returns_of(self._base, options), dim=0)
        return pad_right(list(torch.cat([own, output[:, input_ids.shape[1] :]], dim=1)), pad_id)

    def _with_edit(self, ids: Tensor, query: str, context: str) -> Tensor:
        """Write the edit right before the query, in the text of the prompt, and encode it again."""
        text = self._tokenizer.decode(ids, skip_special_tokens=False)
        position = max(text.rfind(query), 0)
        changed = text[:position] + context + text[position:]
        encoded = self._tokenizer(changed, add_special_tokens=False)["input_ids"]
        return torch.tensor(encoded, dtype=torch.int64, device=ids.device)
