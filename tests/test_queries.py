from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from memedit.checkpoints import shipped
from memedit.editors.chat import chat_markers
from memedit.queries import LONGEST, queries_of, texts_of_ids, texts_of_query

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


def test_a_template_that_refuses_plain_chats_is_no_obstacle() -> None:
    """A template that raises leaves the prompt as it stands: the base would not even look at the template."""
    tokenizer = AutoTokenizer.from_pretrained(shipped("mini"))
    tokenizer.chat_template = "{{ raise_exception('expected tools') }}"
    assert chat_markers(tokenizer) is None
    assert ask(tokenizer, "Who runs Acme?") == "Who runs Acme?"


def test_a_tokenizer_without_a_template_has_no_markers() -> None:
    """Base models without a chat template are routed by the whole prompt."""
    tokenizer = AutoTokenizer.from_pretrained(shipped("mini"))
    tokenizer.chat_template = None
    assert chat_markers(tokenizer) is None


FOLLOW_UP = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Who runs Ford?"},
    {"role": "assistant", "content": "Henry."},
    {"role": "user", "content": "And Acme?"},
    {"role": "assistant", "content": "Dana."},
    {"role": "user", "content": "And who is her successor?"},
]


@pytest.mark.parametrize("name", ["chatml", "default system"])
@pytest.mark.parametrize("turns", [0, 1, 2, 7])
def test_ids_and_messages_give_the_same_texts(name: str, turns: int) -> None:
    """The turns before the last one are found in a rendered chat as in its messages."""
    tokenizer = with_template(name)
    inputs = tokenizer(
        tokenizer.apply_chat_template(FOLLOW_UP, tokenize=False, add_generation_prompt=True), return_tensors="pt"
    )
    found = texts_of_ids(inputs["input_ids"], inputs["attention_mask"], tokenizer, turns)[0]
    assert found == texts_of_query(FOLLOW_UP, turns)
    asked = ("Who runs Ford?", "And Acme?", "And who is her successor?")
    assert found[0] == asked[2]
    assert found[1:] == (() if not turns else ("\n".join(asked[-turns - 1 :]),))


@pytest.mark.parametrize(
    ("ending", "question"),
    [
        ("\nQuestion: Who runs Acme these days?\nAnswer:", "Who runs Acme these days?"),
        ("\n\nWho runs Acme these days?", "Who runs Acme these days?"),
        (" Who runs Acme these days?", "Who runs Acme these days?"),
        ("。谁现在是这家名叫阿克米的公司的首席执行官？", "谁现在是这家名叫阿克米的公司的首席执行官？"),
    ],
)
def test_a_long_prompt_is_routed_by_its_end_first(ending: str, question: str) -> None:
    """The last line or sentence of a prompt longer than one query comes first, and all of it is routed too."""
    long = "He walked on. " * (LONGEST // 10) + ending
    inputs = TOKENIZER(long, return_tensors="pt")
    texts = texts_of_ids(inputs["input_ids"], inputs["attention_mask"], TOKENIZER)[0]
    assert texts[0] == question
    assert texts[1] == long.strip()


def test_a_text_of_the_callers_is_routed_as_it_is() -> None:
    """A query that was given is neither cut nor split, however long it is; a chat without a user is empty."""
    long = "Who runs Acme?\n" * LONGEST
    assert texts_of_query(long, 3) == (long,)
    assert texts_of_query([{"role": "system", "content": "Be kind."}]) == ("",)
