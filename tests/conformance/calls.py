"""The table of calls: how `generate` is asked, apart from the prompts themselves."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import (
    DynamicCache,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StaticCache,
    StoppingCriteria,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TextIteratorStreamer,
    TextStreamer,
    WatermarkingConfig,
)
from transformers.generation.streamers import BaseStreamer

from tests.conformance.families import END, PAD, START, assistant_of, base_of, tokenizer
from tests.conformance.inputs import FORMS

NEW = 3


@dataclass
class Run:
    """One run of one call: what its callbacks have seen is compared as well.

    Attributes:
        family: The model's family.
        seen: What streamers, processors and criteria were given.
    """

    family: str
    seen: list[Any] = field(default_factory=list)


Options = dict[str, Any] | Callable[[Run], dict[str, Any]]


@dataclass(frozen=True)
class Call:
    """One way to call `generate`.

    Attributes:
        name: What is special about it.
        form: How the prompts are given; a key of `FORMS`.
        options: Keyword arguments, or what makes them for a run.
        raises: Whether the base itself refuses it.
        without: Families to which it does not apply.
        internals: Whether it asks for what has no meaning across two contexts, so that an edited
            row may be refused.
    """

    name: str
    form: str
    options: Options
    raises: bool = False
    without: frozenset[str] = frozenset()
    internals: bool = False

    def arguments(self, run: Run, rows: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Fresh positional and keyword arguments."""
        args, inputs = FORMS[self.form](rows, run.family)
        options = self.options(run) if callable(self.options) else copy.deepcopy(self.options)
        length = {} if _says_length(options) else {"max_new_tokens": NEW}
        return args, {**inputs, **length, **options}


def _says_length(options: dict[str, Any]) -> bool:
    config = options.get("generation_config")
    named = {"max_new_tokens", "max_length"} & options.keys()
    return bool(named) or (config is not None and (config.max_new_tokens or config.max_length))


class Listener(BaseStreamer):
    """Notes every token."""

    def __init__(self, seen: list[Any]) -> None:
        self.seen = seen

    def put(self, value: torch.Tensor) -> None:
        """Note ids."""
        self.seen.append(value.tolist())

    def end(self) -> None:
        """Note the end."""
        self.seen.append("end")


class Writer(TextStreamer):
    """Notes text instead of printing it."""

    def __init__(self, seen: list[Any], **options: Any) -> None:
        super().__init__(tokenizer(), **options)
        self.seen = seen

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Note a piece of text."""
        self.seen.append((text, stream_end))


class Pieces(TextIteratorStreamer):
    """Notes what is put into its queue."""

    def __init__(self, seen: list[Any], **options: Any) -> None:
        super().__init__(tokenizer(), **options)
        self.seen = seen

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Note a piece of text, and queue it."""
        self.seen.append((text, stream_end))
        super().on_finalized_text(text, stream_end)


