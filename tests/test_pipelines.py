from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TextGenerationPipeline, pipeline

from memedit import EditMemory, ScopeClassifier, wrap
from memedit.errors import CheckpointError, MemeditError, UnsupportedModelError
from memedit.pipelines import EditedTextGenerationPipeline
from tests.hooks import hooks_of_memedit

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
