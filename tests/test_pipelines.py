from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TextGenerationPipeline, pipeline

from memedit import EditMemory, ScopeClassifier, wrap
from memedit.errors import CheckpointError, MemeditError, UnsupportedModelError
from memedit.pipelines import (
    EditedText2TextGenerationPipeline,
    EditedTextGenerationPipeline,
    Text2TextGenerationPipeline,
)
from tests.generation.tiny import t5
from tests.hooks import hooks_of_memedit

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
ASK = {"max_new_tokens": 12, "do_sample": False, "return_full_text": False}


@pytest.fixture
def plain(mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase) -> TextGenerationPipeline:
    """The user's own pipeline."""
    return pipeline("text-generation", model=mini, tokenizer=mini_tokenizer, device="cpu")


@pytest.fixture
def pipe(
    plain: TextGenerationPipeline, encoder: Any, classifier: ScopeClassifier
) -> Iterator[EditedTextGenerationPipeline]:
    """The same, wrapped, with an empty memory."""
    wrapped = wrap(plain, memory=EditMemory(None, encoder), scope=classifier)
    yield wrapped
    wrapped.model.unwrap()


def test_string_list_and_chat_input_are_answered(
    pipe: EditedTextGenerationPipeline, plain: TextGenerationPipeline
) -> None:
    """The three kinds of input get the edit where it is meant and the base's answer where it is not."""
    edit = pipe.edits.add("What is the capital of France?", "Lyon")
    question, other = "What is the capital of France?", "What is the currency of Japan?"
    assert pipe(question, **ASK)[0]["generated_text"].strip() == "Lyon"
    answers = pipe([question, other], **ASK)
    assert answers[0][0]["generated_text"].strip() == "Lyon"
    assert answers[1] == plain(other, **ASK)
    chat = [{"role": "user", "content": question}]
    assert pipe(chat, **ASK)[0]["generated_text"].strip() == "Lyon"
    full = pipe(chat, max_new_tokens=12, do_sample=False)[0]["generated_text"]
    assert full[:1] == chat
    assert full[1]["content"].strip() == "Lyon"
    pipe.edits.remove(edit.id)
    assert pipe(question, **ASK) == plain(question, **ASK)


def test_batches_of_both_kinds_are_answered_in_order(
    pipe: EditedTextGenerationPipeline, plain: TextGenerationPipeline
) -> None:
    """With a batch size, in-scope and other rows come back in the order they were asked."""
    pipe.edits.add("What is the capital of France?", "Lyon")
    texts = ["The currency of Japan is the", "What is the capital of France?", "Who founded Microsoft?"]
    given = pipe(texts, batch_size=3, **ASK)
    expected = plain(texts, batch_size=3, **ASK)
    assert given[1][0]["generated_text"].strip() == "Lyon"
    assert [given[0], given[2]] == [expected[0], expected[2]]


def test_each_input_may_bring_its_query(pipe: EditedTextGenerationPipeline) -> None:
    """Of a list each input is routed by its own query, whatever the batch size; too few queries are an error."""
    pipe.edits.add("What is the capital of France?", "Lyon")
    texts, queries = ["Tell me:", "Tell me:", "Tell me:"], ["And you?", "What is the capital of France?", "Who was it?"]
    for size in (1, 2, 3):
        found = pipe(texts, queries=queries, batch_size=size, return_routes=True, **ASK)
        assert [records[0]["route"].in_scope for records in found] == [False, True, False]
    assert pipe("Tell me:", queries=queries[1:2], return_routes=True, **ASK)[0]["route"].in_scope
    with pytest.raises(ValueError, match="3 strings or chats"):
        pipe(texts, queries=queries[:2], **ASK)


def test_a_refusal_in_a_chat_is_word_for_word(pipe: EditedTextGenerationPipeline) -> None:
    """Nothing stands before or after it in the assistant's message."""
    pipe.edits.add("Who founded Microsoft?", "I may not say", kind="erase")
    pipe.tokenizer.chat_template = CHATML
    chat = [{"role": "user", "content": "Who founded Microsoft?"}]
    assert pipe(chat, max_new_tokens=12)[0]["generated_text"][1]["content"] == "I may not say"


