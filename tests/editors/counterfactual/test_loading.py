from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from memedit.checkpoints import shipped
from memedit.editors.counterfactual import CounterfactualConfig, SeparateModelEditor, load_counterfactual
from memedit.editors.counterfactual.batches import Example
from memedit.editors.counterfactual.fitting import AdapterTraining, fit_adapter
from memedit.editors.fingerprint import fingerprint
from memedit.errors import CheckpointError
from tests.editors.cases import rows_of


def tiny_llama(vocabulary: int = 8192) -> LlamaForCausalLM:
    """A small random model with mini's vocabulary."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, bos_token_id=None, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def test_an_adapter_is_refused_on_another_base(mini_tokenizer: PreTrainedTokenizerBase) -> None:
    """The shipped adapter names the base it was made for and refuses others."""
    with pytest.raises(CheckpointError, match="was made for the base"):
        load_counterfactual(shipped("counterfactual-mini"), tiny_llama(), mini_tokenizer)


def test_a_folder_without_settings_is_refused(
    mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """A missing or foreign folder gives one sentence with the file that was expected."""
    with pytest.raises(CheckpointError, match=r"counterfactual\.json"):
        load_counterfactual(tmp_path, mini, mini_tokenizer)
    (tmp_path / "counterfactual.json").write_text(json.dumps({"kind": "wizard"}))
    with pytest.raises(CheckpointError, match="kind must be one of"):
        load_counterfactual(tmp_path, mini, mini_tokenizer)


def test_a_separate_model_answers_in_the_bases_ids(mini_tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    """A counterfactual model of its own (here mini, beside a random base) copies the edit's target."""
    shutil.copytree(shipped("mini"), tmp_path / "reader")
    CounterfactualConfig(kind="model").save(tmp_path / "reader")
    editor = load_counterfactual(tmp_path / "reader", tiny_llama(), mini_tokenizer)
    assert isinstance(editor, SeparateModelEditor)
    rows = rows_of(mini_tokenizer)
    sequences = editor.answer(rows, {"max_new_tokens": 12, "do_sample": False})
    assert torch.equal(sequences[:, : rows.input_ids.shape[1]], rows.input_ids)
    answer = mini_tokenizer.decode(sequences[1, rows.input_ids.shape[1] :], skip_special_tokens=True)
    assert answer.strip() == "Sheffield"


def test_fitting_leaves_the_base_as_it_was_and_writes_a_loadable_adapter(
    mini_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """Training an adapter changes no weight, flag or module of the base, and its files load again."""
    base = tiny_llama()
    base.lm_head.weight.requires_grad_(False)
    before = fingerprint(base), [type(module) for module in base.modules()]
    reading = [Example("Who runs Acme?", "Dana", "Fact: Who runs Acme? Dana.\n")] * 4
    keeping = [Example("Who runs Ford?", "Henry", "Fact: Who runs Acme? Dana.\n")] * 2
    losses = fit_adapter(
        base, mini_tokenizer, lambda step: (reading, keeping), tmp_path, AdapterTraining(steps=3, rank=2)
    )
    assert set(losses) == {"read", "keep"}
    assert (fingerprint(base), [type(module) for module in base.modules()]) == before
    assert not base.lm_head.weight.requires_grad
    assert base.model.embed_tokens.weight.requires_grad
    editor = load_counterfactual(tmp_path, base, mini_tokenizer)
    assert len(editor.answer(rows_of(mini_tokenizer), {"max_new_tokens": 2})) == 3
