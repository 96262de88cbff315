"""Find the query inside a prompt: all of it, or the last user turn of a chat."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import takewhile

from torch import Tensor
from transformers import PreTrainedTokenizerBase

_FIRST, _ANSWER, _LAST = "first-question-7f3a", "first-answer-7f3a", "last-question-7f3a"


def queries_of(input_ids: Tensor, attention_mask: Tensor, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The text by which each row is routed.

    Args:
        input_ids: Prompt ids, int64, shape (n, length).
        attention_mask: 1 for real tokens; shape (n, length).
        tokenizer: The base's tokenizer; where it has a chat template, rows that were rendered with
            it give their last user turn.

    Returns:
        n strings; a row without any text gives "".
    """
    kept = [ids[mask.bool()] for ids, mask in zip(input_ids, attention_mask, strict=True)]
    markers = chat_markers(tokenizer)
    if markers is None:
        return [text.strip() for text in tokenizer.batch_decode(kept, skip_special_tokens=True)]
    raw = tokenizer.batch_decode(kept, skip_special_tokens=False)
    plain = tokenizer.batch_decode(kept, skip_special_tokens=True)
    return [_last_turn(text, *markers) or fallback.strip() for text, fallback in zip(raw, plain, strict=True)]


def chat_markers(tokenizer: PreTrainedTokenizerBase) -> tuple[str, str] | None:
    """What stands before and after a user's words in a rendered chat; None without a template."""
    if tokenizer.chat_template is None or not isinstance(tokenizer.chat_template, str):
        return None
    return _markers(tokenizer, tokenizer.chat_template)


@lru_cache(maxsize=32)
def _markers(tokenizer: PreTrainedTokenizerBase, _template: str) -> tuple[str, str]:
    """Render a chat with known words and look at what surrounds them."""
    turns = [
        {"role": "user", "content": _FIRST},
        {"role": "assistant", "content": _ANSWER},
        {"role": "user", "content": _LAST},
    ]
    text = str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    before_first, rest = text.split(_FIRST)
    after_first, rest = rest.split(_ANSWER)
    before_last, after_last = rest.split(_LAST)
    # Only what both turns share belongs to a user turn: the first may carry a system prompt.
    opening = _common_start(before_first[::-1], before_last[::-1])[::-1]
    closing = _common_start(after_first, after_last)
    return opening, closing


def _common_start(first: str, second: str) -> str:
    return "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


def _last_turn(text: str, opening: str, closing: str) -> str | None:
    if not opening.strip():
        return None
    start = text.rfind(opening)
    if start < 0:
        return None
    turn = text[start + len(opening) :]
    end = turn.rfind(closing.rstrip()) if closing.strip() else -1
    return (turn[:end] if end >= 0 else turn).strip()


def check_queries(queries: Sequence[str], rows: int) -> list[str]:
    """Check queries given by the caller.

    Raises:
        ValueError: There is not exactly one string for each row.
    """
    if isinstance(queries, str) or len(queries) != rows or not all(isinstance(q, str) for q in queries):
        raise ValueError(f"queries must be {rows} strings, one for each row, got {queries!r}")
    return list(queries)
