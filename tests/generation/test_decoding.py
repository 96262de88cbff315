"""Every way of decoding, for a row in scope: the caller's prompt comes back, and then what the edit makes of it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from transformers import (
    EncoderNoRepeatNGramLogitsProcessor,
    EncoderRepetitionPenaltyLogitsProcessor,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    PreTrainedTokenizerBase,
    RepetitionPenaltyLogitsProcessor,
    StoppingCriteria,
    StoppingCriteriaList,
    TextIteratorStreamer,
    TextStreamer,
)
from transformers.generation import GenerateBeamDecoderOnlyOutput, GenerateDecoderOnlyOutput

from memedit.errors import UnsupportedCallError
from tests.generation.conftest import IN_SCOPE, OTHERS, MakeEdited, answers, assert_same_rows, encode, with_edit
from tests.generation.tiny import DECODERS, gpt2, llama

DECODINGS: dict[str, dict[str, Any]] = {
    "greedy": {"do_sample": False},
    "sampling": {"do_sample": True, "temperature": 0.8, "top_p": 0.95},
    "beams": {"num_beams": 3},
    "sampled beams": {"num_beams": 3, "do_sample": True},
    "returns": {"do_sample": True, "num_return_sequences": 3},
    "beams and returns": {"num_beams": 4, "num_return_sequences": 2},
    "config": {"generation_config": GenerationConfig(do_sample=True, top_k=20, max_new_tokens=7)},
    "config and keywords": {"generation_config": GenerationConfig(num_beams=2), "max_new_tokens": 5},
    "prompt lookup": {"prompt_lookup_num_tokens": 2},
    "static cache": {"cache_implementation": "static"},
    "offloaded cache": {"cache_implementation": "offloaded"},  # CUDA's streams move it
    "dynamic cache": {"cache_implementation": "dynamic"},
    "no cache": {"use_cache": False},
    "chunked prefill": {"prefill_chunk_size": 4},
    "several end tokens": {"eos_token_id": [0, 11, 12]},
    "bad words": {"bad_words_ids": [[40], [41]]},
    "shortest": {"min_new_tokens": 6, "eos_token_id": list(range(4000))},
}


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("decoding", DECODINGS)
def test_an_edited_row_decodes_as_if_the_edit_stood_before_it(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, decoding: str, family: str
) -> None:
    """New tokens equal the base's after edit and prompt, and the sequences begin with the prompt alone."""
    if decoding == "offloaded cache" and not torch.cuda.is_available():
        pytest.skip("transformers offloads caches from CUDA devices only")
    base = DECODERS[family]()
    model = edited(base)
    options = dict(DECODINGS[decoding])
    if "generation_config" not in options:
        options["max_new_tokens"] = 9
    inputs = encode(tokenizer, IN_SCOPE)
    torch.manual_seed(17)
    sequences = model.generate(**inputs, **options)
    assert (sequences[:, : inputs["input_ids"].shape[1]] == inputs["input_ids"]).all()
    expected = answers(base, with_edit(tokenizer, IN_SCOPE), options)
    assert_same_rows(sequences[:, inputs["input_ids"].shape[1] :], expected)


class AfterEdit(LogitsProcessor):
    """Shows another processor the ids behind the edit only."""

    def __init__(self, inner: LogitsProcessor, edit_length: int) -> None:
        """Cut `edit_length` ids off."""
        self._inner = inner
        self._edit_length = edit_length

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Ask the other one."""
        return self._inner(input_ids[:, self._edit_length :], scores)


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("options", [{}, {"use_cache": False}], ids=["prefix", "whole prompt"])
@pytest.mark.parametrize(
    ("rule", "value", "make"),
    [
        ("repetition_penalty", 1.8, RepetitionPenaltyLogitsProcessor),
        ("no_repeat_ngram_size", 1, NoRepeatNGramLogitsProcessor),
        ("encoder_repetition_penalty", 0.5, None),
        ("encoder_no_repeat_ngram_size", 1, None),
    ],
)
def test_the_words_of_an_edit_may_be_repeated(
    edited: MakeEdited,
    tokenizer: PreTrainedTokenizerBase,
    rule: str,
    value: float,
    make: Any,
    options: dict[str, Any],
    beams: int,
) -> None:
    """Rules against repetition count the caller's prompt and the answer, in a batch of any padding."""
    base = llama()
    model = edited(base)
    model.edits.add(OTHERS[0], "the yen, and no other coin there is")
    options = {**options, "max_new_tokens": 8, "num_beams": beams, "do_sample": False, "pad_token_id": 0}
    alone = answers(model, encode(tokenizer, IN_SCOPE), {**options, rule: value})
    batch = answers(model, encode(tokenizer, IN_SCOPE, OTHERS[0], "Hi"), {**options, rule: value})
    assert_same_rows(batch[:1], alone)
    own, whole = encode(tokenizer, IN_SCOPE), with_edit(tokenizer, IN_SCOPE)
    if make is not None:
        processor = make(value)
    elif rule == "encoder_repetition_penalty":
        processor = EncoderRepetitionPenaltyLogitsProcessor(value, own["input_ids"])
    else:
        processor = EncoderNoRepeatNGramLogitsProcessor(int(value), own["input_ids"])
    cut = AfterEdit(processor, whole["input_ids"].shape[1] - own["input_ids"].shape[1])
    expected = answers(base, whole, {**options, "logits_processor": LogitsProcessorList([cut])})
    assert_same_rows(alone, expected)


