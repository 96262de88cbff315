"""Rules against repetition look at the caller's own prompt: the words of an edit are there to be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from transformers import (
    EncoderNoRepeatNGramLogitsProcessor,
    EncoderRepetitionPenaltyLogitsProcessor,
    LogitsProcessor,
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
)

from memedit.editors.options import expansion_of, setting, with_settings

BESIDE_A_PREFIX = ("repetition_penalty",)
"""Rules that mistake the mask of a cached prefix for the padding of the prompt."""
IN_AN_ENCODER = ("encoder_repetition_penalty", "encoder_no_repeat_ngram_size")
"""Rules that read what an encoder reads."""
IN_A_PROMPT = (*BESIDE_A_PREFIX, "no_repeat_ngram_size", *IN_AN_ENCODER)
"""Rules that read all of the prompt that is decoded."""

_OFF = {
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_repetition_penalty": 1.0,
    "encoder_no_repeat_ngram_size": 0,
}


def with_own_repetition(
    base: Any, options: Mapping[str, Any], ids: Tensor, mask: Tensor, rules: tuple[str, ...]
) -> dict[str, Any]:
    """Turn rules of generation settings into logits processors that know the caller's prompt.

    Args:
        base: The base model.
        options: Arguments for `generate`; a changed copy is returned.
        ids: The caller's own ids, int64, shape (n, length); (n, 0) if there are only embeddings.
        mask: Their mask.
        rules: Settings among `IN_A_PROMPT`; those that are off stay off.
    """
    active = {name: value for name in rules if (value := setting(base, options, name)) not in (None, _OFF[name])}
    if not ids.shape[1]:
        active = {name: value for name, value in active.items() if name not in IN_AN_ENCODER}
    if not active:
        return dict(options)
    expansion = expansion_of(base, options)
    processors = [_processor(name, value, ids, mask, expansion) for name, value in active.items()]
    changed = with_settings(options, **{name: _OFF[name] for name in active})
    return changed | {"logits_processor": LogitsProcessorList([*processors, *(changed.get("logits_processor") or ())])}


def _processor(name: str, value: Any, ids: Tensor, mask: Tensor, expansion: int) -> LogitsProcessor:
    if name == "no_repeat_ngram_size":
        return NoRepeatNGramLogitsProcessor(value)
    if name == "encoder_no_repeat_ngram_size":
        return EncoderNoRepeatNGramLogitsProcessor(value, ids)
    if name == "encoder_repetition_penalty":
        return EncoderRepetitionPenaltyLogitsProcessor(penalty=value, encoder_input_ids=ids)
    # As the base does: padding on the left is no word that was said.
    padding = mask.ne(0).int().argmax(dim=1).repeat_interleave(expansion, dim=0) if ids.shape[1] else None
    return RepetitionPenaltyLogitsProcessor(value, prompt_ignore_length=padding)
