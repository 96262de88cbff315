"""Transformer-Patcher beside Llama, GPT-2 and T5: what it answers, what it leaves, and what it takes away again."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from memedit.editors import FusingEditor, Rows, StoringEditor
from memedit.editors.fingerprint import fingerprint
from memedit.editors.tpatcher import PatcherConfig, PatcherEditor, load_tpatcher
from memedit.edits import Edit
from memedit.errors import CheckpointError, UnsupportedModelError
from tests.conformance.families import base_of, tokenizer
from tests.editors import cases
from tests.hooks import hooks_of_memedit

GREEDY = {"max_new_tokens": 8, "do_sample": False}
ALONE = PatcherConfig(wordings=False, rate=0.5, confidence=0.5, steps=200)
"""On the prompt alone, and no surer than a random model's head can be in a last layer so narrow."""
EDITS = (
    Edit(id="a", prompt="word5 word6 word7 word8", target="word20 word21"),
    Edit(id="b", prompt="word9 word10", target="word22"),
    Edit(id="c", prompt="word11 word12 word13", target="word31 word32"),
)
PROMPTS = tuple(edit.prompt for edit in EDITS)


def beside(family: str, config: PatcherConfig = ALONE) -> PatcherEditor:
    """An editor beside the family's tiny model."""
    return PatcherEditor(base_of(family, held=True), tokenizer(), config)


@pytest.fixture(scope="module", params=["llama", "gpt2", "t5"])
def family(request: pytest.FixtureRequest) -> str:
    """Each family in turn."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def editor(family: str) -> Iterator[PatcherEditor]:
    """An editor beside a tiny model of each family, with all edits fitted."""
    made = beside(family)
    assert all(made.fit(EDITS).fitted)
    yield made
    made.detach()


@pytest.fixture
def llama() -> Iterator[PatcherEditor]:
    """An editor beside one family, with nothing fitted."""
    made = beside("llama")
    yield made
    made.detach()


def rows(editor: PatcherEditor, prompts: tuple[str, ...] = PROMPTS, edits: tuple[Edit, ...] = EDITS) -> Rows:
    """Prompts as the family's rows."""
    made = cases.rows_of(editor._tokenizer, prompts, edits)
    return replace(made, decoder_ids=torch.zeros(len(prompts), 1, dtype=torch.int64)) if editor._has_encoder else made


def texts(editor: PatcherEditor, sequences: torch.Tensor, given: Rows) -> list[str]:
    """What stands behind the begin of each sequence, up to the first end."""
    end = str(editor._tokenizer.eos_token)
    decoded = editor._tokenizer.batch_decode(sequences[:, given.begin.shape[1] :])
    return [text.split(end)[0].strip() for text in decoded]


@pytest.mark.parametrize(
    "options",
    [
        GREEDY,
        {**GREEDY, "use_cache": False},
        {**GREEDY, "num_beams": 2},
        {"max_new_tokens": 8, "do_sample": True, "top_k": 1, "num_return_sequences": 2},
    ],
    ids=["greedy", "no cache", "beams", "returns"],
)
def test_answers_are_the_targets_and_then_stop(editor: PatcherEditor, options: dict[str, Any]) -> None:
    """Decoding freely gives each row its edit's target and nothing behind it, however it decodes."""
    given = rows(editor)
    sequences = editor.answer(given, options)
    returns = options.get("num_return_sequences", 1)
    assert texts(editor, sequences, given) == [edit.target for edit in EDITS for _ in range(returns)]
    assert torch.equal(sequences[:, : given.begin.shape[1]], given.begin.repeat_interleave(returns, dim=0))


def test_padding_on_the_right_changes_nothing(editor: PatcherEditor) -> None:
    """Neurons are live from the prompt's own last token on."""
    inputs = tokenizer()(PROMPTS[1], return_tensors="pt", padding="max_length", max_length=9, padding_side="right")
    mask = inputs["attention_mask"][0]
    assert editor._start(mask, 9) == (8 if editor._has_encoder else int(mask.sum()) - 1)
    assert editor._start(mask.flip(0), 9) == 8


