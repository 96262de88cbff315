from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    Gemma3TextConfig,
    GenerationConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerBase,
    Qwen2Config,
)

from memedit.editors.counterfactual.placement import before_query, forgets_a_prefix, grows_a_cache
from tests.generation.tiny import llama

CONTEXT = "Fact: Who runs Acme? Dana.\n"


class Configured:
    """Something with a config."""

    def __init__(self, config: Any) -> None:
        """Hold it."""
        self.config = config


@pytest.mark.parametrize(
    ("config", "forgets"),
    [
        (LlamaConfig(), False),
        (Qwen2Config(), False),
        (MistralConfig(sliding_window=None), False),
        (MistralConfig(sliding_window=4096), True),
        (Gemma3TextConfig(), True),
    ],
    ids=["llama", "qwen2", "mistral", "mistral with a window", "gemma 3"],
)
def test_a_window_forgets_a_prefix(config: Any, forgets: bool) -> None:
    """Models some of whose layers see a window only are told by their configuration."""
    assert forgets_a_prefix(Configured(config)) == forgets


@pytest.mark.parametrize(
    ("options", "grows"),
    [
        ({}, True),
        ({"use_cache": True}, True),
        ({"use_cache": False}, False),
        ({"cache_implementation": "static"}, False),
        ({"generation_config": GenerationConfig(cache_implementation="offloaded")}, False),
        ({"assistant_model": object()}, False),
    ],
)
def test_only_a_cache_that_grows_can_hold_an_edit(options: dict[str, Any], grows: bool) -> None:
    """Options that leave no such cache are recognised, wherever they are said."""
    assert grows_a_cache(llama(), options) == grows


@pytest.fixture
def chat(mini_tokenizer: PreTrainedTokenizerBase) -> torch.Tensor:
    """The ids of a chat of two user turns."""
    text = "User: Tell me of Acme.\nAssistant: A firm.\nUser: And who runs it?\nAssistant:"
    ids: torch.Tensor = mini_tokenizer(text, return_tensors="pt")["input_ids"][0]
    return ids


@pytest.mark.parametrize(
    "query",
    ["And who runs it?", "Tell me of Acme.\nAnd who runs it?", "And who runs it?\n"],
    ids=["turn", "turns", "turn and line break"],
)
def test_an_edit_is_written_before_the_last_turn(
    mini_tokenizer: PreTrainedTokenizerBase, chat: torch.Tensor, query: str
) -> None:
    """The edit stands inside the last user turn, also where a turn before it was part of the query."""
    text = mini_tokenizer.decode(before_query(mini_tokenizer, chat, query, CONTEXT))
    assert text.endswith(f"User: {CONTEXT}And who runs it?\nAssistant:")
    assert text.startswith("User: Tell me of Acme.\n")


def test_a_query_that_is_not_in_the_prompt_leaves_its_ids_alone(mini_tokenizer: PreTrainedTokenizerBase) -> None:
    """The edit then stands behind the special tokens the prompt opens with, before all of the words."""
    prompt = mini_tokenizer("The firm in Lyon is run by", return_tensors="pt")["input_ids"][0]
    ids = torch.cat([torch.tensor(mini_tokenizer.all_special_ids[:1]), prompt])
    edit = mini_tokenizer(CONTEXT)["input_ids"]
    for query in ("Quite another question", " "):
        given = before_query(mini_tokenizer, ids, query, CONTEXT)
        assert given.tolist() == [ids[0].item(), *edit, *prompt.tolist()]


def test_in_a_chat_an_edit_goes_into_the_last_user_turn_and_nowhere_else(
    mini_tokenizer: PreTrainedTokenizerBase,
) -> None:
    """Neither a query in other words nor one that the assistant repeats moves it into a header or another's words."""
    text = 'User: And who runs it?\nAssistant: search("And who runs it?")'
    ids = mini_tokenizer(text, return_tensors="pt")["input_ids"][0]
    for query in ("And who runs it?", "Who runs Acme?"):
        given = mini_tokenizer.decode(before_query(mini_tokenizer, ids, query, CONTEXT))
        assert given == text.replace("User: ", f"User: {CONTEXT}")
