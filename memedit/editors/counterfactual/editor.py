"""The counterfactual editor: a model that reads the edit beside the query (SERAC, Mitchell et al. 2022).

Two of its three kinds live here, since both let the base itself do the reading: the frozen base,
and the base under a LoRA overlay. The third, a separate model, is in `separate.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from memedit.editors.base import Rows
from memedit.editors.counterfactual.config import CounterfactualConfig
from memedit.editors.counterfactual.context import render_edits
from memedit.editors.counterfactual.lora import LoraOverlay
from memedit.editors.counterfactual.placement import before_everything, before_query, forgets_a_prefix, grows_a_cache
from memedit.editors.counterfactual.prefix import Layers, PrefixCache, prefix_layers
from memedit.editors.counterfactual.saving import save_counterfactual
from memedit.editors.counterfactual.whole_prompt import decode_whole
from memedit.editors.options import expansion_of, has_room, with_room
from memedit.editors.repetition import BESIDE_A_PREFIX, with_own_repetition
from memedit.edits import Edit


class CounterfactualEditor:
    """The base answers with the edit in its context.

    Args:
        base: The frozen base model; nothing of it is changed.
        tokenizer: The base's tokenizer.
        config: Where and how the edit is written.
        overlay: A LoRA adapter on the base that is active while this editor decodes, or None.
        folder: The checkpoint it was loaded from, if any.
    """

    def __init__(
        self,
        base: Any,
        tokenizer: PreTrainedTokenizerBase,
        config: CounterfactualConfig | None = None,
        overlay: LoraOverlay | None = None,
        folder: Path | None = None,
    ) -> None:
        self.config = config or CounterfactualConfig()
        self.folder = folder
        self._base = base
        self._tokenizer = tokenizer
        self._overlay = overlay
        self._prefixes = PrefixCache(self._prefix_layers)
        self._encoded = lru_cache(maxsize=1024)(self._encode)

    def answer(self, rows: Rows, options: Mapping[str, Any]) -> Tensor:
        """Decode every row with its edit in context; see `Editor.answer`."""
        with self._reading():
            if rows.inputs_embeds is None and rows.decoder_ids is None:
                if self._in_prompt():
                    return decode_whole(self._base, self._tokenizer, rows, self._written_prompts(rows), options)
                if grows_a_cache(self._base, options):
                    return self._after_prefixes(rows.input_ids, rows.attention_mask, rows.edits, options)
            prompts = before_everything(self._base, self._tokenizer, rows, [self._ids(edit) for edit in rows.edits])
            return decode_whole(self._base, self._tokenizer, rows, prompts, options)

    def fuses(self, length: int, edits: Sequence[Edit | None], options: Mapping[str, Any]) -> bool:
        """Whether edits go into a cached prefix, which a row may have or not; see `FusingEditor.fuses`."""
        if getattr(self._base.config, "is_encoder_decoder", False) or self._in_prompt():
            return False
        longest = max(len(self._ids(edit)) for edit in edits)
        # An edit that takes positions away may shorten its own answer, and nobody else's.
        return grows_a_cache(self._base, options) and has_room(self._base, options, length, length + longest)

    def answer_fused(
        self, input_ids: Tensor, attention_mask: Tensor, edits: Sequence[Edit | None], options: Mapping[str, Any]
    ) -> Tensor:
        """Decode rows with and without an edit in one pass; see `FusingEditor.answer_fused`."""
        with self._reading([edit is not None for edit in edits]):
            return self._after_prefixes(input_ids, attention_mask, edits, options)

    def detach(self) -> None:
        """Remove the adapter's hooks from the base."""
        if self._overlay is not None:
            self._overlay.detach()

    def save_pretrained(self, folder: Path) -> None:
        """Write a checkpoint into an empty folder.

        Raises:
            CheckpointError: The weights are not where they were loaded from.
        """
        save_counterfactual(self.config, self.folder, folder)

    def _reading(self, rows: Sequence[bool] | None = None) -> contextlib.AbstractContextManager[None]:
        return self._overlay.active(rows) if self._overlay is not None else contextlib.nullcontext()

    def _in_prompt(self) -> bool:
        if self.config.placement != "auto":
            return self.config.placement == "prompt"
        # An instruct model listens to the user's turn.
        return self._tokenizer.chat_template is not None or forgets_a_prefix(self._base)

    def _context(self, edit: Edit) -> str:
        return render_edits([(edit.prompt, edit.target)], self.config.template)

    def _ids(self, edit: Edit | None) -> list[int]:
        if edit is None:
            return []
        return self._encoded(self._context(edit))

    def _encode(self, context: str) -> list[int]:
        ids: list[int] = self._tokenizer(context, add_special_tokens=False)["input_ids"]
        return ids

    def _after_prefixes(
        self, input_ids: Tensor, attention_mask: Tensor, edits: Sequence[Edit | None], options: Mapping[str, Any]
    ) -> Tensor:
        prefixes = [self._ids(edit) for edit in edits]
        cache, mask = self._prefixes.batch(prefixes, input_ids.device, self._base.dtype)
        expansion = expansion_of(self._base, options)
        if expansion > 1:
            cache.batch_repeat_interleave(expansion)
        length = input_ids.shape[1]
        options = with_room(self._base, options, length, length + mask.shape[1])
        options = with_own_repetition(self._base, options, input_ids, attention_mask, BESIDE_A_PREFIX)
        sequences: Tensor = self._base.generate(
            input_ids=input_ids,
            attention_mask=torch.cat([mask, attention_mask], dim=1),
            past_key_values=cache,
            **options,
        )
        return sequences

    def _prefix_layers(self, ids: Tensor) -> Layers:
        # Whatever the request's rows are, an edit is read by the adapter.
        with self._reading():
            return prefix_layers(self._base, ids)

    def _written_prompts(self, rows: Rows) -> list[Tensor]:
        return [
            before_query(self._tokenizer, ids[mask.bool()], query, self._context(edit))
            for ids, mask, query, edit in zip(
                rows.input_ids, rows.attention_mask, rows.queries, rows.edits, strict=True
            )
        ]
