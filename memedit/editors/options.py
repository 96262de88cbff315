"""Read what a caller asked of `generate`, wherever it was said: keyword, config or model default."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from memedit.errors import UnsupportedCallError

logger = logging.getLogger(__name__)


def setting(base: Any, options: Mapping[str, Any], name: str) -> Any:
    """The value of one generation setting: keyword first, then the config given, then the base's.

    None as a keyword takes a setting back; in a config it leaves it to the base.
    """
    if name in options:
        return options[name]
    config = options.get("generation_config")
    if config is not None and getattr(config, name, None) is not None:
        return getattr(config, name)
    return getattr(base.generation_config, name, None)


def with_settings(options: Mapping[str, Any], **values: Any) -> dict[str, Any]:
    """A copy of `options` in which generation settings have other values.

    They are written where the caller writes settings: into a copy of the config, if one was given,
    since transformers warns about settings beside a config.
    """
    changed = dict(options)
    config = changed.get("generation_config")
    if config is None:
        return changed | values
    config = copy.deepcopy(config)
    for name, value in values.items():
        setattr(config, name, value)
        changed.pop(name, None)
    return changed | {"generation_config": config}


def beams_of(base: Any, options: Mapping[str, Any]) -> int:
    """How many beams are searched; 1 for none."""
    return int(setting(base, options, "num_beams") or 1)


def returns_of(base: Any, options: Mapping[str, Any]) -> int:
    """How many sequences are returned for each row."""
    return int(setting(base, options, "num_return_sequences") or 1)


def expansion_of(base: Any, options: Mapping[str, Any]) -> int:
    """How many rows decoding makes of each row: beams, or returned samples."""
    return max(beams_of(base, options), returns_of(base, options))


def batches_of(base: Any, options: Mapping[str, Any]) -> int:
    """How many batch ids a `prefix_allowed_tokens_fn` counts for each row: its returned samples, but not its beams."""
    return 1 if beams_of(base, options) > 1 else returns_of(base, options)


def options_of_rows(base: Any, options: Mapping[str, Any], count: int, rows: Sequence[int]) -> dict[str, Any]:
    """`options` for some rows of a request: values that the caller gave for each row are those of these rows.

    Args:
        base: The base model.
        options: For all rows.
        count: How many rows these are.
        rows: Numbers of the rows that are wanted.
    """
    if len(rows) == count:
        return dict(options)
    chosen = {name: _of_rows(base, name, value, count, rows) for name, value in options.items()}
    allowed = chosen.get("prefix_allowed_tokens_fn")
    if allowed is not None:
        each = batches_of(base, options)

        def allowed_by_row(batch_id: int, ids: Tensor) -> Any:
            return allowed(rows[batch_id // each] * each + batch_id % each, ids)

        chosen["prefix_allowed_tokens_fn"] = allowed_by_row
    return chosen


def _of_rows(base: Any, name: str, value: Any, count: int, rows: Sequence[int]) -> Any:
    if name == "decoder_start_token_id":
        is_per_row = isinstance(value, list | Tensor) and torch.as_tensor(value).ndim > 0
        return [int(value[row]) for row in rows] if is_per_row else value
    # Settings may be tensors too (several end tokens): those are no rows.
    is_setting = hasattr(base.generation_config, name)
    if isinstance(value, Tensor) and not is_setting and value.ndim and len(value) == count:
        return value[list(rows)]
    return value


def new_token_limit(base: Any, prompt_length: int, options: Mapping[str, Any]) -> int:
    """How many new tokens may follow a prompt of `prompt_length` tokens.

    `max_new_tokens` wins over `max_length`, as in transformers, whose default of twenty new
    tokens applies where neither is set.
    """
    if (new := setting(base, options, "max_new_tokens")) is not None:
        return int(new)
    whole = setting(base, options, "max_length")
    return 20 if whole is None else max(0, int(whole) - prompt_length)


def has_room(base: Any, options: Mapping[str, Any], own_length: int, read_length: int) -> bool:
    """Whether an edit beside the prompt leaves the positions that the caller's call may need.

    Models with learned positions fail behind the last one, though they often end before it; those with rotary ones
    do not, and a call that goes beyond without an edit may do so with one.
    """
    longest = getattr(base.config, "max_position_embeddings", None)
    limit = new_token_limit(base, own_length, options)
    if longest is None or read_length + limit <= longest:
        return True
    return own_length + limit > longest and getattr(base.config, "rope_parameters", None) is not None


def with_room(base: Any, options: Mapping[str, Any], own_length: int, read_length: int) -> dict[str, Any]:
    """`options` with as many new tokens as positions are left beside an edit.

    Raises:
        UnsupportedCallError: There are none.
    """
    if has_room(base, options, own_length, read_length):
        return dict(options)
    room = int(base.config.max_position_embeddings) - read_length
    if room < 1:
        raise UnsupportedCallError(
            f"the prompt and its edit have {read_length} tokens together, and {type(base).__name__} has "
            f"{base.config.max_position_embeddings} positions; shorten the prompt"
        )
    logger.warning("an edit beside a prompt of %d tokens leaves room for %d new ones only", own_length, room)
    return with_settings(options, max_new_tokens=room, max_length=None)


def pad_id_of(
    base: Any, tokenizer: PreTrainedTokenizerBase | None, options: Mapping[str, Any] = MappingProxyType({})
) -> int:
    """The id that fills the right end of shorter rows: as the base does it with these options."""
    pad = setting(base, options, "pad_token_id")
    ends = setting(base, options, "eos_token_id")
    first_end = None if ends is None else torch.as_tensor(ends).reshape(-1)[0]
    candidates = (pad, first_end, getattr(tokenizer, "pad_token_id", None))
    return next((int(candidate) for candidate in candidates if candidate is not None), 0)