@pytest.mark.parametrize("placement", ["kv_prefix", "prompt"])
def test_lengths_count_the_callers_own_prompt(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, placement: str
) -> None:
    """`max_length` and `min_length` mean the caller's prompt and the answer, wherever the edit stands."""
    model = edited(llama(), placement=placement)
    inputs = encode(tokenizer, IN_SCOPE)
    length = inputs["input_ids"].shape[1]
    assert model.generate(**inputs, max_length=length + 4, eos_token_id=None).shape[1] == length + 4
    config = GenerationConfig(max_length=length + 5, min_length=length + 5, eos_token_id=list(range(8000)))
    assert model.generate(**inputs, generation_config=config).shape[1] == length + 5


@pytest.mark.parametrize("placement", ["kv_prefix", "prompt"])
def test_settings_mean_what_they_mean_to_the_base(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, placement: str
) -> None:
    """A keyword that is None takes a setting back, and `max_new_tokens` wins over `max_length` wherever it is said."""
    base = llama()
    base.generation_config.eos_token_id = list(range(4000))
    model = edited(base, placement=placement)
    inputs = encode(tokenizer, IN_SCOPE)
    width = inputs["input_ids"].shape[1]
    assert model.generate(**inputs, max_new_tokens=6, do_sample=False).shape[1] < width + 6
    options = {"eos_token_id": None, "do_sample": False}
    assert model.generate(**inputs, max_new_tokens=6, **options).shape[1] == width + 6
    config = GenerationConfig(max_new_tokens=3)
    for given in ({"generation_config": config, "max_length": 90}, {"max_new_tokens": 3, "max_length": 90}):
        assert model.generate(**inputs, **given, **options).shape == base.generate(**inputs, **given, **options).shape


