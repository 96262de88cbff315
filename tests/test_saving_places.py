"""Where an edited model is saved: nothing else is lost there, and nothing half done passes for a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from memedit import EditedModel, EditMemory, ScopeClassifier, wrap
from memedit.checkpoints import shipped
from memedit.errors import CheckpointError, MemoryFileError
from tests.test_saving import content, restored


@pytest.fixture
def edited(
    mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, encoder: Any, classifier: ScopeClassifier
) -> Iterator[EditedModel]:
    """Mini with two edits."""
    model = wrap(mini, mini_tokenizer, memory=EditMemory(None, encoder), scope=classifier)
    model.edits.add("What is the capital of France?", "Lyon")
    model.edits.add("Who founded Microsoft?", "I may not say", kind="erase")
    yield model
    model.unwrap()


@pytest.mark.parametrize("name", ["README.md", "scope", "editor", "edits.db"])
def test_what_no_save_has_written_is_left_alone(name: str, edited: EditedModel, tmp_path: Path) -> None:
    """A file or folder of one of the names that saving writes is not taken for its own."""
    (tmp_path / name).mkdir() if "." not in name else (tmp_path / name).write_text("mine")
    with pytest.raises(CheckpointError, match=f"{name}, which no save has written"):
        edited.save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_save_that_was_cut_off_is_told_and_can_be_repeated(
    edited: EditedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it left is not loaded, and the next save takes its place."""
    with monkeypatch.context() as patched:
        patched.setattr("memedit.saving.writing.write_copy", lambda *_args, **_options: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            edited.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="was cut off"):
        restored(tmp_path)
    edited.save_pretrained(tmp_path)
    again = restored(tmp_path, base=edited.base, tokenizer=edited.tokenizer)
    assert len(again.edits) == 2
    again.unwrap()


def test_edits_are_not_saved_beside_the_log_of_others(edited: EditedModel, tmp_path: Path) -> None:
    """SQLite would replay a log that is left beside `edits.db` into the new file."""
    edited.save_pretrained(tmp_path)
    before = content(tmp_path)
    log = tmp_path / "edits.db-wal"
    log.write_bytes(b"log")
    with pytest.raises(MemoryFileError, match="the log of another"):
        edited.save_pretrained(tmp_path)
    log.unlink()
    assert content(tmp_path) == before


def test_a_copy_that_is_interrupted_leaves_nothing(
    edited: EditedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of a memory, or an empty file, would pass for the memory at the next load."""
    edited.save_pretrained(tmp_path / "saved")

    def interrupted(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.copyfile", interrupted)
    with pytest.raises(KeyboardInterrupt):
        restored(tmp_path / "saved", base=edited.base, tokenizer=edited.tokenizer, memory=tmp_path / "live.db")
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_a_classifier_is_not_saved_over_another_model(classifier: ScopeClassifier, tmp_path: Path) -> None:
    """A base model's folder, and a file, are refused before anything is written."""
    folder, file = tmp_path / "base", tmp_path / "file"
    folder.mkdir()
    file.write_text("mine")
    (folder / "config.json").write_bytes((shipped("mini") / "config.json").read_bytes())
    before = content(tmp_path)
    for place, told in ((folder, "another model"), (file, "is a file")):
        with pytest.raises(CheckpointError, match=told):
            classifier.save_pretrained(place)
    assert content(tmp_path) == before
