"""Write an edited model into a folder; the base's weights stay where they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from memedit.checkpoints import shipped
from memedit.editors.base import Editor
from memedit.editors.counterfactual.config import CounterfactualConfig
from memedit.errors import CheckpointError
from memedit.memory.copying import write_copy
from memedit.saving.base_model import BaseRecord
from memedit.saving.card import card
from memedit.saving.layout import (
    CARD,
    CONFIG,
    EDITOR,
    EDITS,
    FORMAT,
    SCOPE,
    Parts,
    SavedConfig,
    own_version,
    scope_hash,
)
from memedit.scope.classifier import ScopeClassifier

_COPIED = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")
"""Files of a counterfactual model: weights, settings and its tokenizer; nothing pickled."""


def save(parts: Parts, folder: Path, *, history: bool = True) -> None:
    """Write all parts but the base's weights.

    Saving the same state again writes the same bytes.

    Args:
        parts: What to save.
        folder: Made if it does not exist; what an earlier save left in it is replaced.
        history: Whether removed edits and former states are saved too, so that they can be undone.

    Raises:
        CheckpointError: The folder holds something else, or a part has no form that can be saved.
        MemoryFileError: The memory cannot be read, or its copy not be written.
    """
    _make_room(folder)
    editor = _save_editor(parts.editor, folder / EDITOR)
    scope = _save_scope(parts.router.classifier, folder / SCOPE)
    write_copy(parts.memory, folder / EDITS, history=history)
    config = SavedConfig(
        base=BaseRecord.of(parts.base),
        tokenizer=getattr(parts.tokenizer, "name_or_path", None) or None,
        editor=editor,
        encoder=parts.memory.encoder.id,
        scope=scope,
        router={name: getattr(parts.router, name) for name in ("k", "floor", "margin")},
        settings=dict(parts.settings),
        memedit=own_version(),
    )
    (folder / CARD).write_text(card(config, parts.memory.list()), encoding="utf-8")
    # Last: a folder without it is a save that was cut off, and is not loaded.
    config.write(folder)


def _make_room(folder: Path) -> None:
    """Make the folder, and take out of it what an earlier save wrote, and nothing else."""
    if folder.is_file():
        raise CheckpointError(f"expected a folder to save into, but {folder} is a file")
    config = folder / CONFIG
    if config.is_file() and not _is_ours(config):
        raise CheckpointError(f"{folder} holds another model (its {CONFIG} is none of memedit's); save elsewhere")
    config.unlink(missing_ok=True)
    for name in (EDITOR, SCOPE):
        shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def _is_ours(config: Path) -> bool:
    try:
        values = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and values.get("format") == FORMAT


def _save_editor(editor: Editor, folder: Path) -> dict[str, Any]:
    config = getattr(editor, "config", None)
    if not isinstance(config, CounterfactualConfig):
        raise CheckpointError(
            f"an editor of class {type(editor).__name__} cannot be saved; expected a counterfactual one"
        )
    folder.mkdir()
    if config.kind != "base":
        source = getattr(editor, "folder", None)
        if source is None or not source.is_dir():
            raise CheckpointError(
                f"the weights of the counterfactual {config.kind} cannot be saved: "
                f"expected them in the folder they were loaded from, {source}"
            )
        for pattern in _COPIED:
            for file in sorted(source.glob(pattern)):
                shutil.copyfile(file, folder / file.name)
    config.save(folder)
    return {"method": "counterfactual", "kind": config.kind}


def _save_scope(classifier: object, folder: Path) -> dict[str, Any]:
    if not isinstance(classifier, ScopeClassifier):
        raise CheckpointError(
            f"a classifier of class {type(classifier).__name__} cannot be saved; expected a ScopeClassifier"
        )
    classifier.save_pretrained(folder)
    sha256 = scope_hash(folder)
    if is_shipped := sha256 == shipped_scope_hash():
        shutil.rmtree(folder)
    return {"shipped": is_shipped, "sha256": sha256, "encoder_sha256": classifier.encoder.weights_sha256}


def shipped_scope_hash() -> str | None:
    """Hash of the scope classifier that ships with this installation; None if there is none."""
    try:
        return scope_hash(shipped(SCOPE))
    except CheckpointError:
        return None