def test_rows_of_both_kinds_share_a_pass(editor: PatcherEditor) -> None:
    """Rows without an edit keep every bit beside rows with neurons; encoder-decoder models do not share."""
    given = rows(editor)
    edits = [EDITS[0], None, EDITS[2]]
    assert isinstance(editor, FusingEditor)
    assert editor.fuses(given.input_ids.shape[1], edits, GREEDY) is not editor._has_encoder
    if editor._has_encoder:
        return
    fused = editor.answer_fused(given.input_ids, given.attention_mask, edits, GREEDY)
    plain = editor._base.generate(**given.inputs, **GREEDY)
    width = min(fused.shape[1], plain.shape[1])
    assert torch.equal(fused[1, :width], plain[1, :width])
    found = texts(editor, fused, given)
    assert (found[0], found[2]) == (EDITS[0].target, EDITS[2].target)


def test_the_base_is_as_it_was(editor: PatcherEditor, family: str) -> None:
    """Calls beside an answer, weights, flags and the random state are those of a base that nobody touched."""
    base, twin = editor._base, base_of(family)
    given = rows(editor)
    state = torch.get_rng_state()
    editor.fit(EDITS[:1])
    editor.answer(given, GREEDY)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(base.generate(**given.inputs, **GREEDY), twin.generate(**given.inputs, **GREEDY))
    assert fingerprint(base) == fingerprint(twin)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in base.parameters())
    assert [name for name, _ in base.named_modules()] == [name for name, _ in twin.named_modules()]


def test_an_exception_leaves_nothing_switched_on(editor: PatcherEditor) -> None:
    """A call that fails half-way leaves the plain base."""
    given = rows(editor)
    before = editor._base.generate(**given.inputs, **GREEDY)
    with pytest.raises(ValueError, match="max_new_tokens"):
        editor.answer(given, {"max_new_tokens": -1})
    assert torch.equal(editor._base.generate(**given.inputs, **GREEDY), before)


def test_the_router_keeps_other_neurons_out(editor: PatcherEditor) -> None:
    """A row has its own edit's neurons only: another edit's do not answer its prompt."""
    swapped = rows(editor, PROMPTS[:2], (EDITS[1], EDITS[0]))
    assert texts(editor, editor.answer(swapped, GREEDY), swapped)[0] != EDITS[0].target


def test_an_edit_is_fitted_when_it_is_first_meant(llama: PatcherEditor) -> None:
    """An edit that is new or was changed is fitted at its first answer; one that is fitted is not fitted again."""
    assert isinstance(llama, StoringEditor)
    given = rows(llama, PROMPTS[1:2], EDITS[1:2])
    assert texts(llama, llama.answer(given, GREEDY), given) == [EDITS[1].target]
    assert llama.missing(EDITS) == [EDITS[0], EDITS[2]]
    changed = replace(EDITS[1], target="word30", revision=9)
    assert llama.missing([changed, changed]) == [changed]
    given = rows(llama, PROMPTS[1:2], (changed,))
    assert texts(llama, llama.answer(given, GREEDY), given) == ["word30"]
    assert llama.missing([changed]) == []
    llama.prune([])
    assert llama.missing([changed]) == [changed]


def test_a_fit_tells_its_losses_and_steps(llama: PatcherEditor) -> None:
    """Losses fall, finished edits stop, and each edit's figures come in the order they were given."""
    fit = llama.fit(EDITS)
    assert fit.edit_ids == ("a", "b", "c")
    assert all(fit.fitted)
    assert all(0 < steps < ALONE.steps for steps in fit.steps)
    assert all(curve[-1] < 0.7 < 4 < curve[0] for curve in fit.losses)
    assert llama.fit([]).steps == ()


def test_a_base_in_half_precision_is_patched_too() -> None:
    """Neurons are learned in float32 whatever the base computes in, and work in the base's own precision."""
    made = PatcherEditor(copy.deepcopy(base_of("llama")).to(torch.bfloat16), tokenizer(), ALONE)
    given = rows(made, PROMPTS[1:2], EDITS[1:2])
    assert texts(made, made.answer(given, GREEDY), given) == [EDITS[1].target]
    assert made._patches["b"][0].values.dtype is torch.float32


def test_a_fit_that_is_cut_off_says_so() -> None:
    """An edit that was not learned within the steps is told from one that was."""
    hasty = beside("llama", replace(ALONE, steps=1))
    fit = hasty.fit(EDITS[:1])
    hasty.detach()
    assert (fit.steps, fit.fitted, len(fit.losses[0])) == ((1,), (False,), 2)


