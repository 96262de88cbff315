"""Models with an encoder: routed by what it reads, edited in what it reads, returned as the base returns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerBase
from transformers.generation import GenerateEncoderDecoderOutput

from memedit.editors.counterfactual import CounterfactualConfig, SeparateModelEditor, load_counterfactual
from memedit.editors.counterfactual.context import render_edits
from tests.generation.conftest import EDIT, IN_SCOPE, OTHERS, MakeEdited, assert_same_rows, encode, with_edit
from tests.generation.tiny import ENCODER_DECODERS, bart, llama, t5

TEXTS = (OTHERS[0], IN_SCOPE, OTHERS[1])
FAMILIES = pytest.mark.parametrize("family", ENCODER_DECODERS)
DECODINGS: dict[str, dict[str, Any]] = {
    "greedy": {"do_sample": False},
    "sampling": {"do_sample": True},
    "beams": {"num_beams": 3},
    "returns": {"do_sample": True, "num_return_sequences": 2},
    "no cache": {"use_cache": False},
    "static cache": {"cache_implementation": "static"},
    "max_length": {"max_length": 6, "max_new_tokens": None},
}


def run(model: Any, inputs: dict[str, torch.Tensor], options: dict[str, Any]) -> torch.Tensor:
    """All of what is returned, from a fixed seed."""
    torch.manual_seed(17)
    sequences: torch.Tensor = model.generate(**inputs, **{"max_new_tokens": 8, **options})
    return sequences


@FAMILIES
@pytest.mark.parametrize("decoding", DECODINGS)
def test_an_edited_row_is_what_the_base_makes_of_edit_and_text(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, family: str, decoding: str
) -> None:
    """With the edit before the encoder's text, sequences equal the base's, decoder start included."""
    base = ENCODER_DECODERS[family]()
    given = run(edited(base), encode(tokenizer, IN_SCOPE), DECODINGS[decoding])
    expected = run(base, with_edit(tokenizer, IN_SCOPE), DECODINGS[decoding])
    assert torch.equal(given, expected)
    assert not torch.equal(given, run(base, encode(tokenizer, IN_SCOPE), DECODINGS[decoding]))


@FAMILIES
@pytest.mark.parametrize("decoding", ["greedy", "sampling", "beams", "returns"])
def test_a_mixed_batch_keeps_the_bases_rows_and_random_state(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, family: str, decoding: str
) -> None:
    """At the exact level, rows out of scope and the random state equal the base's on the whole batch."""
    base = ENCODER_DECODERS[family]()
    inputs = encode(tokenizer, *TEXTS, side="right")
    expected, state = run(base, inputs, DECODINGS[decoding]), torch.get_rng_state()
    given = run(edited(base), inputs, DECODINGS[decoding])
    assert torch.equal(torch.get_rng_state(), state)
    returns = len(expected) // 3
    for rows in (slice(0, returns), slice(2 * returns, None)):
        assert_same_rows(given[rows], expected[rows])


@FAMILIES
@pytest.mark.parametrize("given", ["ids", "embeddings"])
def test_edited_rows_of_different_lengths_do_not_disturb_each_other(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, family: str, given: str
) -> None:
    """Several edited rows in a batch are answered as each is alone, whatever positions its encoder counts."""
    base = ENCODER_DECODERS[family]()
    model = edited(base)
    model.edits.add(OTHERS[0], "the yen, and no other coin there is")
    texts = (IN_SCOPE, OTHERS[0])
    batch = encode(tokenizer, *texts, side="right")
    if given == "embeddings":
        batch["inputs_embeds"] = base.get_input_embeddings()(batch["input_ids"]).detach()
    together = run(model, batch, {"do_sample": False})
    for row, text in enumerate(texts):
        assert_same_rows(together[row : row + 1], run(model, encode(tokenizer, text), {"do_sample": False}))