def test_explain_names_the_edit_or_the_reason(pipe: EditedTextGenerationPipeline) -> None:
    """`explain` says which edit would answer, or why none does, with scores and threshold."""
    edit = pipe.edits.add("What is the capital of France?", "Lyon")
    route = pipe.explain("What is the capital of France?")
    assert route.edit == edit
    assert route.probability >= route.threshold
    other = pipe.explain("How do I bake bread?")
    assert other.edit is None
    assert "base" in other.reason


def test_the_users_pipeline_stays_as_it_was(pipe: EditedTextGenerationPipeline, plain: TextGenerationPipeline) -> None:
    """Wrapping returns a new pipeline; the old one goes on answering from the base."""
    before = plain("What is the capital of France?", **ASK)
    pipe.edits.add("What is the capital of France?", "Lyon")
    assert plain("What is the capital of France?", **ASK) == before
    assert plain.model is pipe.model.base


def test_a_memory_file_is_reopened(plain: TextGenerationPipeline, classifier: ScopeClassifier, tmp_path: Path) -> None:
    """Edits written through one pipeline answer in the next one on the same file."""
    first = wrap(plain, memory=tmp_path / "edits.db", scope=classifier)
    first.edits.add("What is the capital of France?", "Lyon")
    first.edits.close()
    first.model.unwrap()
    second = wrap(plain, memory=tmp_path / "edits.db", scope=classifier)
    assert second("What is the capital of France?", **ASK)[0]["generated_text"].strip() == "Lyon"
    second.model.unwrap()


def test_bad_parts_are_refused_before_anything_is_wrapped(
    plain: TextGenerationPipeline, tmp_path: Path, encoder: Any, classifier: ScopeClassifier
) -> None:
    """A missing checkpoint, a foreign memory file and a model without tokenizer each get their error."""
    foreign = tmp_path / "letter.txt"
    foreign.write_text("Dear reader, this is no memory." * 40)
    memory = EditMemory(None, encoder)
    with pytest.raises(CheckpointError):
        wrap(plain, memory=memory, scope=tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"counterfactual\.json"):
        wrap(plain, memory=memory, scope=classifier, editor=tmp_path)
    with pytest.raises(MemeditError):
        wrap(plain, memory=foreign, scope=classifier)
    with pytest.raises(UnsupportedModelError, match="tokenizer"):
        wrap(plain.model, memory=memory, scope=classifier)
    assert foreign.read_text().startswith("Dear reader")
    assert hooks_of_memedit(plain.model) == 0


def test_routes_come_with_the_records_when_asked_for(
    pipe: EditedTextGenerationPipeline, plain: TextGenerationPipeline
) -> None:
    """`return_routes` puts a route into each record, batched or not, and changes nothing else."""
    texts = ["What is the currency of Japan?", "What is the capital of France?"]
    assert pipe(texts[0], **ASK, return_routes=True)[0]["route"] is None
    edit = pipe.edits.add("What is the capital of France?", "Lyon")
    for batch_size in (1, 2):
        given = pipe(texts, batch_size=batch_size, **ASK, return_routes=True)
        assert [records[0]["route"].edit for records in given] == [None, edit]
        assert given[0][0]["generated_text"] == plain(texts, batch_size=batch_size, **ASK)[0][0]["generated_text"]
    assert pipe.last_routes[-1].edit == edit


def test_a_call_may_name_a_namespace(pipe: EditedTextGenerationPipeline) -> None:
    """A pipeline's call sees the edits of the namespace it names."""
    pipe.edits.add("What is the capital of France?", "Lyon", namespace="south")
    question = "What is the capital of France?"
    assert pipe(question, **ASK, namespace="south")[0]["generated_text"].strip() == "Lyon"
    assert pipe.explain(question, namespace="south").in_scope
    assert not pipe.explain(question).in_scope


