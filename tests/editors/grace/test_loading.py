from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from memedit.editors.grace import GraceConfig, GraceEditor, load_grace
from memedit.editors.grace.editor import FILES
from memedit.errors import CheckpointError
from tests.conformance.families import base_of, tokenizer
from tests.editors.grace.test_editor import EDITS, GREEDY, rows_of


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A codebook of three edits of the Llama."""
    editor = GraceEditor(base_of("llama", held=True), tokenizer(), GraceConfig(steps=8))
    editor.fit(EDITS)
    editor.save_pretrained(tmp_path / "grace")
    editor.detach()
    return tmp_path / "grace"


def test_a_codebook_comes_back_as_it_was(saved: Path, tmp_path: Path) -> None:
    """Loaded, it answers the same without fitting anything, and saves the same files."""
    base = base_of("llama", held=True)
    fitted = GraceEditor(base, tokenizer(), GraceConfig(steps=8))
    fitted.fit(EDITS)
    expected = fitted.answer(rows_of("llama"), GREEDY)
    fitted.detach()
    editor = load_grace(saved, base, tokenizer())
    assert isinstance(editor, GraceEditor)
    assert editor.missing(EDITS) == []
    assert torch.equal(editor.answer(rows_of("llama"), GREEDY), expected)
    editor.save_pretrained(tmp_path / "again")
    editor.detach()
    for name in (FILES.settings, FILES.vectors):
        assert (tmp_path / "again" / name).read_bytes() == (saved / name).read_bytes()


def test_an_empty_codebook_can_be_saved(tmp_path: Path) -> None:
    """Before any fit there is nothing but the settings."""
    base = base_of("llama", held=True)
    editor = GraceEditor(base, tokenizer(), GraceConfig(steps=7))
    editor.save_pretrained(tmp_path)
    loaded = load_grace(tmp_path, base, tokenizer())
    assert isinstance(loaded, GraceEditor)
    assert (loaded.config.steps, len(loaded.codebook), loaded.choice) == (7, 0, None)
    loaded.detach()
    editor.detach()


def test_another_base_is_refused(saved: Path) -> None:
    """A codebook's vectors mean nothing in another model."""
    with pytest.raises(CheckpointError, match="was fitted for the base"):
        load_grace(saved, base_of("mistral"), tokenizer())


@pytest.mark.parametrize("name", [FILES.settings, FILES.vectors])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_codebook_is_refused(saved: Path, name: str, damage: str) -> None:
    """A missing or cut file is a clear error that names the folder."""
    if damage == "missing":
        (saved / name).unlink()
    else:
        (saved / name).write_bytes((saved / name).read_bytes()[:40])
    with pytest.raises(CheckpointError, match="grace"):
        load_grace(saved, base_of("llama"), tokenizer())


def test_settings_that_do_not_exist_are_refused(saved: Path) -> None:
    """An unknown field or layer of the file is an error, as is one in code."""
    values = json.loads((saved / FILES.settings).read_text())
    (saved / FILES.settings).write_text(json.dumps({**values, "config": {**values["config"], "colour": 1}}))
    with pytest.raises(CheckpointError, match="colour"):
        load_grace(saved, base_of("llama"), tokenizer())
    with pytest.raises(CheckpointError, match="value must be one of"):
        GraceConfig(value="both")  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="layer must be between 0 and 1"):
        GraceEditor(base_of("llama"), tokenizer(), GraceConfig(layer=2))
