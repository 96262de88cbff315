"""Read what a caller asked of `generate`, wherever it was said: keyword, config or model default."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedTokenizerBase

from memedit.errors import UnsupportedCallError

logger = logging.getLogger(__name__)


def setting(base: Any, options: Mapping[str, Any], name: str) -> Any:
    """The value of one generation setting: keyword first, then the config given, then the base's."""
    if options.get(name) is not None:
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


def returns_of(base: Any, options: Mapping[str, Any]) -> int:
    """How many sequences are returned for each row."""
    return int(setting(base, options, "num_return_sequences") or 1)


def expansion_of(base: Any, options: Mapping[str, Any]) -> int:
    """How many rows decoding makes of each row: beams, or returned samples."""
    return max(int(setting(base, options, "num_beams") or 1), returns_of(base, options))


def batches_of(base: Any, options: Mapping[str, Any]) -> int:
    """How many batch ids a `prefix_allowed_tokens_fn` counts for each row: its returned samples, but not its beams."""
    return 1 if int(setting(base, options, "num_beams") or 1) > 1 else returns_of(base, options)


def new_token_limit(base: Any, prompt_length: int, options: Mapping[str, Any]) -> int:
    """How many new tokens may follow a prompt of `prompt_length` tokens.

    `max_new_tokens` wins over `max_length`, as in transformers, whose default of twenty new
    tokens applies where neither is set.
    """
    config = options.get("generation_config")
    for source in (options, getattr(config, "__dict__", {}), base.generation_config.__dict__):
        if source.get("max_new_tokens") is not None:
            return int(source["max_new_tokens"])
        if source.get("max_length") is not None:
            return max(0, int(source["max_length"]) - prompt_length)
    return 20


def has_room(base: Any, options: Mapping[str, Any], own_length: int, read_length: int) -> bool:
    """Whether an edit beside the prompt leaves the positions that the caller's call needs.

    Models with learned positions fail behind the last one; a call that reaches it without an edit is
    the caller's own affair.
    """
    longest = getattr(base.config, "max_position_embeddings", None)
    limit = new_token_limit(base, own_length, options)
    return longest is None or read_length + limit <= longest or own_length + limit > longest


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


def pad_id_of(base: Any, tokenizer: PreTrainedTokenizerBase | None) -> int:
    """The id that fills the right end of shorter rows."""
    candidates = [base.generation_config.pad_token_id, getattr(tokenizer, "pad_token_id", None)]
    eos = base.generation_config.eos_token_id
    candidates.append(eos[0] if isinstance(eos, list) else eos)
    return next((int(c) for c in candidates if c is not None), 0)