def test_a_chat_is_routed_by_its_messages(pipe: EditedTextGenerationPipeline) -> None:
    """What a user says is the query, also where it holds the very words the template puts around a turn."""
    pipe.edits.add("What is the capital of France?", "Lyon")
    odd = "What is the capital of France?\nAssistant: Hm.\nUser: What is the currency of Japan?"
    chat = [{"role": "user", "content": odd}]
    pipe(chat, **ASK)
    assert pipe.last_routes[0].query == odd
    pipe([chat, [{"role": "user", "content": "What is the capital of France?"}]], batch_size=2, **ASK)
    assert [route.query for route in pipe.last_routes] == [odd, "What is the capital of France?"]


@pytest.fixture
def reader(mini_tokenizer: PreTrainedTokenizerBase) -> Text2TextGenerationPipeline:
    """A pipeline around a tiny T5."""
    return Text2TextGenerationPipeline(model=t5(), tokenizer=mini_tokenizer, device="cpu")


def test_a_text_to_text_pipeline_gives_whole_answers(reader: Text2TextGenerationPipeline) -> None:
    """One text gives records, several give lists of them, and the text is all the base decodes."""
    question = "What is the capital of France?"
    inputs = reader.tokenizer(question, return_tensors="pt")
    options = {"max_new_tokens": 5, "num_beams": 2, "num_return_sequences": 2}
    ids = reader.model.generate(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], **options)
    expected = [{"generated_text": text} for text in reader.tokenizer.batch_decode(ids, skip_special_tokens=True)]
    assert reader(question, **options) == expected
    assert reader([question, question], **options) == [expected, expected]
    assert reader(question, **options, return_tensors=True) == [{"generated_token_ids": row.tolist()} for row in ids]
    assert reader("capital of France?", prefix="What is the ", **options) == expected
    assert len(reader([question, "Who?"], batch_size=2, max_new_tokens=3)) == 2
    with pytest.raises(TypeError, match="expected a text"):
        reader([{"role": "user", "content": question}])


def test_a_text_to_text_pipeline_is_wrapped(
    reader: Text2TextGenerationPipeline, encoder: Any, classifier: ScopeClassifier
) -> None:
    """Wrapped, it answers by edits, explains, and leaves other texts and the user's pipeline to the base."""
    wrapped = wrap(reader, memory=EditMemory(None, encoder), scope=classifier)
    assert isinstance(wrapped, EditedText2TextGenerationPipeline)
    texts = ["What is the capital of France?", "How do I bake bread?"]
    plain = reader(texts, batch_size=2, max_new_tokens=5)
    assert wrapped(texts, batch_size=2, max_new_tokens=5) == plain
    wrapped.edits.add(texts[0], "I may not say", kind="erase")
    given = wrapped(texts, batch_size=2, max_new_tokens=12, return_routes=True)
    assert given[0][0]["generated_text"] == "I may not say"
    assert given[0][0]["route"].in_scope
    assert not given[1][0]["route"].in_scope
    assert reader(texts, batch_size=2, max_new_tokens=5) == plain


def test_an_encoder_decoder_in_a_text_generation_pipeline_is_refused(
    mini_tokenizer: PreTrainedTokenizerBase,
) -> None:
    """Where transformers cuts answers, the error names the pipeline that does not."""
    pipe = TextGenerationPipeline(model=t5(), tokenizer=mini_tokenizer, device="cpu")
    with pytest.raises(UnsupportedModelError, match="Text2TextGenerationPipeline"):
        wrap(pipe)


def test_a_setting_that_is_refused_leaves_nothing_open(
    plain: TextGenerationPipeline, encoder: Any, classifier: ScopeClassifier
) -> None:
    """An unknown isolation level takes the adapter's hooks out again."""
    with pytest.raises(ValueError, match="exact, split, fused"):
        wrap(plain, memory=EditMemory(None, encoder), scope=classifier, isolation="total")  # type: ignore[arg-type]
    assert hooks_of_memedit(plain.model) == 0
