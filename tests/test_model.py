from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from transformers import (
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

from memedit import EditedModel, EditMemory, Router, ScopeClassifier, wrap
from memedit.editors.choice import EditorChoice
from memedit.errors import UnsupportedCallError, UnsupportedModelError
from memedit.model import Isolation
from tests.hooks import hooks_of_memedit

EDIT = ("What is the capital of France?", "Lyon")
IN_SCOPE = "What is the capital of France?"
OUT_OF_SCOPE = ("The currency of Japan is the", "Who founded Microsoft?", "On a cold morning the old man")
DECODINGS: dict[str, dict[str, Any]] = {
    "greedy": {"do_sample": False},
    "sampling": {"do_sample": True, "temperature": 0.9},
    "beams": {"num_beams": 3},
    "returns": {"do_sample": True, "num_return_sequences": 3},
    "config": {"generation_config": GenerationConfig(do_sample=True, top_k=20, max_new_tokens=9)},
}


@pytest.fixture
def edited(
    mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, encoder: Any, classifier: ScopeClassifier
) -> Iterator[EditedModel]:
    """Mini with an empty memory."""
    model = wrap(mini, mini_tokenizer, memory=EditMemory(None, encoder), scope=classifier)
    yield model
    model.unwrap()


def encode(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> dict[str, torch.Tensor]:
    """Left-padded ids and mask."""
    inputs = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left")
    return {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}


def run(model: Any, inputs: dict[str, torch.Tensor], options: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Output and the RNG state afterwards, from a fixed seed."""
    torch.manual_seed(11)
    options = options if "generation_config" in options else {"max_new_tokens": 9, **options}
    return model.generate(**inputs, **options), torch.get_rng_state()


@pytest.mark.parametrize("decoding", DECODINGS)
@pytest.mark.parametrize("stored", [False, True], ids=["empty memory", "no edit in scope"])
def test_out_of_scope_calls_are_the_bases_own(
    edited: EditedModel, mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, decoding: str, stored: bool
) -> None:
    """Without a row in scope, output and RNG state afterwards equal the base's."""
    if stored:
        edited.edits.add(*EDIT)
    inputs = encode(mini_tokenizer, list(OUT_OF_SCOPE))
    expected, state = run(mini, inputs, DECODINGS[decoding])
    given, given_state = run(edited, inputs, DECODINGS[decoding])
    assert torch.equal(given, expected)
    assert torch.equal(given_state, state)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("decoding", DECODINGS)
def test_a_mixed_batch_leaves_the_other_rows_exactly_as_they_were(
    mini: PreTrainedModel,
    mini_tokenizer: PreTrainedTokenizerBase,
    encoder: Any,
    classifier: ScopeClassifier,
    decoding: str,
    dtype: torch.dtype,
) -> None:
    """At the default isolation, out-of-scope rows and the RNG state equal the base's on the whole batch."""
    base = mini if dtype is torch.float32 else copy.deepcopy(mini).to(dtype)
    edited = wrap(base, mini_tokenizer, memory=EditMemory(None, encoder), scope=classifier)
    edited.edits.add(*EDIT)
    inputs = encode(mini_tokenizer, [OUT_OF_SCOPE[0], IN_SCOPE, *OUT_OF_SCOPE[1:]])
    expected, state = run(base, inputs, DECODINGS[decoding])
    given, given_state = run(edited, inputs, DECODINGS[decoding])
    edited.unwrap()
    assert torch.equal(given_state, state)
    returns = len(expected) // 4
    assert len(given) == len(expected)
    for row in range(4):
        for number in range(row * returns, (row + 1) * returns):
            if row == 1:
                assert torch.equal(given[number, : inputs["input_ids"].shape[1]], inputs["input_ids"][row])
                continue
            width = expected.shape[1]
            common = min(width, given.shape[1])
            assert torch.equal(given[number, :common], expected[number, :common])
            assert (given[number, common:] == mini_tokenizer.pad_token_id).all()
            assert (expected[number, common:] == mini_tokenizer.pad_token_id).all()


def test_an_edit_answers_and_its_removal_gives_the_base_back(
    edited: EditedModel, mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase
) -> None:
    """An edit changes the answer at once; removing it restores the base's output, bit for bit."""
    inputs = encode(mini_tokenizer, [IN_SCOPE])
    before, _ = run(mini, inputs, {"do_sample": False})
    edit = edited.edits.add(*EDIT)
    changed, _ = run(edited, inputs, {"do_sample": False})
    assert mini_tokenizer.decode(changed[0], skip_special_tokens=True).endswith("Lyon")
    edited.edits.remove(edit.id)
    after, _ = run(edited, inputs, {"do_sample": False})
    assert torch.equal(after, before)


@pytest.mark.parametrize("isolation", ["split", "fused"])
def test_other_levels_answer_every_row_alike(
    mini: PreTrainedModel,
    mini_tokenizer: PreTrainedTokenizerBase,
    encoder: Any,
    classifier: ScopeClassifier,
    isolation: Isolation,
) -> None:
    """With `split` and `fused`, greedy answers of a mixed batch equal those of the exact level in float32."""
    memory = EditMemory(None, encoder)
    memory.add(*EDIT)
    inputs = encode(mini_tokenizer, [OUT_OF_SCOPE[0], IN_SCOPE, OUT_OF_SCOPE[1]])
    exact = wrap(mini, mini_tokenizer, memory=memory, scope=classifier)
    first, _ = run(exact, inputs, {"do_sample": False})
    exact.unwrap()
    other = wrap(mini, mini_tokenizer, memory=memory, scope=classifier, isolation=isolation)
    second, _ = run(other, inputs, {"do_sample": False})
    other.unwrap()
    texts = [mini_tokenizer.batch_decode(rows, skip_special_tokens=True) for rows in (first, second)]
    assert texts[0] == texts[1]
    assert "Lyon" in texts[1][1]


def test_an_erased_answer_is_a_refusal_word_for_word(
    edited: EditedModel, mini_tokenizer: PreTrainedTokenizerBase
) -> None:
    """An edit of kind erase answers with the refusal the user wrote, and not a token more."""
    edited.edits.add("Who founded Microsoft?", "I may not speak about that", kind="erase")
    inputs = encode(mini_tokenizer, ["Who founded Microsoft?"])
    text = mini_tokenizer.decode(edited.generate(**inputs, max_new_tokens=40)[0], skip_special_tokens=True)
    assert text == "Who founded Microsoft? I may not speak about that"


def test_queries_may_be_given(
    edited: EditedModel, mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase
) -> None:
    """Queries given by the caller decide the route, whatever the prompt says."""
    edited.edits.add(*EDIT)
    inputs = encode(mini_tokenizer, [IN_SCOPE])
    options = {"max_new_tokens": 6, "do_sample": False}
    elsewhere = edited.generate(**inputs, queries=["How do I bake bread?"], **options)
    assert torch.equal(elsewhere, mini.generate(**inputs, **options))
    routed = edited.generate(**inputs, queries=["France's capital city is"], **options)
    assert "Lyon" in mini_tokenizer.decode(routed[0])
    with pytest.raises(ValueError, match="one for each row"):
        edited.generate(**inputs, queries=["one", "two"])


def test_positional_ids_and_model_outputs_work(edited: EditedModel, mini_tokenizer: PreTrainedTokenizerBase) -> None:
    """`generate(ids)` routes like `generate(input_ids=ids)`, and a returned object has the sequences."""
    edited.edits.add(*EDIT)
    inputs = encode(mini_tokenizer, [IN_SCOPE])
    plain = edited.generate(inputs["input_ids"], max_new_tokens=6, do_sample=False)
    config = GenerationConfig(max_new_tokens=6, do_sample=False, return_dict_in_generate=True)
    assert torch.equal(edited.generate(inputs["input_ids"], config).sequences, plain)


def test_scores_across_two_contexts_are_refused(edited: EditedModel, mini_tokenizer: PreTrainedTokenizerBase) -> None:
    """Scores of an in-scope row have no meaning beside the base's and are refused by name."""
    edited.edits.add(*EDIT)
    inputs = encode(mini_tokenizer, [IN_SCOPE])
    with pytest.raises(UnsupportedCallError, match="output_scores"):
        edited.generate(**inputs, output_scores=True, return_dict_in_generate=True)


def test_everything_else_is_the_bases(edited: EditedModel, mini: PreTrainedModel) -> None:
    """Attributes, modules and forward passes are delegated; no parameter is added."""
    assert edited.config is mini.config
    assert edited.can_generate()
    ids = torch.tensor([[5, 6, 7]])
    assert torch.equal(edited(ids).logits, mini(ids).logits)
    assert sum(p.numel() for p in edited.parameters()) == sum(p.numel() for p in mini.parameters())
    with pytest.raises(AttributeError):
        _ = edited.no_such_thing


def test_an_edit_may_name_its_editor(
    edited: EditedModel, mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase
) -> None:
    """Edits of two editors live in one memory and one batch; an unknown name is refused when its edit is meant."""
    edited.edits.add(*EDIT)
    question = "Who is the head of Acme?"
    other = edited.edits.add(question, "Dana Reyes", editor="base")
    both, _ = run(edited, encode(mini_tokenizer, [question, OUT_OF_SCOPE[0], IN_SCOPE]), {"do_sample": False})
    texts = mini_tokenizer.batch_decode(both, skip_special_tokens=True)
    assert texts[2].endswith("Lyon")
    assert isinstance(edited.editor, EditorChoice)
    assert list(edited.editor.made) == ["counterfactual", "base"]
    alone = wrap(mini, mini_tokenizer, memory=edited.edits, scope=edited.router.classifier, editor="base")
    inputs = encode(mini_tokenizer, [question])
    assert torch.equal(run(edited, inputs, {})[0], run(alone, inputs, {})[0])
    edited.edits.update(other.id, editor="wizard")
    with pytest.raises(UnsupportedCallError, match=r"'wizard'.*counterfactual, base"):
        edited.generate(**inputs)
    edited.generate(**encode(mini_tokenizer, [IN_SCOPE]), max_new_tokens=1)


def test_edits_that_are_read_need_no_fitting(edited: EditedModel) -> None:
    """Where no editor stores anything, there is nothing to fit."""
    edited.edits.add(*EDIT)
    assert edited.fit_edits() == {}


def test_defaults_of_decoding_are_set_where_they_are_read(
    edited: EditedModel, mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase
) -> None:
    """A generation config given to the edited model is the base's, in scope and out of it."""
    before = mini.generation_config
    edited.edits.add(*EDIT)
    edited.generation_config = GenerationConfig(max_new_tokens=2, pad_token_id=0, eos_token_id=None)
    inputs = encode(mini_tokenizer, [IN_SCOPE, OUT_OF_SCOPE[0]])
    assert mini.generation_config is edited.generation_config
    assert edited.generate(**inputs).shape[1] == inputs["input_ids"].shape[1] + 2
    mini.generation_config = before


def test_continuous_batching_passes_no_edit_by(edited: EditedModel) -> None:
    """It is the base's own; while edits are stored it is refused."""
    edited.edits.add(*EDIT)
    with pytest.raises(UnsupportedCallError, match="pass all edits by"):
        edited.generate_batch([[1, 2]])


def test_unwrap_takes_every_hook_out(edited: EditedModel, mini: PreTrainedModel) -> None:
    """After `unwrap` no module of the base carries a hook of ours."""
    assert hooks_of_memedit(mini) > 0
    assert edited.unwrap() is mini
    assert hooks_of_memedit(mini) == 0


def test_an_unwrapped_model_answers_no_edit(
    edited: EditedModel, mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase
) -> None:
    """A row in scope is refused, and so is learning; any other row is still the base's."""
    edited.edits.add(*EDIT)
    edited.unwrap()
    meant = encode(mini_tokenizer, [IN_SCOPE])
    for refused in (lambda: edited.generate(**meant, max_new_tokens=2), edited.fit_edits):
        with pytest.raises(UnsupportedCallError, match="wrap the base again"):
            refused()
    plain = encode(mini_tokenizer, OUT_OF_SCOPE[:1])
    assert torch.equal(edited.generate(**plain, max_new_tokens=2), mini.generate(**plain, max_new_tokens=2))


@pytest.mark.parametrize(
    "thing", [object(), torch.nn.Linear(2, 2), "gpt2"], ids=["object", "module without generate", "name"]
)
def test_what_cannot_generate_is_refused(thing: Any) -> None:
    """Wrapping something without generate() says what was expected and what came."""
    with pytest.raises(UnsupportedModelError, match="expected a Hugging Face model"):
        wrap(thing)


def test_models_that_do_not_read_text_are_refused(mini_tokenizer: PreTrainedTokenizerBase) -> None:
    """A speech model is refused before anything is loaded, with its class and what it reads in the message."""
    config = WhisperConfig(
        vocab_size=64, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, num_mel_bins=8, max_source_positions=20,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    with pytest.raises(UnsupportedModelError, match="WhisperForConditionalGeneration, which reads input_features"):
        wrap(WhisperForConditionalGeneration(config), mini_tokenizer)


def test_a_wrapped_model_is_not_wrapped_twice(edited: EditedModel) -> None:
    """Wrapping again names the way to go on."""
    with pytest.raises(UnsupportedModelError, match="wrapped already"):
        wrap(edited)


def test_an_unknown_isolation_is_refused(
    mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, encoder: Any, classifier: ScopeClassifier
) -> None:
    """The error lists the levels there are."""
    memory = EditMemory(None, encoder)
    with pytest.raises(ValueError, match="exact, split, fused"):
        EditedModel(mini, mini_tokenizer, memory, Router(memory, classifier), None, isolation="total")  # type: ignore[arg-type]
