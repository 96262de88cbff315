from __future__ import annotations

import pytest
import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.generation.streamers import BaseStreamer

from memedit.editors.counterfactual import CounterfactualConfig, CounterfactualEditor
from memedit.editors.counterfactual.context import render_edits
from tests.editors.cases import EDITS, QUERIES, rows_of

GREEDY = {"max_new_tokens": 8, "do_sample": False}


@pytest.fixture
def editor(mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase) -> CounterfactualEditor:
    """The base reads the edit as a cached prefix."""
    return CounterfactualEditor(mini, mini_tokenizer, CounterfactualConfig(placement="kv_prefix"))


def test_prefix_gives_what_the_edit_before_the_prompt_gives(
    editor: CounterfactualEditor, mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase
) -> None:
    """A cached prefix decodes the tokens that the base decodes after edit and query in one text."""
    for edit, query in zip(EDITS, QUERIES, strict=True):
        rows = rows_of(mini_tokenizer, [query], [edit])
        text = render_edits([(edit.prompt, edit.target)]) + query
        whole = mini_tokenizer(text, return_tensors="pt")
        expected = mini.generate(**whole, **GREEDY)[0, whole["input_ids"].shape[1] :]
        assert editor.answer(rows, GREEDY)[0, rows.input_ids.shape[1] :].tolist() == expected.tolist()


def test_rows_of_a_batch_answer_as_they_do_alone(
    editor: CounterfactualEditor, mini_tokenizer: PreTrainedTokenizerBase
) -> None:
    """Prefixes of different lengths in one batch do not disturb each other."""
    together = editor.answer(rows_of(mini_tokenizer), GREEDY)
    width = rows_of(mini_tokenizer).input_ids.shape[1]
    for index, (edit, query) in enumerate(zip(EDITS, QUERIES, strict=True)):
        alone = rows_of(mini_tokenizer, [query], [edit])
        new = editor.answer(alone, GREEDY)[0, alone.input_ids.shape[1] :].tolist()
        assert together[index, width : width + len(new)].tolist() == new


@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 3},
        {"do_sample": True, "num_return_sequences": 3},
        {"num_beams": 4, "num_return_sequences": 2},
        {"generation_config": GenerationConfig(do_sample=True, num_return_sequences=2, max_new_tokens=5)},
        {"repetition_penalty": 1.3},
    ],
)
def test_sequences_begin_with_the_callers_ids(
    editor: CounterfactualEditor, mini_tokenizer: PreTrainedTokenizerBase, options: dict[str, object]
) -> None:
    """Whatever the decoding, each returned row begins with its own prompt and rows keep their order."""
    rows = rows_of(mini_tokenizer)
    options = options if "generation_config" in options else {"max_new_tokens": 5, **options}
    sequences = editor.answer(rows, options)
    returns = len(sequences) // len(rows)
    width = rows.input_ids.shape[1]
    assert torch.equal(sequences[:, :width], rows.input_ids.repeat_interleave(returns, dim=0))
    assert sequences.shape[1] <= width + 5


def test_the_same_edit_answers_the_same_twice(
    editor: CounterfactualEditor, mini_tokenizer: PreTrainedTokenizerBase
) -> None:
    """Decoding does not change the cached prefix."""
    first = editor.answer(rows_of(mini_tokenizer), {"max_new_tokens": 12, "do_sample": False})
    second = editor.answer(rows_of(mini_tokenizer), {"max_new_tokens": 12, "do_sample": False})
    assert torch.equal(first, second)


def test_prompt_placement_returns_the_callers_own_prompt(
    mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase
) -> None:
    """With the edit written into the chat, the returned rows still begin with the chat as given."""
    editor = CounterfactualEditor(mini, mini_tokenizer, CounterfactualConfig(placement="prompt"))
    chats = [f"User: {query}\nAssistant:" for query in QUERIES]
    rows = rows_of(mini_tokenizer, chats)
    rows = type(rows)(rows.input_ids, rows.attention_mask, QUERIES, rows.edits)
    sequences = editor.answer(rows, {"max_length": rows.input_ids.shape[1] + 6, "do_sample": False})
    assert torch.equal(sequences[:, : rows.input_ids.shape[1]], rows.input_ids)
    assert sequences.shape[1] <= rows.input_ids.shape[1] + 6


def test_callbacks_see_the_callers_own_prompt(mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase) -> None:
    """With the edit written into the prompt, processors, criteria and streamers see the prompt as given."""
    editor = CounterfactualEditor(mini, mini_tokenizer, CounterfactualConfig(placement="prompt"))
    rows = rows_of(mini_tokenizer, QUERIES[:1], EDITS[:1])
    seen: list[list[int]] = []

    class Watch(LogitsProcessor):
        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: object) -> torch.Tensor:
            seen.append(input_ids[0, : rows.input_ids.shape[1]].tolist())
            return scores

    class Stop(StoppingCriteria):
        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: object) -> torch.Tensor:
            seen.append(input_ids[0, : rows.input_ids.shape[1]].tolist())
            return torch.tensor([input_ids.shape[1] >= rows.input_ids.shape[1] + 2])

    class Listen(BaseStreamer):
        def __init__(self) -> None:
            self.heard: list[int] = []

        def put(self, value: torch.Tensor) -> None:
            self.heard += value.reshape(-1).tolist()

        def end(self) -> None:
            self.heard.append(-1)

    listener = Listen()
    output = editor.answer(
        rows,
        {
            "max_new_tokens": 6,
            "do_sample": False,
            "logits_processor": LogitsProcessorList([Watch()]),
            "stopping_criteria": StoppingCriteriaList([Stop()]),
            "streamer": listener,
        },
    )
    own = rows.input_ids[0].tolist()
    assert seen
    assert all(prompt == own for prompt in seen)
    assert output.shape[1] <= len(own) + 2
    assert listener.heard == [*output[0].tolist(), -1]


def test_braces_in_an_edit_are_plain_text() -> None:
    """An edit is written as it is, also when it looks like a template."""
    assert render_edits([("What is {target}?", "{prompt}")]) == "Fact: What is {prompt}? {prompt}.\n"
