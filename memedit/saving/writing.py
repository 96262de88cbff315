"""Write an edited model into a folder; the base's weights stay where they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from memedit.editors.methods import choose, save_editors
from memedit.errors import CheckpointError
from memedit.memory import EditMemory
from memedit.memory.copying import write_copy
from memedit.memory.schema import check_no_log
from memedit.saving.base_model import BaseRecord, source_of
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
    shipped_scope_hash,
)
from memedit.scope.classifier import ScopeClassifier


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
    _check_place(folder, parts.memory)
    check_no_log(folder / EDITS)
    editors = choose(parts.editor, parts.base, parts.tokenizer)
    # What was learned of edits that were removed is to leave with them.
    editors.prune({edit.id for edit in parts.memory})
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".memedit-", dir=folder) as partial:
        editor = save_editors(editors, Path(partial) / EDITOR)
        scope = _save_scope(parts.router.classifier, Path(partial) / SCOPE)
        # Not before: an editor that was loaded from this very folder is copied from there.
        _replace(folder, Path(partial))
    write_copy(parts.memory, folder / EDITS, history=history)
    config = SavedConfig(
        base=BaseRecord.of(parts.base),
        tokenizer=source_of(parts.tokenizer),
        editor=editor,
        encoder=parts.memory.encoder.id,
        scope=scope,
        router={name: getattr(parts.router, name) for name in ("k", "floor", "margin")},
        settings=dict(parts.settings),
        memedit=own_version(),
    )
    (folder / CARD).write_text(card(config, parts.memory.list()), encoding="utf-8")
    # Last: until then the save counts as cut off, and is not loaded.
    config.write(folder)


def _check_place(folder: Path, memory: EditMemory) -> None:
    """Refuse a place where something else would be lost, before anything there is touched."""
    if folder.is_file():
        raise CheckpointError(f"expected a folder to save into, but {folder} is a file")
    if memory.path is not None and memory.path.resolve() == (folder / EDITS).resolve():
        raise CheckpointError(f"{memory.path} is the memory in use and would be replaced; save elsewhere")
    config = folder / CONFIG
    if config.exists() and not _is_ours(config):
        raise CheckpointError(f"{folder} holds another model (its {CONFIG} is none of memedit's); save elsewhere")
    others = [name for name in (EDITS, EDITOR, SCOPE, CARD) if (folder / name).exists()]
    if others and not config.exists():
        raise CheckpointError(f"{folder} holds {', '.join(others)}, which no save has written; save elsewhere")


def _replace(folder: Path, written: Path) -> None:
    """Put the folders that were written in place of those of an earlier save, which is none from now on."""
    SavedConfig.begin(folder)
    for name in (EDITOR, SCOPE):
        shutil.rmtree(folder / name, ignore_errors=True)
        if (written / name).is_dir():
            (written / name).rename(folder / name)


def _is_ours(config: Path) -> bool:
    try:
        values = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and values.get("format") == FORMAT


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
