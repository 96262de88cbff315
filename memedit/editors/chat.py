"""Where a user's words stand in a chat that a base's template has rendered."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import takewhile

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

_FIRST, _ANSWER, _LAST = "first-question-7f3a", "first-answer-7f3a", "last-question-7f3a"


def chat_markers(tokenizer: PreTrainedTokenizerBase) -> tuple[str, str] | None:
    """What stands before and after a user's words in a rendered chat.

    None without a template, and with one that renders no plain chat of two questions.
    """
    if tokenizer.chat_template is None or not isinstance(tokenizer.chat_template, str):
        return None
    return _markers(tokenizer, tokenizer.chat_template)


def user_turns(text: str, tokenizer: PreTrainedTokenizerBase) -> list[slice]:
    """Where the words of each user turn stand in a rendered chat; none in a text without its markers."""
    opening, closing = chat_markers(tokenizer) or ("", "")
    if not opening.strip():
        return []
    starts = [found.end() for found in re.finditer(re.escape(opening), text)]
    bounds = [*(start - len(opening) for start in starts[1:]), len(text)]
    closing = closing.rstrip()
    turns = []
    for start, bound in zip(starts, bounds, strict=False):  # without a turn there is one bound too many
        end = text.find(closing, start, bound) if closing else -1
        turns.append(slice(start, end if end >= 0 else bound))
    return turns


@lru_cache(maxsize=32)
def _markers(tokenizer: PreTrainedTokenizerBase, _template: str) -> tuple[str, str] | None:
    """Render a chat with known words and look at what surrounds them."""
    turns = [
        {"role": "user", "content": _FIRST},
        {"role": "assistant", "content": _ANSWER},
        {"role": "user", "content": _LAST},
    ]
    try:
        text = str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    except TemplateError:
        # A template may ask for tools or a system prompt; the base never minds, so neither may routing.
        return None
    before_first, _, rest = text.partition(_FIRST)
    after_first, _, rest = rest.partition(_ANSWER)
    before_last, _, after_last = rest.partition(_LAST)
    # Only what both turns share belongs to a user turn: the first may carry a system prompt.
    opening = _common_start(before_first[::-1], before_last[::-1])[::-1]
    closing = _common_start(after_first, after_last)
    return opening, closing


def _common_start(first: str, second: str) -> str:
    return "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
