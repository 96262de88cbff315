"""What a request is routed by, and how it is told what became of it."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from memedit.errors import UnsupportedCallError
from tests.generation.conftest import EDIT, IN_SCOPE, OTHERS, MakeEdited, answers, assert_same_rows, encode, with_edit
from tests.generation.tiny import DECODERS, bart, llama, t5

GREEDY: dict[str, Any] = {"max_new_tokens": 5, "do_sample": False}


def test_the_routes_of_the_last_request_are_known(edited: MakeEdited, tokenizer: PreTrainedTokenizerBase) -> None:
    """`last_routes` has one route for each row of the last call, and none after a call without a memory."""
    model = edited(llama())
    assert model.last_routes == ()
    model.generate(**encode(tokenizer, OTHERS[0], IN_SCOPE), **GREEDY)
    assert [route.in_scope for route in model.last_routes] == [False, True]
    assert model.last_routes[1].edit in model.edits.list()
    model.edits.clear()
    model.generate(**encode(tokenizer, IN_SCOPE), **GREEDY)
    assert model.last_routes == ()


def test_each_thread_knows_its_own_routes(edited: MakeEdited, tokenizer: PreTrainedTokenizerBase) -> None:
    """A request of another thread leaves `last_routes` of this one as it was."""
    model = edited(llama())
    model.generate(**encode(tokenizer, IN_SCOPE), **GREEDY)
    seen: list[Any] = []

    def other() -> None:
        seen.append(model.last_routes)
        model.generate(**encode(tokenizer, *OTHERS), **GREEDY)
        seen.append(model.last_routes)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen[0] == ()
    assert len(seen[1]) == 2
    assert len(model.last_routes) == 1


@pytest.mark.parametrize("text", [IN_SCOPE, OTHERS[0]], ids=["in scope", "out of scope"])
def test_routes_are_returned_and_told_when_asked_for(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, text: str
) -> None:
    """`return_routes` gives the usual output and the routes; `on_route` is called once with the same."""
    told: list[Any] = []
    model = edited(llama(), on_route=told.append)
    inputs = encode(tokenizer, text)
    output, routes = model.generate(**inputs, **GREEDY, return_routes=True)
    assert routes == model.last_routes
    assert told == [routes]
    assert torch.equal(output, model.generate(**inputs, **GREEDY))


def test_one_line_is_logged_for_each_request_and_holds_no_text(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, caplog: pytest.LogCaptureFixture
) -> None:
    """At INFO a request says how many rows are in scope, which edits and how probable, and no word of them."""
    model = edited(llama())
    with caplog.at_level(logging.INFO, logger="memedit"):
        model.generate(**encode(tokenizer, OTHERS[0], IN_SCOPE), **GREEDY)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("memedit")]
    assert lines == [f"routed 2 rows, 1 in scope: base 0.050, {model.edits.list()[0].id} 0.950"] or "1.000" in lines[0]
    assert not any(word in lines[0] for word in ("France", "Lyon", "Japan"))


def test_a_namespace_may_be_given_for_one_call(edited: MakeEdited, tokenizer: PreTrainedTokenizerBase) -> None:
    """A call sees the edits of the namespace it names, and the next call the model's own again."""
    base = llama()
    model = edited(base)
    model.edits.add(EDIT[0], "Nice", namespace="south")
    inputs = encode(tokenizer, IN_SCOPE)
    for namespace, target in (("south", "Nice"), (None, "Lyon"), ("default", "Lyon")):
        given = answers(model, inputs, {**GREEDY, "namespace": namespace})
        assert model.last_routes[0].edit is not None
        assert model.last_routes[0].edit.target == target
        assert_same_rows(given, answers(base, with_edit(tokenizer, IN_SCOPE, edit=(EDIT[0], target)), GREEDY))
    assert model.explain(IN_SCOPE, namespace="north").edit is None
    given = answers(model, inputs, {**GREEDY, "namespace": "north"})
    assert torch.equal(given, answers(base, inputs, GREEDY))