@FAMILIES
@pytest.mark.parametrize("isolation", ["split", "fused"])
def test_split_rows_equal_the_bases_in_float32(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, family: str, isolation: Any
) -> None:
    """Run as a smaller batch, greedy rows out of scope equal the base's; fused isolation is split here."""
    base = ENCODER_DECODERS[family]()
    inputs = encode(tokenizer, *TEXTS, side="right")
    expected = run(base, inputs, {"do_sample": False})
    given = run(edited(base, isolation=isolation), inputs, {"do_sample": False})
    for row in (0, 2):
        assert_same_rows(given[row : row + 1], expected[row : row + 1])


def test_special_tokens_stay_where_the_encoder_expects_them(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase
) -> None:
    """An edit goes behind the start token of a text and before its first word."""
    base = bart()
    start = torch.tensor([tokenizer.all_special_ids[:1]])
    inputs, edit = encode(tokenizer, IN_SCOPE), tokenizer(render_edits([EDIT]), return_tensors="pt")["input_ids"]
    given = run(edited(base), {"input_ids": torch.cat([start, inputs["input_ids"]], dim=1)}, {"do_sample": False})
    whole = torch.cat([start, edit, inputs["input_ids"]], dim=1)
    assert torch.equal(given, run(base, {"input_ids": whole}, {"do_sample": False}))


def test_a_decoder_prompt_of_the_callers_is_kept(edited: MakeEdited, tokenizer: PreTrainedTokenizerBase) -> None:
    """`decoder_input_ids` of each row come back at the beginning of its sequences."""
    base = t5()
    begin = {"decoder_input_ids": torch.tensor([[0, 7], [0, 8], [0, 9]])}
    inputs = encode(tokenizer, *TEXTS, side="right")
    for isolation in ("exact", "split"):
        model = edited(base, isolation=isolation)
        model.edits.add(OTHERS[1], "No.", kind="erase")
        given = run(model, inputs, {**begin, "do_sample": False})
        assert given[:, :2].tolist() == begin["decoder_input_ids"].tolist()


@FAMILIES
def test_a_refusal_is_decoded_word_for_word(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, family: str
) -> None:
    """A refusal begins as the base's answers begin, and its text is the user's, without a space before it."""
    base = ENCODER_DECODERS[family]()
    model = edited(base)
    model.edits.add(IN_SCOPE, "I do not say", kind="erase")
    given = run(model, encode(tokenizer, IN_SCOPE), {})
    first = run(base, encode(tokenizer, IN_SCOPE), {})
    opening = 2 if family == "bart" else 1
    assert given[0, :opening].tolist() == first[0, :opening].tolist()
    assert tokenizer.decode(given[0, opening:], skip_special_tokens=True) == "I do not say"


@pytest.mark.parametrize("reader", [llama, t5], ids=["decoder-only", "encoder-decoder"])
@FAMILIES
def test_a_separate_model_answers_beside_an_encoder(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, family: str, reader: Any
) -> None:
    """A counterfactual model of its own, of either kind, is loaded, and its answer stands behind the start."""
    base = ENCODER_DECODERS[family]()
    reader().save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    CounterfactualConfig(kind="model").save(tmp_path)
    editor = load_counterfactual(tmp_path, base, tokenizer)
    assert isinstance(editor, SeparateModelEditor)
    given = run(edited(base, editor=editor), encode(tokenizer, IN_SCOPE), {"do_sample": False})
    assert given[0, 0] == base.config.decoder_start_token_id
    assert given.shape[1] > 2


def test_an_output_object_is_of_the_bases_kind(edited: MakeEdited, tokenizer: PreTrainedTokenizerBase) -> None:
    """Asked for an object, an edited row comes in an encoder-decoder output."""
    output = edited(t5()).generate(**encode(tokenizer, IN_SCOPE), max_new_tokens=3, return_dict_in_generate=True)
    assert type(output) is GenerateEncoderDecoderOutput
