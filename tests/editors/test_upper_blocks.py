from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from memedit.editors.lessons import lessons_of
from memedit.editors.upper_blocks import UpperBlocks, _Below, fresh, rows_of
from tests.conformance.families import DECODERS, FAMILIES, base_of, tokenizer

WORDINGS = (("stored word20 word21 word22", "word23 word24"), ("word25 word26 word27",))
ANSWERS = ([7, 8, 1], [9, 1])


def taught(base: Any, prompt: str, answer: list[int]) -> torch.Tensor:
    """The base's own logits for each token of an answer, teacher-forced, alone and without a cache."""
    ids = tokenizer()(prompt, return_tensors="pt")["input_ids"]
    begin = torch.tensor([answer[:-1]])
    if base.config.is_encoder_decoder:
        start = torch.tensor([[base.generation_config.decoder_start_token_id]])
        logits: torch.Tensor = base(input_ids=ids, decoder_input_ids=torch.cat([start, begin], dim=1)).logits[0]
        return logits
    whole: torch.Tensor = base(torch.cat([ids, begin], dim=1)).logits[0, ids.shape[1] - 1 :]
    return whole


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_upper_blocks_compute_what_the_model_computes(family: str, layer: int) -> None:
    """From the block's own output they give the model's logits, for padded rows and for some of the rows."""
    base = base_of(family)
    modules = list(base.modules())
    with torch.no_grad():
        lessons = lessons_of(base, tokenizer(), WORDINGS, ANSWERS)
        upper = UpperBlocks(base, layer)
        if lessons.prompt is not None:
            upper.read(lessons.prompt)
        hidden, output = upper.read(fresh(lessons.inputs))
        every = upper.logits(hidden, output, fresh(lessons.inputs))
        chosen = torch.tensor([2, 0])
        some = upper.logits(hidden[chosen], rows_of(output, chosen, 3), rows_of(lessons.inputs, chosen, 3))
        expected = [
            taught(base, prompt, answer)
            for prompts, answer in zip(WORDINGS, ANSWERS, strict=True)
            for prompt in prompts
        ]
    for row, logits in enumerate(expected):
        torch.testing.assert_close(every[row, : len(logits)], logits, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(some, every[chosen], rtol=1e-3, atol=1e-3)
    assert (lessons.prompt is None) == (family not in DECODERS)
    assert all(one is other for one, other in zip(modules, base.modules(), strict=True))


def test_a_prompt_of_one_token_needs_no_cache() -> None:
    """Where nothing comes before the last token, the answer's columns are all there is."""
    base = base_of("llama")
    with torch.no_grad():
        lessons = lessons_of(base, tokenizer(), [["word20"]], [[7, 1]])
        assert lessons.prompt is None
        upper = UpperBlocks(base, 0)
        hidden, output = upper.read(lessons.inputs)
        logits = upper.logits(hidden, output, lessons.inputs)
        torch.testing.assert_close(logits[0], taught(base, "word20", [7, 1]), rtol=1e-4, atol=1e-4)


def test_attributes_of_lower_blocks_can_be_read() -> None:
    """Models that ask a block what kind of attention it has get its answer."""
    block = nn.Linear(2, 3)
    block.attention_type = "full_attention"  # type: ignore[assignment]
    held = _Below(block)
    assert held.attention_type == "full_attention"
    with pytest.raises(AttributeError):
        _ = held.nothing