def test_embeddings_without_a_text_go_to_the_base(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, caplog: pytest.LogCaptureFixture
) -> None:
    """With `inputs_embeds` alone the base answers, and a warning says what routing needs."""
    base = llama()
    embeds = base.get_input_embeddings()(encode(tokenizer, IN_SCOPE)["input_ids"]).detach()
    with caplog.at_level(logging.WARNING, logger="memedit"):
        given = edited(base).generate(inputs_embeds=embeds, **GREEDY)
    assert torch.equal(given, base.generate(inputs_embeds=embeds, **GREEDY))
    assert "routing needs the prompt's ids and a tokenizer, or queries" in caplog.text


@pytest.mark.parametrize("family", DECODERS)
def test_embeddings_with_queries_are_edited(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, family: str
) -> None:
    """With `inputs_embeds` and queries, rows in scope have the edit's embeddings before their own."""
    base = DECODERS[family]()
    embed = base.get_input_embeddings()
    inputs = encode(tokenizer, OTHERS[0], IN_SCOPE)
    given_inputs = {"inputs_embeds": embed(inputs["input_ids"]).detach(), "attention_mask": inputs["attention_mask"]}
    expected = answers(base, with_edit(tokenizer, IN_SCOPE), GREEDY)
    for isolation in ("exact", "split", "fused"):
        model = edited(base, isolation=isolation)
        given = model.generate(**given_inputs, queries=[OTHERS[0], IN_SCOPE], **GREEDY)
        assert_same_rows(given[1:], expected)
        assert_same_rows(given[:1], base.generate(**given_inputs, **GREEDY)[:1])
        both = model.generate(**inputs, inputs_embeds=given_inputs["inputs_embeds"], **GREEDY)
        width = inputs["input_ids"].shape[1]
        assert torch.equal(both[:, :width], inputs["input_ids"])
        assert_same_rows(both[1:, width:], expected)


@pytest.mark.parametrize("make", [t5, bart])
def test_an_encoder_may_read_embeddings(edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, make: Any) -> None:
    """Embeddings for an encoder are edited where queries say so; the sequences begin with the decoder's start."""
    base = make()
    embed = base.get_input_embeddings()
    ids = encode(tokenizer, IN_SCOPE)["input_ids"]
    given = edited(base).generate(inputs_embeds=embed(ids).detach(), queries=[IN_SCOPE], **GREEDY)
    assert given[0, 0] == base.config.decoder_start_token_id
    assert_same_rows(given, base.generate(**with_edit(tokenizer, IN_SCOPE), **GREEDY))


def test_lengths_count_embeddings_as_the_base_counts_them(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase
) -> None:
    """`max_length` counts the caller's embeddings, and not those of the edit."""
    base = llama()
    embeds = base.get_input_embeddings()(encode(tokenizer, IN_SCOPE)["input_ids"]).detach()
    options = {"max_length": embeds.shape[1] + 4, "eos_token_id": None, "do_sample": False}
    given = edited(base).generate(inputs_embeds=embeds, queries=[IN_SCOPE], **options)
    assert given.shape == base.generate(inputs_embeds=embeds, **options).shape


@pytest.mark.parametrize("shared", [False, True])
def test_positions_of_the_callers_reach_the_base(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, shared: bool
) -> None:
    """Rows out of scope run as a batch of their own are what the base makes of them at the positions given."""
    model = edited(llama(), isolation="split")
    inputs = encode(tokenizer, OTHERS[0], IN_SCOPE, OTHERS[1])
    positions = 3 * torch.arange(inputs["input_ids"].shape[1]).repeat(1 if shared else 3, 1)
    given = answers(model, inputs, {**GREEDY, "position_ids": positions})[[0, 2]]
    rows = {name: value[[0, 2]] for name, value in inputs.items()}
    expected = answers(model.base, rows, {**GREEDY, "position_ids": positions if shared else positions[[0, 2]]})
    assert_same_rows(given, expected)
    assert not torch.equal(expected, answers(model.base, rows, GREEDY))


