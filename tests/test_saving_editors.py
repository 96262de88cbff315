"""What a saved model brings along of its editors, and the pipelines that are made of it."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from memedit import EditMemory, ScopeClassifier, wrap
from memedit.checkpoints import shipped
from memedit.editors.counterfactual import CounterfactualConfig
from memedit.editors.grace import GraceConfig, GraceEditor
from memedit.editors.tpatcher import PatcherConfig, PatcherEditor
from memedit.errors import CheckpointError, UnsupportedModelError
from memedit.pipelines import EditedText2TextGenerationPipeline, EditedTextGenerationPipeline
from tests.generation.tiny import llama, t5
from tests.hooks import hooks_of_memedit
from tests.test_saving import QUESTIONS, answers, restored


def test_a_separate_counterfactual_model_comes_along(
    mini_tokenizer: PreTrainedTokenizerBase, encoder: Any, classifier: ScopeClassifier, tmp_path: Path
) -> None:
    """The small model that reads the edits is saved with its tokenizer, and answers as before beside the base."""
    base = llama()
    shutil.copytree(shipped("mini"), tmp_path / "reader")
    CounterfactualConfig(kind="model").save(tmp_path / "reader")
    model = wrap(base, mini_tokenizer, memory=EditMemory(None, encoder), scope=classifier, editor=tmp_path / "reader")
    model.edits.add(QUESTIONS[0], "Lyon")
    before = answers(model, mini_tokenizer)
    model.save_pretrained(tmp_path / "saved")
    shutil.rmtree(tmp_path / "reader")
    again = restored(tmp_path / "saved", base=base, tokenizer=mini_tokenizer, encoder=encoder)
    assert answers(again, mini_tokenizer) == before
    assert before[0].endswith("Lyon")
    assert "a separate small model reads the edit" in (tmp_path / "saved" / "README.md").read_text(encoding="utf-8")
    assert not list((tmp_path / "saved").rglob("*.bin")), "nothing pickled is copied"
    with pytest.raises(CheckpointError, match="folder they were loaded from"):
        model.save_pretrained(tmp_path / "again")


def test_what_was_learned_of_edits_comes_along(
    mini: PreTrainedModel,
    mini_tokenizer: PreTrainedTokenizerBase,
    encoder: Any,
    classifier: ScopeClassifier,
    tmp_path: Path,
) -> None:
    """Codebooks and neurons are restored and answer without fitting; those of removed edits stay behind."""
    editors = {
        "tpatcher": PatcherEditor(mini, mini_tokenizer, PatcherConfig(wordings=False)),
        "grace": GraceEditor(mini, mini_tokenizer, GraceConfig(layer=5, wordings=False)),
    }
    model = wrap(mini, mini_tokenizer, memory=EditMemory(None, encoder), scope=classifier, editor=editors)
    model.edits.update(model.edits.add(QUESTIONS[0], "Nice").id, target="Lyon")
    model.edits.add(QUESTIONS[2], "Florin", editor="grace")
    removed = model.edits.add("Who runs Acme?", "Mallory")
    told = model.fit_edits()
    assert {name: len(fit.edit_ids) for name, fit in told.items()} == {"tpatcher": 2, "grace": 1}
    assert model.fit_edits() == {}
    before = answers(model, mini_tokenizer)
    assert before[0].endswith("Lyon")
    assert before[2].endswith("Florin")
    model.edits.remove(removed.id)
    model.save_pretrained(tmp_path)
    assert isinstance(model.unwrap(), type(mini))
    assert hooks_of_memedit(mini) == 0
    assert removed.id not in (tmp_path / "editor" / "tpatcher" / "tpatcher.json").read_text()
    # A removed edit and former states stay behind with the history; what was learned does not.
    for history in (True, False):
        again = restored(tmp_path, base=mini, tokenizer=mini_tokenizer, encoder=encoder)
        assert again.fit_edits() == {}
        assert answers(again, mini_tokenizer) == before
        again.save_pretrained(tmp_path, history=not history)
        again.unwrap()
    trained = copy.deepcopy(mini)
    with torch.no_grad():
        trained.lm_head.weight.mul_(1.5)
    for method in ("tpatcher", "grace"):
        with pytest.raises(CheckpointError, match="this base is"):
            wrap(trained, mini_tokenizer, memory=model.edits, scope=classifier, editor=tmp_path / "editor" / method)
    assert hooks_of_memedit(trained) == 0


def test_a_pipeline_is_made_of_its_own_kind_of_model_only(
    mini_tokenizer: PreTrainedTokenizerBase, encoder: Any, classifier: ScopeClassifier, tmp_path: Path
) -> None:
    """What was saved of an encoder-decoder model becomes a text-to-text pipeline, and no other."""
    base = t5()
    model = wrap(base, mini_tokenizer, memory=EditMemory(None, encoder), scope=classifier)
    model.edits.add(QUESTIONS[0], "I may not say", kind="erase")
    model.save_pretrained(tmp_path)
    given = {"base": base, "tokenizer": mini_tokenizer, "encoder": encoder}
    pipe = EditedText2TextGenerationPipeline.from_pretrained(tmp_path, device="cpu", **given)
    assert pipe(QUESTIONS[0], max_new_tokens=9)[0]["generated_text"] == "I may not say"
    kept = EditMemory(None, encoder)
    for memory in (None, kept):
        with pytest.raises(UnsupportedModelError, match="and EditedText2TextGenerationPipeline"):
            EditedTextGenerationPipeline.from_pretrained(tmp_path, memory=memory, **given)
    assert len(kept) == 0, "the caller's memory stays open"