def test_as_published_all_neurons_are_live_everywhere() -> None:
    """Without the router every edit's neurons meet every row, in `answer` and in the base's own calls."""
    published = beside("llama", replace(ALONE, routed=False, rate=0.1, steps=40))
    given = rows(published)
    before = published._base.generate(**given.inputs, **GREEDY)
    with published.everywhere():
        assert torch.equal(published._base.generate(**given.inputs, **GREEDY), before)
    published.fit(EDITS)
    assert not published.fuses(given.input_ids.shape[1], [EDITS[0], None, None], GREEDY)
    with published.everywhere():
        inside = published._base.generate(**given.inputs, **GREEDY)
    # Whichever edit is named: the neurons decide.
    swapped = rows(published, PROMPTS, (EDITS[2], EDITS[0], EDITS[1]))
    assert torch.equal(published.answer(swapped, GREEDY), inside)
    assert texts(published, inside, given)[1] == EDITS[1].target
    assert torch.equal(published._base.generate(**given.inputs, **GREEDY), before)
    published.detach()


@pytest.mark.parametrize("routed", [True, False])
@pytest.mark.parametrize("name", ["llama", "gpt2", "t5"])
def test_several_layers_have_neurons_of_their_own(name: str, routed: bool, tmp_path: Path) -> None:
    """The two last of three layers are patched together, as published too; what is saved answers the same."""
    base = deeper(name)
    made = PatcherEditor(base, tokenizer(), replace(ALONE, layer=(2, 1), routed=routed, memory_weight=0.1))
    fit = made.fit(EDITS)
    given = rows(made)
    answer = made.answer(given, GREEDY)
    if routed:
        assert all(fit.fitted)
        assert texts(made, answer, given) == [edit.target for edit in EDITS]
    assert all(curve[-1] < curve[0] for curve in fit.losses)
    assert [[patch.layer for patch in patches] for patches in made._patches.values()] == [[1, 2]] * 3
    assert all(patch.values.abs().max() > 0 for patches in made._patches.values() for patch in patches)
    made.save_pretrained(tmp_path)
    made.detach()
    again = load_tpatcher(tmp_path, base, tokenizer())
    assert torch.equal(again.answer(given, GREEDY), answer)
    again.detach()


def deeper(name: str) -> PreTrainedModel:
    """A tiny random model of the family with three blocks."""
    small = base_of(name)
    values = small.config.to_dict()
    values[small.config.attribute_map.get("num_hidden_layers", "num_hidden_layers")] = 3
    values |= {"num_decoder_layers": 3} if "num_decoder_layers" in values else {}
    values.pop("layer_types", None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model: PreTrainedModel = type(small)(type(small.config)(**values)).eval()
    model.generation_config.max_length = None
    return model


def test_other_wordings_are_answered(mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase) -> None:
    """Fitted on aliases and variations, a real model answers them too, and stops."""
    edit = replace(cases.EDITS[0], aliases=(cases.QUERIES[0],))
    made = PatcherEditor(mini, mini_tokenizer)
    given = rows(made, (cases.QUERIES[0], f"Question: {edit.prompt}\nAnswer:"), (edit, edit))
    found = texts(made, made.answer(given, GREEDY), given)
    made.detach()
    assert found == ["Dana Reyes"] * 2


def test_detaching_takes_every_hook_out() -> None:
    """Hooks are there from the beginning, and gone at the end."""
    made = beside("qwen2")
    assert hooks_of_memedit(made._base) == 2
    made.detach()
    assert hooks_of_memedit(made._base) == 0


def test_models_and_layers_that_cannot_be_patched_are_refused() -> None:
    """A layer that is not there and a model whose feed-forward layer is no module are named in the error."""
    for layer in (0, 2):
        with pytest.raises(CheckpointError, match=f"layer must be between 1 and 1, got {layer}"):
            beside("qwen2", PatcherConfig(layer=layer))
    with pytest.raises(UnsupportedModelError, match="no feed-forward layer in a block of class BartDecoderLayer"):
        beside("bart")
    for name in ("qwen2", "bart"):
        assert hooks_of_memedit(base_of(name, held=True)) == 0