def test_queries_without_anything_to_read_are_refused(edited: MakeEdited) -> None:
    """A query alone is no prompt, and the error says so."""
    with pytest.raises(UnsupportedCallError, match="without input_ids"):
        edited(llama()).generate(queries=[IN_SCOPE], **GREEDY)


def test_a_query_may_be_a_chat(edited: MakeEdited, tokenizer: PreTrainedTokenizerBase) -> None:
    """Messages given as a query are routed by their last user turn, whose content may come in parts."""
    model = edited(llama())
    inputs = encode(tokenizer, OTHERS[0])
    system = {"role": "system", "content": "You know everything about Japan."}
    for content in (IN_SCOPE, [{"type": "text", "text": IN_SCOPE}]):
        chat = [system, {"role": "user", "content": content}]
        _, routes = model.generate(**inputs, **GREEDY, queries=[chat], return_routes=True)
        assert routes[0].in_scope
    with pytest.raises(ValueError, match="one for each row"):
        model.generate(**inputs, **GREEDY, queries=[[1, 2]])


FOLLOW_UP = [
    {"role": "user", "content": "Tell me about France."},
    {"role": "assistant", "content": "A country."},
    {"role": "user", "content": "And what is its capital?"},
]
JOINED = "Tell me about France.\nAnd what is its capital?"


@pytest.mark.parametrize(("context_turns", "in_scope"), [(0, False), (1, True), (5, True)])
@pytest.mark.parametrize("given", ["ids", "messages"])
def test_a_follow_up_is_understood_with_the_turns_before_it(
    edited: MakeEdited,
    mini_tokenizer: PreTrainedTokenizerBase,
    given: str,
    context_turns: int,
    in_scope: bool,
) -> None:
    """With `context_turns` the last turn is routed behind those before it, from ids as from messages."""
    model = edited(llama(), meant={JOINED: EDIT[0]}, placement="prompt", context_turns=context_turns)
    model.tokenizer = mini_tokenizer
    text = mini_tokenizer.apply_chat_template(FOLLOW_UP, tokenize=False, add_generation_prompt=True)
    inputs = encode(mini_tokenizer, text)
    queries = [FOLLOW_UP] if given == "messages" else None
    output, routes = model.generate(**inputs, **GREEDY, queries=queries, return_routes=True)
    assert routes[0].in_scope == in_scope
    assert torch.equal(output[:, : inputs["input_ids"].shape[1]], inputs["input_ids"])


def test_a_turn_that_says_all_needs_no_turn_before_it(
    edited: MakeEdited, mini_tokenizer: PreTrainedTokenizerBase
) -> None:
    """What the last turn means alone is not drowned by an unrelated turn before it."""
    model = edited(llama(), context_turns=2)
    chat = [{"role": "user", "content": "How do I bake bread?"}, {"role": "user", "content": IN_SCOPE}]
    inputs = encode(mini_tokenizer, IN_SCOPE)
    _, routes = model.generate(**inputs, **GREEDY, queries=[chat], return_routes=True)
    assert routes[0].query == IN_SCOPE
    assert routes[0].in_scope


def test_a_long_context_is_routed_by_the_question_at_its_end(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Of a prompt too long to be one query, its last line is routed too."""
    model = edited(llama())
    text = f"{'The old man walked along the river. ' * 40}\nQuestion: {IN_SCOPE}\nAnswer:"
    _, routes = model.generate(**encode(tokenizer, text), **GREEDY, return_routes=True)
    assert routes[0].query == IN_SCOPE
    assert routes[0].in_scope
    explained = model.explain(text)
    assert (explained.query, explained.edit) == (IN_SCOPE, routes[0].edit)


def test_a_negative_number_of_turns_is_refused(edited: MakeEdited) -> None:
    """The error says what the setting may be."""
    with pytest.raises(ValueError, match="context_turns must be at least 0"):
        edited(llama(), context_turns=-1)
