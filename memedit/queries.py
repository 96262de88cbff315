"""Find the query inside a prompt: all of it, its end, or the last user turn of a chat."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from memedit.editors.chat import chat_markers, user_turns
from memedit.scope.words import SENTENCE_END

Query = str | Sequence[Mapping[str, Any]]
"""What a row may be routed by: a text, or a chat as messages with `role` and `content`."""

LONGEST = 1_000
"""Characters of a text up to which it is taken for one query; of longer ones the end is tried first."""

_LABEL = re.compile(r"^\w{1,12}:\s+")
_SHORTEST = 12
"""Characters under which the last line of a long prompt is a cue ("Answer:") and no question."""


def queries_of(input_ids: Tensor, attention_mask: Tensor, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The query of each row: the last user turn of a chat, or all of the text.

    Args:
        input_ids: Prompt ids, int64, shape (n, length).
        attention_mask: 1 for real tokens; shape (n, length).
        tokenizer: The base's tokenizer; where it has a chat template, rows that were rendered with
            it give their last user turn.

    Returns:
        n strings; a row without any text gives "".
    """
    return [turns[-1] for turns in _turns_of_ids(input_ids, attention_mask, tokenizer)]


def texts_of_ids(
    input_ids: Tensor, attention_mask: Tensor, tokenizer: PreTrainedTokenizerBase, context_turns: int = 0
) -> list[tuple[str, ...]]:
    """The texts by which each row is routed, the most telling first.

    Args:
        input_ids: Prompt ids, int64, shape (n, length).
        attention_mask: 1 for real tokens; shape (n, length).
        tokenizer: As for `queries_of`.
        context_turns: How many user turns before the last one may help to understand it.

    Returns:
        For each row one text or more: the query; before it the end of the query, if it is long; and
        after it the query behind its preceding turns.
    """
    return [_texts(turns, context_turns) for turns in _turns_of_ids(input_ids, attention_mask, tokenizer)]


def texts_of_query(query: Query, context_turns: int = 0) -> tuple[str, ...]:
    """The texts by which a query of the caller's is routed, the most telling first.

    Args:
        query: A text, which is taken as it is, or a chat.
        context_turns: As for `texts_of_ids`.
    """
    if isinstance(query, str):
        return (query,)
    turns = [_words(message.get("content")) for message in query if message.get("role") == "user"]
    return _texts(turns or [""], context_turns)


def texts_of_prompt(prompt: str) -> tuple[str, ...]:
    """The texts by which a prompt that is no chat is routed, the most telling first."""
    return _texts([prompt.strip()], 0)


def check_queries(queries: Sequence[Query], rows: int) -> list[Query]:
    """Check queries given by the caller.

    Raises:
        ValueError: There is not exactly one string or chat for each row.
    """
    if isinstance(queries, str) or len(queries) != rows or not all(map(_is_query, queries)):
        raise ValueError(f"queries must be {rows} strings or chats, one for each row, got {queries!r}")
    return list(queries)


def _is_query(query: object) -> bool:
    is_chat = isinstance(query, Sequence) and all(isinstance(message, Mapping) for message in query)
    return isinstance(query, str) or is_chat


def _words(content: object) -> str:
    """The text of a message, whose content is a string or a list of parts."""
    if isinstance(content, str):
        return content.strip()
    parts = content if isinstance(content, Sequence) else ()
    return "\n".join(part["text"] for part in parts if part.get("type") == "text").strip()


def _texts(turns: Sequence[str], context_turns: int) -> tuple[str, ...]:
    last = turns[-1]
    query = _end(last) if len(last) > LONGEST else last
    before = turns[:-1][-context_turns:] if context_turns else ()
    joined = "\n".join([*before, query])
    return tuple(dict.fromkeys((query, last, joined)))


def _end(text: str) -> str:
    """The question a long text ends with: its last line or sentence of more than a few characters."""
    lines = [line.strip() for line in text.splitlines()]
    line = next((line for line in reversed(lines) if len(line) >= _SHORTEST), text)
    if len(line) > LONGEST:
        sentences = SENTENCE_END.split(line)
        line = next((part for part in reversed(sentences) if len(part) >= _SHORTEST), line)
    return _LABEL.sub("", line)[-LONGEST:].strip()


def _turns_of_ids(input_ids: Tensor, attention_mask: Tensor, tokenizer: PreTrainedTokenizerBase) -> list[list[str]]:
    """The user turns of each row, at least one; a prompt that is no chat is one turn."""
    # Both come from the device once, and not row by row.
    kept = [ids[mask] for ids, mask in zip(input_ids.cpu(), attention_mask.cpu().bool(), strict=True)]
    may_be_chats = chat_markers(tokenizer) is not None
    rows = []
    for ids in kept:
        text = tokenizer.decode(ids, skip_special_tokens=False) if may_be_chats else ""
        turns = [text[turn].strip() for turn in user_turns(text, tokenizer)]
        rows.append(turns if any(turns[-1:]) else [tokenizer.decode(ids, skip_special_tokens=True).strip()])
    return rows
