"""Read what a caller asked of `generate`, wherever it was said: keyword, config or model default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedTokenizerBase


def setting(base: Any, options: Mapping[str, Any], name: str) -> Any:
    """The value of one generation setting: keyword first, then the config given, then the base's."""
    if options.get(name) is not None:
        return options[name]
    config = options.get("generation_config")
    if config is not None and getattr(config, name, None) is not None:
        return getattr(config, name)
    return getattr(base.generation_config, name, None)


def returns_of(base: Any, options: Mapping[str, Any]) -> int:
    """How many sequences are returned for each row."""
    return int(setting(base, options, "num_return_sequences") or 1)


def expansion_of(base: Any, options: Mapping[str, Any]) -> int:
    """How many rows decoding makes of each row: beams, or returned samples."""
    return max(int(setting(base, options, "num_beams") or 1), returns_of(base, options))


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


def pad_id_of(base: Any, tokenizer: PreTrainedTokenizerBase | None) -> int:
    """The id that fills the right end of shorter rows."""
    candidates = [base.generation_config.pad_token_id, getattr(tokenizer, "pad_token_id", None)]
    eos = base.generation_config.eos_token_id
    candidates.append(eos[0] if isinstance(eos, list) else eos)
    return next((int(c) for c in candidates if c is not None), 0)
