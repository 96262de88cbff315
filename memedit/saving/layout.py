"""What a saved edited model consists of: the names of its files and the form of its `config.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from memedit.checkpoints import shipped
from memedit.editors.base import Editor
from memedit.errors import CheckpointError
from memedit.memory import EditMemory
from memedit.saving.base_model import BaseRecord
from memedit.scope.router import Router
from memedit.scope.saved import SavedClassifier
from memedit.scope.thresholds import FORMS

FORMAT = "memedit-edited-model"
FORMAT_VERSION = 1

CONFIG = "config.json"
CARD = "README.md"
EDITS = "edits.db"
EDITOR = "editor"
SCOPE = "scope"
_UNFINISHED = "unfinished"


@dataclass(frozen=True)
class Parts:
    """What an edited model is made of.

    Attributes:
        base: The base model.
        tokenizer: Its tokenizer, or None.
        memory: The edits.
        router: Decides which edit is meant.
        editor: Answers in-scope rows.
        settings: Further keyword arguments of `EditedModel`, JSON values.
    """

    base: Any
    tokenizer: Any
    memory: EditMemory
    router: Router
    editor: Editor
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class SavedConfig:
    """The content of `config.json`.

    Attributes:
        base: How the base is found and recognised.
        tokenizer: Hub id or folder of the tokenizer; None if the model had none.
        editor: `default`: name of the editor for edits that name none; `editors`: `method` and `kind`
            of each, by name, whose files lie in `editor/` under that name.
        encoder: Id of the sentence encoder that made the vectors of the edits.
        scope: `shipped`: whether the classifier is the one that ships with memedit, else it lies in
            `scope/`; `sha256`: hash of its files; `encoder_sha256`: the weights it builds on.
        router: Settings of the router, by name.
        settings: Settings of the edited model, by name.
        memedit: The version that wrote it.
    """

    base: BaseRecord
    tokenizer: str | None
    editor: Mapping[str, Any]
    encoder: str
    scope: Mapping[str, Any]
    router: Mapping[str, Any]
    settings: Mapping[str, Any]
    memedit: str

    def write(self, folder: Path) -> None:
        """Write `config.json` into `folder`."""
        _write(folder, asdict(self))

    @staticmethod
    def begin(folder: Path) -> None:
        """Write a `config.json` that says that a save has begun: the rest of the folder is ours, and not complete."""
        _write(folder, {_UNFINISHED: True})

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What `write` wrote.

        Raises:
            CheckpointError: There is none, it is damaged, of another format or of a save that was cut off.
        """
        path = folder / CONFIG
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise CheckpointError(f"expected an edited model, but {path} does not exist") from error
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} cannot be read as JSON: {error}") from error
        found = (values.pop("format", None), values.pop("format_version", None)) if isinstance(values, dict) else None
        if found != (FORMAT, FORMAT_VERSION):
            raise CheckpointError(f"expected a {FORMAT} of version {FORMAT_VERSION} in {folder}, got {found}")
        if values.get(_UNFINISHED):
            raise CheckpointError(f"the save into {folder} was cut off; save the model again")
        try:
            return cls(**{**values, "base": BaseRecord(**values["base"])})
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"{path} is damaged: {error}") from error


def _write(folder: Path, values: Mapping[str, Any]) -> None:
    text = json.dumps({"format": FORMAT, "format_version": FORMAT_VERSION, **values}, indent=2, ensure_ascii=False)
    (folder / CONFIG).write_text(text + "\n", encoding="utf-8")


def scope_hash(folder: Path) -> str:
    """SHA-256 of what decides the answers of the scope classifier in `folder`.

    Raises:
        CheckpointError: There is none, or it is damaged.
    """
    saved = SavedClassifier.read(folder)
    digest = hashlib.sha256((folder / "adapter.safetensors").read_bytes())
    chosen = saved.threshold
    thresholds: list[float | None] = [chosen.value if chosen else None]
    if chosen:
        thresholds += [chosen.by_form[form].value if form in chosen.by_form else None for form in FORMS]
    # Not the files themselves: they also hold evidence and cards, in a form that may change.
    digest.update(json.dumps([saved.calibration.to_json(), *thresholds], sort_keys=True).encode())
    return digest.hexdigest()


def shipped_scope_hash() -> str | None:
    """Hash of the scope classifier that ships with this installation; None if there is none."""
    try:
        return scope_hash(shipped(SCOPE))
    except CheckpointError:
        return None


def own_version() -> str:
    """The installed version of memedit."""
    try:
        return version("memedit")
    except PackageNotFoundError:  # used from a source tree that was never installed
        return "unknown"