def test_shorter_rows_are_filled_with_the_callers_pad_token(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Behind a refusal comes the pad token of the call, as behind an answer of the base's that ends early."""
    model = edited(llama())
    model.edits.add(OTHERS[0], "No", kind="erase")
    inputs = encode(tokenizer, *OTHERS)
    given = model.generate(**inputs, max_new_tokens=8, eos_token_id=None, pad_token_id=77)
    refusal = [*tokenizer(" No")["input_ids"], tokenizer.eos_token_id]
    answer = given[0, inputs["input_ids"].shape[1] :].tolist()
    assert answer == refusal + [77] * (8 - len(refusal))


@pytest.mark.parametrize("placement", ["kv_prefix", "prompt"])
def test_stop_strings_end_an_edited_answer(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, placement: str
) -> None:
    """An answer ends with the stop string it contains first."""
    model = edited(llama(), placement=placement)
    inputs = encode(tokenizer, IN_SCOPE)
    length = inputs["input_ids"].shape[1]
    answer = model.generate(**inputs, max_new_tokens=9, do_sample=False)[0, length:]
    third = tokenizer.decode(answer[2])
    stopped = model.generate(**inputs, max_new_tokens=9, do_sample=False, stop_strings=[third], tokenizer=tokenizer)
    assert third in tokenizer.decode(stopped[0, length:])
    assert stopped.shape[1] <= length + 3


class Watch(LogitsProcessor):
    """Notes the ids it is shown and changes nothing."""

    def __init__(self) -> None:
        """Begin with no ids."""
        self.seen: list[list[int]] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Note."""
        self.seen += input_ids.tolist()
        return scores


class Stop(StoppingCriteria):
    """Notes the ids it is shown and stops at a length."""

    def __init__(self, longest: int) -> None:
        """Stop at `longest` ids."""
        self.seen: list[list[int]] = []
        self._longest = longest

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: object) -> torch.Tensor:
        """Note, and say of each row whether it is done."""
        self.seen += input_ids.tolist()
        return torch.full((len(input_ids),), input_ids.shape[1] >= self._longest)


@pytest.mark.parametrize("options", [{}, {"num_beams": 2}, {"use_cache": False}], ids=["plain", "beams", "no cache"])
@pytest.mark.parametrize("placement", ["kv_prefix", "prompt"])
def test_callbacks_see_the_callers_ids_only(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, placement: str, options: dict[str, Any]
) -> None:
    """Processors, criteria and allowed-token functions are shown the caller's prompt and the new tokens."""
    model = edited(llama(), placement=placement)
    inputs = encode(tokenizer, IN_SCOPE)
    own = inputs["input_ids"][0].tolist()
    processor, criterion = Watch(), Stop(longest=len(own) + 3)
    allowed: list[list[int]] = []

    def allow(batch_id: int, ids: torch.Tensor) -> list[int]:
        assert batch_id == 0
        allowed.append(ids.tolist())
        return list(range(1, 500))

    sequences = model.generate(
        **inputs,
        max_new_tokens=8,
        logits_processor=LogitsProcessorList([processor]),
        stopping_criteria=StoppingCriteriaList([criterion]),
        prefix_allowed_tokens_fn=allow,
        **options,
    )
    for seen in (processor.seen, criterion.seen, allowed):
        assert seen
        assert all(ids[: len(own)] == own for ids in seen)
    assert sequences.shape[1] <= len(own) + 3
    assert (sequences[:, len(own) :] < 500).all()


def test_allowed_token_functions_are_told_the_callers_row_numbers(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase
) -> None:
    """In a batch of which one row is in scope, the batch ids are those of the caller's batch."""
    base = llama()
    inputs = encode(tokenizer, OTHERS[0], IN_SCOPE, OTHERS[1])
    allowed = [[10, 11], [20, 21], [30, 31]]

    def allow(batch_id: int, ids: torch.Tensor) -> list[int]:
        return allowed[batch_id // returns]

    for isolation in ("exact", "split", "fused"):
        model = edited(base, isolation=isolation)
        for returns, options in ((1, {"num_beams": 2}), (2, {"do_sample": True, "num_return_sequences": 2})):
            given = answers(model, inputs, {"prefix_allowed_tokens_fn": allow, "max_new_tokens": 4, **options})
            returns = 1 if "num_beams" in options else returns
            for row, ids in enumerate(given):
                assert set(ids.tolist()) <= set(allowed[row // (len(given) // 3)])


@pytest.mark.parametrize("placement", ["kv_prefix", "prompt"])
@pytest.mark.parametrize("kind", ["edited", "erased"])
def test_streamers_hear_prompt_and_answer(
    edited: MakeEdited,
    tokenizer: PreTrainedTokenizerBase,
    kind: str,
    placement: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A text streamer and an iterator streamer give the text that is returned."""
    model = edited(llama(), placement=placement)
    if kind == "erased":
        model.edits.add(IN_SCOPE, "I do not say.", kind="erase")
    inputs = encode(tokenizer, IN_SCOPE)
    options = {"max_new_tokens": 6, "do_sample": False}
    output = model.generate(**inputs, **options, streamer=TextStreamer(tokenizer, skip_special_tokens=True))
    text = tokenizer.decode(output[0], skip_special_tokens=True)
    assert capsys.readouterr().out.strip() == text.strip()
    iterator = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True, timeout=60)
    thread = threading.Thread(target=model.generate, kwargs={**inputs, **options, "streamer": iterator})
    thread.start()
    pieces = "".join(iterator)
    thread.join()
    assert text.endswith(pieces)
    assert pieces


def test_a_streamer_over_several_passes_is_refused(edited: MakeEdited, tokenizer: PreTrainedTokenizerBase) -> None:
    """A batch that is answered in several passes cannot be streamed, and the error says what can."""

    class Silent:
        def put(self, value: torch.Tensor) -> None: ...

        def end(self) -> None: ...

    base = llama()
    inputs = encode(tokenizer, IN_SCOPE, OTHERS[0])
    with pytest.raises(UnsupportedCallError, match="one row at a time"):
        edited(base).generate(**inputs, streamer=Silent(), max_new_tokens=2)
    edited(base, isolation="fused").generate(**inputs, streamer=Silent(), max_new_tokens=2)


@pytest.mark.parametrize("decoding", ["greedy", "sampling"])
def test_an_assistant_model_drafts_what_the_edit_says(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, decoding: str
) -> None:
    """With an assistant model an edited row gives the base's answer after edit and prompt, drafted alike."""
    base, assistant = llama(), llama()
    model = edited(base)
    options = {**DECODINGS[decoding], "max_new_tokens": 8, "assistant_model": assistant}
    given = answers(model, encode(tokenizer, IN_SCOPE), options)
    assert_same_rows(given, answers(base, with_edit(tokenizer, IN_SCOPE), options))


@pytest.mark.parametrize("beams", [1, 2])
@pytest.mark.parametrize("as_config", [False, True])
def test_an_output_object_holds_the_sequences(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, beams: int, as_config: bool
) -> None:
    """Asked for an object, an edited row comes in one of the base's kind that holds sequences only."""
    model = edited(llama())
    inputs = encode(tokenizer, IN_SCOPE, OTHERS[0])
    plain = model.generate(**inputs, max_new_tokens=5, num_beams=beams, do_sample=False)
    options = {"max_new_tokens": 5, "num_beams": beams, "do_sample": False, "return_dict_in_generate": True}
    output = model.generate(**inputs, **({"generation_config": GenerationConfig(**options)} if as_config else options))
    assert type(output) is (GenerateDecoderOnlyOutput if beams == 1 else GenerateBeamDecoderOnlyOutput)
    assert torch.equal(output.sequences, plain)
    assert list(output) == ["sequences"]


@pytest.mark.parametrize("name", ["output_scores", "output_logits", "output_attentions", "output_hidden_states"])
def test_values_of_several_contexts_are_refused(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, name: str
) -> None:
    """Scores and the like are refused by name beside an edit, and ignored where the base ignores them."""
    model = edited(gpt2())
    inputs = encode(tokenizer, IN_SCOPE)
    with pytest.raises(UnsupportedCallError, match=name):
        model.generate(**inputs, max_new_tokens=2, return_dict_in_generate=True, **{name: True})
    if name in ("output_scores", "output_logits"):
        assert torch.is_tensor(model.generate(**inputs, max_new_tokens=2, **{name: True}))


def test_a_callers_cache_serves_the_base_and_edited_rows_read_their_ids(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase
) -> None:
    """A cache of an earlier turn is no obstacle while all ids are given; ids in the cache only are refused."""
    base = llama()
    model = edited(base)
    first = encode(tokenizer, IN_SCOPE[:11])
    cache = base.generate(**first, max_new_tokens=1, return_dict_in_generate=True).past_key_values
    inputs = encode(tokenizer, IN_SCOPE)
    assert inputs["input_ids"][0, : cache.get_seq_length()].tolist() == first["input_ids"][0].tolist()
    given = answers(model, inputs, {"past_key_values": cache, "max_new_tokens": 5})
    assert_same_rows(given, answers(base, with_edit(tokenizer, IN_SCOPE), {"max_new_tokens": 5}))
    rest = inputs["input_ids"][:, cache.get_seq_length() :]
    with pytest.raises(UnsupportedCallError, match="give all of its ids"):
        model.generate(
            rest, attention_mask=inputs["attention_mask"], past_key_values=cache, queries=[IN_SCOPE], max_new_tokens=2
        )


@pytest.mark.parametrize("options", [{}, {"use_cache": False}], ids=["prefix", "whole prompt"])
def test_an_edit_near_the_last_position_shortens_its_answer(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, options: dict[str, Any]
) -> None:
    """In a model with learned positions, an edited row gets the tokens there is room for, and the others all."""
    base = gpt2()
    model = edited(base, isolation="fused")
    filler = " and on and on" * 80
    inputs = encode(tokenizer, OTHERS[0] + filler, IN_SCOPE + filler)
    inputs = {name: value[:, -220:] for name, value in inputs.items()}
    width = inputs["input_ids"].shape[1]
    longest = 256 - width
    options = {**options, "max_new_tokens": longest, "eos_token_id": None, "pad_token_id": 0, "do_sample": False}
    given = model.generate(**inputs, queries=[OTHERS[0], OTHERS[1]], **options)
    assert torch.equal(given, base.generate(**inputs, **options))
    given = model.generate(**inputs, queries=[OTHERS[0], IN_SCOPE], **options)
    assert torch.equal(given[0], base.generate(**inputs, **options)[0])
    # What the caller allows may go beyond the last position: most answers end before it.
    generous = model.generate(**inputs, queries=[IN_SCOPE, IN_SCOPE], **{**options, "max_new_tokens": 300})
    assert generous.shape[1] <= 256
    answer = given[1, width:]
    room = (
        longest
        - with_edit(tokenizer, IN_SCOPE)["input_ids"].shape[1]
        + encode(tokenizer, IN_SCOPE)["input_ids"].shape[1]
    )
    assert (answer[room:] == 0).all()
    with pytest.raises(UnsupportedCallError, match="shorten the prompt"):
        model.generate(**encode(tokenizer, "and" + " on" * 252), queries=[IN_SCOPE], max_new_tokens=2)