class Favour(LogitsProcessor):
    """Raises one token's score by the prompt's length; notes the ids."""

    def __init__(self, seen: list[Any]) -> None:
        self.seen = seen

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Changed scores."""
        self.seen.append(input_ids.tolist())
        scores = scores.clone()
        scores[:, 20] += 0.1 * input_ids.shape[1]
        return scores


class StopAt(StoppingCriteria):
    """Stops a row when an even id comes; notes the ids."""

    def __init__(self, seen: list[Any]) -> None:
        self.seen = seen

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        """Which rows are done."""
        self.seen.append(input_ids.tolist())
        return input_ids[:, -1] % 2 == 0


def _allowed(batch: int, ids: torch.Tensor) -> list[int]:
    return list(range(10, 40)) if len(ids) % 2 else list(range(5, 55))


def _watermark() -> Any:
    return WatermarkingConfig(bias=2.5, seeding_scheme="selfhash")


def _static(run: Run) -> dict[str, Any]:
    return {"past_key_values": StaticCache(config=base_of(run.family).config, max_cache_len=40)}


def _assisted(**options: Any) -> Callable[[Run], dict[str, Any]]:
    # A copy, because assisted generation adapts the assistant's settings.
    return lambda run: {"assistant_model": copy.deepcopy(assistant_of(run.family)), **options}


def _config(**options: Any) -> GenerationConfig:
    return GenerationConfig(**{"max_new_tokens": 3, "pad_token_id": PAD, "eos_token_id": END, **options})


SAMPLE = {"do_sample": True}
SEQ2SEQ = frozenset({"t5", "bart"})
OUTPUTS = ("output_scores", "output_logits", "output_attentions", "output_hidden_states")
DICT = {"return_dict_in_generate": True}

DECODINGS: dict[str, Options] = {
    "greedy": {},
    "sampling": SAMPLE,
    "beams": {"num_beams": 3},
    "sampled returns": {**SAMPLE, "num_return_sequences": 3},
    "config": {"generation_config": _config(**SAMPLE, top_k=9)},
}
"""Asked of every form of input."""

SETTINGS: dict[str, Options] = {
    "temperature 0.3": {**SAMPLE, "temperature": 0.3},
    "temperature 2.5": {**SAMPLE, "temperature": 2.5},
    "temperature without sampling": {"temperature": 0.3},
    "top_k 3": {**SAMPLE, "top_k": 3},
    "top_k 0": {**SAMPLE, "top_k": 0},
    "top_p 0.5": {**SAMPLE, "top_p": 0.5},
    "min_p 0.1": {**SAMPLE, "min_p": 0.1},
    "typical_p 0.4": {**SAMPLE, "typical_p": 0.4},
    "epsilon cutoff": {**SAMPLE, "epsilon_cutoff": 0.02},
    "eta cutoff": {**SAMPLE, "eta_cutoff": 0.02},
    "all warpers": {**SAMPLE, "temperature": 1.3, "top_k": 30, "top_p": 0.9, "min_p": 0.01},
    "repetition penalty": {"repetition_penalty": 1.7},
    "repetition penalty, beams and returns": {"repetition_penalty": 1.7, "num_beams": 3, "num_return_sequences": 2},
    "no repeated pairs": {"no_repeat_ngram_size": 2},
    "encoder repetition penalty": {"encoder_repetition_penalty": 1.4},
    "no pairs of the prompt": {"encoder_no_repeat_ngram_size": 2},
    "bad words": {"bad_words_ids": [[7], [9, 11]]},
    "sequence bias": {"sequence_bias": [[[20], 5.0], [[21, 22], -5.0]]},
    "suppressed tokens": {"suppress_tokens": [5, 6, 7, 34]},
    "suppressed at first": {"begin_suppress_tokens": [10, 34, 57]},
    "forced end": {"forced_eos_token_id": END},
    "forced begin": {"forced_bos_token_id": START},
    "at least 3 new": {"min_new_tokens": 3},
    "min_length": {"min_length": 8, "max_length": 10},
    "max_length": {"max_length": 9},
    "max_length and max_new_tokens": {"max_length": 50, "max_new_tokens": 2},
    "max_length in a config": {"generation_config": _config(max_new_tokens=None, max_length=8)},
    "one new token": {"max_new_tokens": 1},
    "longer, no end token in the config": {"generation_config": GenerationConfig(max_new_tokens=6, pad_token_id=PAD)},
    "decaying length penalty": {"exponential_decay_length_penalty": (2, 1.5)},
    "renormalised logits": {**SAMPLE, "renormalize_logits": True, "top_k": 10},
    "invalid values removed": {"remove_invalid_values": True},
    "guidance": {"guidance_scale": 1.5},
    "watermark": lambda run: {"watermarking_config": _watermark()},
    "sampled watermark": lambda run: {**SAMPLE, "watermarking_config": _watermark()},
    "2 beams": {"num_beams": 2},
    "beams and returns": {"num_beams": 3, "num_return_sequences": 2},
    "beam sampling": {**SAMPLE, "num_beams": 2},
    "5 beams": {"num_beams": 5},
    "early stopping": {"num_beams": 3, "early_stopping": True},
    "never stopping early": {"num_beams": 3, "early_stopping": "never"},
    "length penalty": {"num_beams": 3, "length_penalty": -1.0},
    "all beams returned": {"num_beams": 4, "num_return_sequences": 4},
    "beam sampling and returns": {**SAMPLE, "num_beams": 3, "num_return_sequences": 2, "temperature": 1.4},
    "penalised beams": {"num_beams": 3, "repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
    "5 sampled returns": {**SAMPLE, "num_return_sequences": 5, "top_p": 0.8},
    "without cache": {"use_cache": False},
    "without cache, sampling": {**SAMPLE, "use_cache": False},
    "without cache, beams": {"num_beams": 2, "use_cache": False},
    "dynamic cache": {"cache_implementation": "dynamic"},
    "static cache": {"cache_implementation": "static"},
    "static cache, sampling": {**SAMPLE, "cache_implementation": "static"},
    "stop string": lambda run: {"stop_strings": ["word9", "word2"], "tokenizer": tokenizer()},
    "stop string, sampling": lambda run: {**SAMPLE, "stop_strings": "word1", "tokenizer": tokenizer()},
    "stop string of the edit": lambda run: {"stop_strings": ["Zembla"], "tokenizer": tokenizer()},
    "stopping criterion": lambda run: {"stopping_criteria": StoppingCriteriaList([StopAt(run.seen)])},
    "stopping criterion, sampling": lambda run: {
        **SAMPLE, "stopping_criteria": StoppingCriteriaList([StopAt(run.seen)]),
    },
    "stopping criterion as a list": lambda run: {"stopping_criteria": [StopAt(run.seen)]},
    "no time limit reached": {"max_time": 1000.0},
    "logits processor": lambda run: {"logits_processor": LogitsProcessorList([Favour(run.seen)])},
    "logits processor, beams": lambda run: {
        "num_beams": 2, "logits_processor": LogitsProcessorList([Favour(run.seen)]),
    },
    "two processors, sampling": lambda run: {
        **SAMPLE, "logits_processor": LogitsProcessorList([TemperatureLogitsWarper(0.7), Favour(run.seen)]),
    },
    "allowed tokens": {"prefix_allowed_tokens_fn": _allowed},
    "allowed tokens, beams": {"num_beams": 2, "prefix_allowed_tokens_fn": _allowed},
    "other end tokens": {"eos_token_id": [1, 10, 26, 30]},
    "no end token": {"eos_token_id": None},
    "other pad token": {"pad_token_id": 58},
    "end token as pad": {"pad_token_id": END},
    "end token as pad, other ends": {"pad_token_id": END, "eos_token_id": [END, 34, 23, 46]},
    "config object": {"generation_config": _config(num_beams=2)},
    "config object overruled": {
        "generation_config": _config(num_beams=2, max_new_tokens=8),
        "num_beams": 1, "do_sample": True, "max_new_tokens": 3,
    },
    "config object with returns": {
        "generation_config": _config(do_sample=True, num_return_sequences=2),
    },
    "config object with beams and returns": {
        "generation_config": _config(num_beams=3, num_return_sequences=3),
    },
    "config object and returns": {
        "generation_config": _config(do_sample=True), "num_return_sequences": 2,
    },
    "not sampling": {"do_sample": False, "num_beams": 1},
    "chunked prefill": {"prefill_chunk_size": 2},
    "model output": DICT,
    "model output, sampling": {**SAMPLE, **DICT},
    "model output, beams": {"num_beams": 2, **DICT},
    "model output in a config": {"generation_config": _config(**DICT)},
    "scores unasked": {"output_scores": True, "return_dict_in_generate": False},
}  # fmt: skip
"""Asked of left-padded rows."""

SINGLE: dict[str, Options] = {
    "streamer": lambda run: {"streamer": Listener(run.seen)},
    "streamer, sampling": lambda run: {**SAMPLE, "streamer": Listener(run.seen)},
    "text streamer": lambda run: {"streamer": Writer(run.seen)},
    "text streamer without prompt": lambda run: {"streamer": Writer(run.seen, skip_prompt=True)},
    "iterator streamer": lambda run: {"streamer": Pieces(run.seen)},
    "iterator streamer without prompt": lambda run: {**SAMPLE, "streamer": Pieces(run.seen, skip_prompt=True)},
    "streamer and criterion": lambda run: {
        "streamer": Listener([]), "stopping_criteria": StoppingCriteriaList([StopAt(run.seen)]),
    },
    "streamer and processor": lambda run: {
        "streamer": Listener([]), "logits_processor": LogitsProcessorList([Favour(run.seen)]),
    },
    "prompt lookup": {"prompt_lookup_num_tokens": 2},
    "prompt lookup, sampling": {**SAMPLE, "prompt_lookup_num_tokens": 3, "max_matching_ngram_size": 2},
    "prompt lookup, max_length": {"prompt_lookup_num_tokens": 2, "max_length": 10},
    "assistant": _assisted(),
    "assistant, sampling": _assisted(**SAMPLE),
    "assistant, criterion": lambda run: {
        **_assisted()(run), "stopping_criteria": StoppingCriteriaList([StopAt([])]),
    },
    "returns of one row": {**SAMPLE, "num_return_sequences": 4},
    "beams of one row": {"num_beams": 4, "num_return_sequences": 2},
    "max_length of one row": {"max_length": 7},
    "stop string of one row": lambda run: {"stop_strings": ["word3"], "tokenizer": tokenizer()},
    "without cache of one row": {"use_cache": False},
    "static cache of one row": {"cache_implementation": "static"},
}  # fmt: skip
"""Asked of one row; streamers and assisted decoding take no more."""

INTERNALS: dict[str, Options] = {
    **{name: {name: True, **DICT} for name in OUTPUTS},
    "all outputs": dict.fromkeys((*OUTPUTS, *DICT), True),
    "scores, sampling": {**SAMPLE, "output_scores": True, **DICT},
    "scores, beams": {"num_beams": 2, "output_scores": True, **DICT},
    "logits, sampling": {**SAMPLE, "output_logits": True, **DICT},
    "scores in a config": {
        "generation_config": _config(output_scores=True, **DICT),
    },
    "attentions of beams": {"num_beams": 2, "output_attentions": True, **DICT},
    "cache of one's own": lambda run: {"past_key_values": DynamicCache(config=base_of(run.family).config), **DICT},
    "static cache of one's own": _static,
}  # fmt: skip

REFUSED: dict[str, Options] = {
    "unknown argument": {"no_such_argument": 1},
    "more returns than beams": {"num_beams": 2, "num_return_sequences": 3},
    "greedy returns": {"num_return_sequences": 2},
    "no room": {"max_length": 0},
    "negative new tokens": {"max_new_tokens": -1},
    "unknown cache": {"cache_implementation": "imaginary"},
    "stop string without tokenizer": {"stop_strings": ["x"]},
    "streamer for several rows": lambda run: {"streamer": Listener([]), "num_beams": 2},
    "bad temperature": {**SAMPLE, "temperature": -1.0},
}
"""The base says no, and so does the wrapped model in the same words."""


def _calls() -> Iterator[Call]:
    for form in FORMS:
        for name, options in DECODINGS.items():
            without = SEQ2SEQ if form == "ids and embeddings" else frozenset()
            yield Call(f"{name}, {form}", form, options, without=without)
    for name, options in SETTINGS.items():
        yield Call(name, "left", options, without=frozenset({"t5"}) if name == "guidance" else frozenset())
    for name, options in SINGLE.items():
        apart = SEQ2SEQ if name.startswith(("assistant", "prompt lookup")) else frozenset()
        yield Call(name, "one row", options, without=apart)
    for name, options in INTERNALS.items():
        # A cache of one's own needs a part for the encoder there.
        apart = SEQ2SEQ if name.endswith("of one's own") else frozenset()
        yield Call(name, "left", options, internals=True, without=apart)
    for name, options in REFUSED.items():
        yield Call(name, "left", options, raises=True)


CALLS = {call.name: call for call in _calls()}
