"""One pass for rows with and without an edit: each row as it would be on its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from memedit.editors.counterfactual import CounterfactualConfig, CounterfactualEditor
from memedit.editors.counterfactual.lora import LoraOverlay
from tests.generation.conftest import EDIT, IN_SCOPE, OTHERS, MakeEdited, answers, assert_same_rows, encode, with_edit
from tests.generation.tiny import DECODERS, llama

TEXTS = (OTHERS[0], IN_SCOPE, OTHERS[1])
DECODINGS: dict[str, dict[str, Any]] = {
    "greedy": {"do_sample": False},
    "sampling": {"do_sample": True, "temperature": 0.8},
    "beams": {"num_beams": 3},
    "returns": {"do_sample": True, "num_return_sequences": 2},
    "beams and returns": {"num_beams": 3, "num_return_sequences": 2},
}


class Counter:
    """Counts the passes of decoding through a base."""

    def __init__(self, base: PreTrainedModel) -> None:
        """Listen at `generate` of this object only."""
        self.passes = 0
        self._generate = base.generate
        base.generate = self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Count, and generate."""
        self.passes += 1
        return self._generate(*args, **kwargs)


@pytest.mark.parametrize("family", DECODERS)
@pytest.mark.parametrize("decoding", DECODINGS)
def test_fused_rows_are_what_one_batch_with_the_edit_written_out_gives(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, decoding: str, family: str
) -> None:
    """In float32, tokens equal those of a plain batch in which the edit stands before the row in scope."""
    base = DECODERS[family]()
    model = edited(base, isolation="fused")
    options = {**DECODINGS[decoding], "max_new_tokens": 8}
    inputs = encode(tokenizer, *TEXTS)
    expected = answers(base, with_edit(tokenizer, *TEXTS), options)
    state = torch.get_rng_state()
    counter = Counter(base)
    torch.manual_seed(17)
    sequences = model.generate(**inputs, **options)
    assert counter.passes == 1
    assert torch.equal(torch.get_rng_state(), state)
    width = inputs["input_ids"].shape[1]
    assert torch.equal(sequences[:, :width], inputs["input_ids"].repeat_interleave(len(sequences) // len(TEXTS), dim=0))
    assert_same_rows(sequences[:, width:], expected)


@pytest.mark.parametrize("side", ["left", "right"])
def test_fused_rows_out_of_scope_are_the_bases(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, side: str
) -> None:
    """Rows without an edit equal the base's on the caller's batch, with either padding."""
    base = llama()
    inputs = encode(tokenizer, *TEXTS, side=side)
    options = {"max_new_tokens": 8, "do_sample": False}
    expected = answers(base, inputs, options)
    given = answers(edited(base, isolation="fused"), inputs, options)
    for row in (0, 2):
        assert_same_rows(given[row : row + 1], expected[row : row + 1])
    assert not torch.equal(given[1], expected[1])


def write_adapter(folder: Path, base: PreTrainedModel, rank: int = 2) -> Path:
    """A random LoRA adapter in PEFT's form for all linear layers of the blocks."""
    torch.manual_seed(5)
    tensors = {}
    for name, module in base.named_modules():
        if isinstance(module, nn.Linear) and name != "lm_head":
            prefix = f"base_model.model.{name}"
            tensors[f"{prefix}.lora_A.weight"] = torch.randn(rank, module.in_features) * 0.5
            tensors[f"{prefix}.lora_B.weight"] = torch.randn(module.out_features, rank) * 0.5
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("decoding", ["greedy", "beams", "beams and returns"])
def test_an_adapter_is_active_for_the_rows_in_scope_only(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, decoding: str
) -> None:
    """In one pass the edited row equals its run alone under the adapter, the others the plain base's."""
    base = llama()
    folder = write_adapter(tmp_path, base)
    options = {**DECODINGS[decoding], "max_new_tokens": 8}
    inputs, alone = encode(tokenizer, *TEXTS), encode(tokenizer, IN_SCOPE)
    plain = answers(base, inputs, options)
    unread = answers(edited(base), alone, options)
    editor = CounterfactualEditor(base, tokenizer, CounterfactualConfig(kind="adapter"), LoraOverlay(base, folder))
    model = edited(base, editor=editor, isolation="fused")
    reading = answers(model, alone, options)
    assert not torch.equal(reading, unread)
    given = answers(model, inputs, options)
    returns = len(given) // len(TEXTS)
    assert_same_rows(given[:returns], plain[:returns])
    assert_same_rows(given[returns : 2 * returns], reading)
    assert_same_rows(given[2 * returns :], plain[2 * returns :])
    assert torch.equal(answers(base, inputs, options), plain)


def test_rows_of_a_plan_are_chosen_wherever_the_batch_repeats_them(tmp_path: Path) -> None:
    """The overlay changes the chosen rows of expanded and of flattened batches, and no bit of others."""
    base = llama()
    overlay = LoraOverlay(base, write_adapter(tmp_path, base))
    layer = base.model.layers[0].self_attn.q_proj
    inputs = torch.randn(6, 5, 32)
    with torch.no_grad():
        plain = layer(inputs)
        with overlay.active():
            changed = layer(inputs)
        with overlay.active([False, True, False]):
            chosen, flat = layer(inputs), layer(inputs.reshape(30, 32)).reshape(6, 5, 32)
    overlay.detach()
    for given in (chosen, flat):
        torch.testing.assert_close(given[2:4], changed[2:4])
        assert torch.equal(given[[0, 1, 4, 5]], plain[[0, 1, 4, 5]])


@pytest.mark.parametrize(
    ("placement", "options"),
    [("prompt", {}), ("kv_prefix", {"use_cache": False}), ("kv_prefix", {"cache_implementation": "static"})],
    ids=["edit in the prompt", "no cache", "static cache"],
)
def test_what_cannot_be_fused_is_split(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, placement: str, options: dict[str, Any]
) -> None:
    """Where rows cannot share a pass, fused isolation gives what split isolation gives."""
    base = llama()
    inputs = encode(tokenizer, *TEXTS)
    options = {"max_new_tokens": 6, "do_sample": False, **options}
    split = answers(edited(base, placement=placement, isolation="split"), inputs, options)
    assert torch.equal(answers(edited(base, placement=placement, isolation="fused"), inputs, options), split)


def test_a_refusal_is_written_beside_a_fused_pass(edited: MakeEdited, tokenizer: PreTrainedTokenizerBase) -> None:
    """Rows of kind erase take no part in the pass; the others are fused and keep their places."""
    base = llama()
    model = edited(base, isolation="fused")
    model.edits.add("Who wrote Hamlet?", "I do not say", kind="erase")
    inputs = encode(tokenizer, "Who wrote Hamlet?", *TEXTS)
    counter = Counter(base)
    given = answers(model, inputs, {"max_new_tokens": 8, "do_sample": False})
    assert counter.passes == 1
    assert tokenizer.decode(given[0], skip_special_tokens=True) == " I do not say"
    together = answers(edited(base, isolation="fused"), encode(tokenizer, *TEXTS), {"max_new_tokens": 8})
    assert_same_rows(given[1:], together)


def test_a_batch_of_one_kind_needs_no_fusion(edited: MakeEdited, tokenizer: PreTrainedTokenizerBase) -> None:
    """All rows in scope, or none, are answered in one pass at every level, and alike."""
    base = llama()
    for texts in ((IN_SCOPE, IN_SCOPE), OTHERS):
        inputs = encode(tokenizer, *texts)
        given = [answers(edited(base, isolation=level), inputs, {"max_new_tokens": 5}) for level in ("exact", "fused")]
        assert torch.equal(given[0], given[1])
    assert EDIT[0] == IN_SCOPE
