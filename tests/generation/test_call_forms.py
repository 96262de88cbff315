"""What a caller brings along: own processors and positions, precision, another library's model."""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedTokenizerBase

from tests.generation.conftest import IN_SCOPE, OTHERS, MakeEdited, answers, encode
from tests.generation.tiny import gpt2, llama

GREEDY = {"do_sample": False, "max_new_tokens": 4}


class Counting(LogitsProcessor):  # type: ignore[misc]
    """Forces the next token of a sequence that goes on from call to call."""

    def __init__(self) -> None:
        """Begin at 100."""
        self.next = 100

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Allow one token."""
        forced = torch.full_like(scores, -torch.inf)
        forced[:, self.next] = 0
        self.next += 1
        return forced


def test_a_processor_with_a_state_is_the_bases_first(edited: MakeEdited, tokenizer: PreTrainedTokenizerBase) -> None:
    """Beside an edited row, the others get what the base gives with a fresh processor."""
    base = llama()
    inputs = encode(tokenizer, OTHERS[0], IN_SCOPE)
    for isolation in ("exact", "split"):
        model = edited(base, isolation=isolation)
        given, plain = (
            answers(each, inputs, {**GREEDY, "logits_processor": LogitsProcessorList([Counting()])})
            for each in (model, base)
        )
        assert torch.equal(given[0], plain[0])


def test_positions_of_the_callers_reach_the_rows_of_the_base(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase
) -> None:
    """At every level, rows out of scope are read at the positions that the caller gave."""
    base = gpt2()
    inputs = encode(tokenizer, OTHERS[0], IN_SCOPE)
    options = {**GREEDY, "position_ids": inputs["attention_mask"].cumsum(1) + 49}
    plain = answers(base, inputs, options)[0]
    assert not torch.equal(plain, answers(base, inputs, GREEDY)[0])
    for isolation in ("exact", "split", "fused"):
        assert torch.equal(answers(edited(base, isolation=isolation), inputs, options)[0], plain)


def test_an_edit_read_under_autocast_is_read_in_full_precision_later(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase
) -> None:
    """A prefix that was first computed under autocast changes no later answer."""
    inputs = encode(tokenizer, IN_SCOPE)
    for make in (gpt2, llama):
        expected = answers(edited(make()), inputs, GREEDY)
        model = edited(make())
        with torch.autocast("cpu", torch.bfloat16):
            answers(model, inputs, GREEDY)
        assert torch.equal(answers(model, inputs, GREEDY), expected)


def test_ids_by_position_reach_the_edits_of_a_peft_base(edited: MakeEdited, tokenizer: PreTrainedTokenizerBase) -> None:
    """PEFT's own `generate` names no argument; ids given by position are routed as those given by name."""
    base: Any = get_peft_model(llama(), LoraConfig(r=2, target_modules=["q_proj"])).eval()
    model = edited(base)
    inputs = encode(tokenizer, IN_SCOPE)
    by_name = model.generate(**inputs, **GREEDY)
    by_position = model.generate(inputs["input_ids"], attention_mask=inputs["attention_mask"], **GREEDY)
    assert [route.in_scope for route in model.last_routes] == [True]
    assert torch.equal(by_position, by_name)
