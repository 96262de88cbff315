from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from memedit.checkpoints import shipped
from memedit.queries import chat_markers, queries_of

TEMPLATES = {
    "chatml": (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
    "inst": (
        "{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
        "{% else %} {{ m['content'] }} {% endif %}{% endfor %}"
    ),
    "default system": (
        "{% if messages[0]['role'] != 'system' %}<sys>Be kind.</sys>\n{% endif %}"
        "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}</{{ m['role'] }}>\n{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    ),
}
TOKENIZER = AutoTokenizer.from_pretrained(shipped("mini"))


def ask(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """The query found in one prompt."""
    inputs = tokenizer(text, return_tensors="pt")
    return queries_of(inputs["input_ids"], inputs["attention_mask"], tokenizer)[0]


def with_template(name: str) -> PreTrainedTokenizerBase:
    """Mini's tokenizer with another chat template."""
    tokenizer = AutoTokenizer.from_pretrained(shipped("mini"))
    tokenizer.chat_template = TEMPLATES[name]
    return tokenizer


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_query_of_a_chat_is_its_last_user_turn(name: str) -> None:
    """Whatever the template, earlier turns, system prompt and markers are not part of the query."""
    tokenizer = with_template(name)
    turns = [
        {"role": "user", "content": "Who runs Ford?"},
        {"role": "assistant", "content": "Henry."},
        {"role": "user", "content": "And who runs Acme, the firm in Lyon?"},
    ]
    for chat in (turns, turns[2:]):
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        assert ask(tokenizer, text) == "And who runs Acme, the firm in Lyon?"


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1).filter(str.strip))
def test_a_plain_prompt_is_its_own_query(text: str) -> None:
    """A prompt that is no rendered chat is routed as a whole, in any script."""
    if "User: " not in text:
        assert ask(TOKENIZER, text) == text.strip()


def test_padding_is_no_part_of_the_query() -> None:
    """Left and right padding, with a pad token that is the end token, leave the text alone."""
    for side in ("left", "right"):
        inputs = TOKENIZER(["Hi", "Who founded Microsoft?"], return_tensors="pt", padding=True, padding_side=side)
        found = queries_of(inputs["input_ids"], inputs["attention_mask"], TOKENIZER)
        assert found == ["Hi", "Who founded Microsoft?"]


def test_a_tokenizer_without_a_template_has_no_markers() -> None:
    """Base models without a chat template are routed by the whole prompt."""
    tokenizer = AutoTokenizer.from_pretrained(shipped("mini"))
    tokenizer.chat_template = None
    assert chat_markers(tokenizer) is None
