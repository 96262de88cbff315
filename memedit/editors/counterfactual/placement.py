"""Where an edit goes beside a query: a cached prefix, before the query in the text, or before all ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from memedit.editors.base import Rows
from memedit.editors.chat import user_turns
from memedit.editors.options import setting


def forgets_a_prefix(base: Any) -> bool:
    """Whether some layers see a window only, out of which a prefix falls behind a long prompt."""
    layer_types = getattr(base.config, "layer_types", None)
    if layer_types:
        return set(layer_types) != {"full_attention"}
    return getattr(base.config, "sliding_window", None) is not None


def grows_a_cache(base: Any, options: Mapping[str, Any]) -> bool:
    """Whether decoding with these options can begin with a key-value cache that holds an edit.

    It cannot without a cache, with a cache of the caller's own kind (static, offloaded, quantised),
    in a model whose state is no such cache, or beside an assistant model, which would not see it.
    """
    supported = getattr(base, "_supports_default_dynamic_cache", None)
    return (
        setting(base, options, "use_cache") is not False
        and setting(base, options, "cache_implementation") in (None, "hybrid")
        and options.get("assistant_model") is None
        and (supported is None or supported())
        and not getattr(base, "_is_stateful", False)
    )


def before_query(tokenizer: PreTrainedTokenizerBase, ids: Tensor, query: str, context: str) -> Tensor:
    """Write an edit right before the query, in the text of a prompt, and encode it again.

    Args:
        tokenizer: The base's tokenizer.
        ids: The prompt, int64, shape (length,), without padding.
        query: What the row was routed by; of a query made of several turns, the last one is found. Of a chat the edit
            goes into the last user turn in any case.
        context: The edit as text.

    Returns:
        The new prompt, int64, shape (longer,).
    """
    text = tokenizer.decode(ids, skip_special_tokens=False)
    # Whatever else a chat repeats of the query, such as a call of a tool, is not the user's.
    turns = user_turns(text, tokenizer)
    within = turns[-1] if turns else slice(0, len(text))
    lines = query.strip().split("\n")
    endings = ("\n".join(lines[first:]) for first in range(len(lines)))
    places = (text.rfind(ending, within.start, within.stop) for ending in endings if ending)
    position = next((place for place in places if place >= 0), within.start if turns else None)
    if position is None:
        return _after_opening(tokenizer, ids, tokenizer(context, add_special_tokens=False)["input_ids"])
    encoded = tokenizer(text[:position] + context + text[position:], add_special_tokens=False)["input_ids"]
    return torch.tensor(encoded, dtype=torch.int64, device=ids.device)


def before_everything(
    base: Any, tokenizer: PreTrainedTokenizerBase, rows: Rows, edits: Sequence[Sequence[int]]
) -> list[Tensor]:
    """Put an edit before each row's own ids or embeddings, none of which change.

    Args:
        base: The base model, whose embedding matrix embeds edits where the caller gave embeddings.
        tokenizer: The base's tokenizer.
        rows: n rows.
        edits: The ids of each row's edit.

    Returns:
        n prompts without padding: ids, int64, shape (length,), or embeddings, shape (length, size).
    """
    masks = rows.attention_mask.bool()
    if rows.inputs_embeds is not None:
        embed = base.get_input_embeddings()
        embedded = [embed(torch.tensor(edit, device=rows.inputs_embeds.device)) for edit in edits]
        own = [row[mask] for row, mask in zip(rows.inputs_embeds, masks, strict=True)]
        return [torch.cat([edit.to(row), row]) for edit, row in zip(embedded, own, strict=True)]
    prompts = [ids[mask] for ids, mask in zip(rows.input_ids, masks, strict=True)]
    if rows.decoder_ids is not None:
        return [_after_opening(tokenizer, ids, edit) for ids, edit in zip(prompts, edits, strict=True)]
    # As with a cached prefix, the edit comes before the prompt's first token too.
    return [torch.cat([ids.new_tensor(edit), ids]) for ids, edit in zip(prompts, edits, strict=True)]


def _after_opening(tokenizer: PreTrainedTokenizerBase, ids: Tensor, edit: Sequence[int]) -> Tensor:
    """The edit behind the special tokens a prompt opens with, and before its first word."""
    special = set(tokenizer.all_special_ids)
    opening = next((place for place, token in enumerate(ids.tolist()) if token not in special), 0)
    return torch.cat([ids[:opening], ids.new_tensor(list(edit)), ids[opening:]])
