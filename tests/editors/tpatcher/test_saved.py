"""Neurons in files, and an edited model that is saved with them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from memedit.editors.tpatcher import PUBLISHED, PatcherConfig, PatcherEditor, load_tpatcher
from memedit.errors import CheckpointError
from tests.editors.cases import EDITS, rows_of
from tests.generation.tiny import gpt2, llama

GREEDY = {"max_new_tokens": 8, "do_sample": False}
FEW = replace(PUBLISHED, routed=True, steps=20)


@pytest.fixture
def saved(mini_tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> PatcherEditor:
    """An editor with neurons for two edits, saved into the test's folder."""
    editor = PatcherEditor(llama(), mini_tokenizer, FEW)
    editor.fit(EDITS[:2])
    editor.save_pretrained(tmp_path)
    return editor


def test_neurons_are_restored_to_the_bit(
    saved: PatcherEditor, mini_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """What is loaded answers as before without fitting, and saves the same bytes."""
    again = load_tpatcher(tmp_path, saved._base, mini_tokenizer)
    assert isinstance(again, PatcherEditor)
    assert replace(again.config, base_fingerprint=None) == FEW
    assert again.missing(EDITS) == [EDITS[2]]
    rows = rows_of(mini_tokenizer, [edit.prompt for edit in EDITS[:2]], EDITS[:2])
    assert torch.equal(again.answer(rows, GREEDY), saved.answer(rows, GREEDY))
    again.save_pretrained(tmp_path / "again")
    for file in (tmp_path / "again").iterdir():
        assert file.read_bytes() == (tmp_path / file.name).read_bytes()


def test_an_editor_without_neurons_is_saved_too(mini_tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    """Settings come back where nothing was fitted."""
    base = llama()
    PatcherEditor(base, mini_tokenizer, PatcherConfig(steps=7)).save_pretrained(tmp_path)
    again = load_tpatcher(tmp_path, base, mini_tokenizer)
    assert isinstance(again, PatcherEditor)
    assert (again.config.steps, again.missing(EDITS)) == (7, list(EDITS))


def test_another_base_is_refused(saved: PatcherEditor, mini_tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    """Neurons belong to the base they were fitted for."""
    with pytest.raises(CheckpointError, match="was fitted for the base"):
        load_tpatcher(tmp_path, gpt2(), mini_tokenizer)


@pytest.mark.parametrize("damage", ["no settings", "no neurons", "not json", "cut off", "of another number"])
def test_damaged_files_are_refused(
    saved: PatcherEditor, mini_tokenizer: PreTrainedTokenizerBase, tmp_path: Path, damage: str
) -> None:
    """Files that are missing, broken or do not belong together give one clear error."""
    settings, neurons = tmp_path / "tpatcher.json", tmp_path / "neurons.safetensors"
    if damage == "no settings":
        settings.unlink()
    elif damage == "no neurons":
        neurons.unlink()
    elif damage == "not json":
        settings.write_text("{")
    elif damage == "cut off":
        neurons.write_bytes(neurons.read_bytes()[:-9])
    else:
        read = json.loads(settings.read_text())
        settings.write_text(json.dumps({**read, "records": read["records"][:1]}))
    with pytest.raises(CheckpointError, match="tpatcher"):
        load_tpatcher(tmp_path, saved._base, mini_tokenizer)
