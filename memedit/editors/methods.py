"""The methods there are: by which name an edit asks for one, and by which file its checkpoint is known.

A new method is a folder beside this file and an entry in each of the two tables.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from transformers import PreTrainedTokenizerBase

from memedit.checkpoints import shipped
from memedit.editors.base import Editor
from memedit.editors.choice import EditorChoice
from memedit.editors.counterfactual import CounterfactualConfig, CounterfactualEditor, load_counterfactual
from memedit.editors.counterfactual.config import CONFIG_FILE as COUNTERFACTUAL_FILE
from memedit.editors.fingerprint import fingerprint
from memedit.editors.grace import GraceConfig, GraceEditor, load_grace
from memedit.editors.grace.editor import FILES as GRACE_FILES
from memedit.editors.tpatcher import PatcherConfig, PatcherEditor, load_tpatcher
from memedit.editors.tpatcher.editor import FILES as TPATCHER_FILES
from memedit.edits import check_editor_name
from memedit.errors import CheckpointError, UnsupportedModelError

logger = logging.getLogger(__name__)

CHOICE_FILE = "choice.json"
SHIPPED_COUNTERFACTUAL = "counterfactual-mini"
OWN = "own"
"""Name of an editor of a class of the caller's, where no other name is given."""

GivenEditor = str | Path | Editor
"""A name of `NAMED`, a checkpoint folder, or an editor."""
GivenEditors = GivenEditor | Sequence[str] | Mapping[str, GivenEditor] | None
"""What `choose` takes."""


@dataclass(frozen=True)
class Method:
    """A way to edit.

    Attributes:
        settings: Class of the `config` of its editors.
        file: The file by which its checkpoints are known.
        load: Builds the editor of a checkpoint, from its folder, the base and the base's tokenizer.
    """

    settings: type[Any]
    file: str
    load: Callable[[Path, Any, PreTrainedTokenizerBase], Editor]


def _shipped_counterfactual(base: Any, tokenizer: PreTrainedTokenizerBase) -> Editor:
    return load_counterfactual(shipped(SHIPPED_COUNTERFACTUAL), base, tokenizer)


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "counterfactual": Method(CounterfactualConfig, COUNTERFACTUAL_FILE, load_counterfactual),
        "grace": Method(GraceConfig, GRACE_FILES.settings, load_grace),
        "tpatcher": Method(PatcherConfig, TPATCHER_FILES.settings, load_tpatcher),
    }
)
"""By its name, every method that can be saved and loaded."""

NAMED: Mapping[str, Callable[[Any, PreTrainedTokenizerBase], Editor]] = MappingProxyType(
    {
        "base": CounterfactualEditor,
        "counterfactual": _shipped_counterfactual,
        "grace": GraceEditor,
        "tpatcher": PatcherEditor,
    }
)
"""What makes an editor that edits of every model may name, from the base and its tokenizer."""


def choose(given: GivenEditors, base: Any, tokenizer: PreTrainedTokenizerBase | None) -> EditorChoice:
    """The editors of a model.

    Args:
        given: One editor (or a folder with several); a sequence of names, or a mapping from names of
            the caller's choice to editors, of which the first is the default; None for
            `counterfactual` where the shipped adapter fits the base, and `base` elsewhere.
        base: The base model.
        tokenizer: Its tokenizer; editors that are not given as objects need it.

    Returns:
        A choice that knows what was given, made at once, and all of `NAMED`, made when an edit asks for them.

    Raises:
        CheckpointError: A checkpoint is missing or was made for another base.
        UnsupportedModelError: An editor needs a tokenizer, or cannot work beside this base.
        InvalidEditError: A name is none that an edit can have.
        ValueError: Nothing was given, or two editors of one name.
    """
    if isinstance(given, EditorChoice):
        return given
    if isinstance(given, str | Path) and (Path(given) / CHOICE_FILE).is_file():
        given = _saved(Path(given))
    if given is None:
        given = "counterfactual" if _fits_shipped(base) else "base"
    editors: dict[str, Editor] = {}
    with ExitStack() as undo:
        for own_name, part in _pairs(given):
            editor = part if isinstance(part, Editor) else _made(part, base, tokenizer)
            if editor is not part:
                undo.callback(editor.detach)
            name = own_name or (part if isinstance(part, str) and part in NAMED else _name_of(editor))
            if name in editors:
                raise ValueError(f"two editors are named {name!r}; give a mapping with a name for each")
            editors[name] = editor
        if not editors:
            raise ValueError("expected at least one editor, got none")
        makers = {name: partial(_made, name, base, tokenizer) for name in NAMED}
        choice = EditorChoice(base, tokenizer, next(iter(editors)), editors, makers)
        undo.pop_all()
    return choice


def save_editors(choice: EditorChoice, folder: Path) -> dict[str, Any]:
    """Write all editors that are made into a new folder, which `choose` takes.

    Args:
        choice: The editors.
        folder: Does not exist yet; each editor gets a folder of its name in it.

    Returns:
        As JSON values the default's name and, for each editor, its method and what kind of it.

    Raises:
        CheckpointError: An editor is of none of `METHODS`, or its weights are not where they were.
    """
    told = {}
    for name, editor in sorted({choice.default: choice[choice.default], **choice.made}.items()):
        method = method_of(editor)
        if method is None:
            raise CheckpointError(
                f"the editor {name!r} of class {type(editor).__name__} cannot be saved; "
                f"expected one of the methods {', '.join(METHODS)}"
            )
        (folder / name).mkdir(parents=True)
        saved: Any = editor
        saved.save_pretrained(folder / name)
        told[name] = {"method": method, "kind": getattr(saved.config, "kind", method)}
    values = {"default": choice.default, "editors": list(told)}
    (folder / CHOICE_FILE).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    return {"default": choice.default, "editors": told}


def method_of(editor: Editor) -> str | None:
    """The name of an editor's method among `METHODS`; None for an editor of the caller's."""
    config = getattr(editor, "config", None)
    return next((name for name, method in METHODS.items() if isinstance(config, method.settings)), None)


def _saved(folder: Path) -> dict[str, GivenEditor]:
    """The folders of the editors that `save_editors` wrote, the default first."""
    path = folder / CHOICE_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        names = [values["default"], *values["editors"]]
        for name in names:
            check_editor_name(name)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} does not hold a choice of editors: {error}") from error
    return {name: folder / name for name in names}


def _pairs(given: GivenEditor | Sequence[str] | Mapping[str, GivenEditor]) -> list[tuple[str | None, GivenEditor]]:
    """Editors with the names they are given; None where the editor is to tell its name."""
    if isinstance(given, Mapping):
        return list(given.items())
    return [(None, given)] if isinstance(given, str | Path | Editor) else [(None, name) for name in given]


def _made(given: str | Path, base: Any, tokenizer: PreTrainedTokenizerBase | None) -> Editor:
    if tokenizer is None:
        raise UnsupportedModelError("editors read and write text: pass the model's tokenizer")
    if isinstance(given, str) and given in NAMED:
        return NAMED[given](base, tokenizer)
    for method in METHODS.values():
        if (Path(given) / method.file).is_file():
            return method.load(Path(given), base, tokenizer)
    files = ", ".join(method.file for method in METHODS.values())
    raise CheckpointError(
        f"expected one of the editors {', '.join(NAMED)}, or a folder with one of {files}; got {str(given)!r}"
    )


def _name_of(editor: Editor) -> str:
    if isinstance(editor, CounterfactualEditor) and editor.config.kind == "base":
        return "base"
    return method_of(editor) or OWN


def _fits_shipped(base: Any) -> bool:
    try:
        folder = shipped(SHIPPED_COUNTERFACTUAL)
    except CheckpointError:
        logger.info("no counterfactual checkpoint ships with this installation; the base reads the edits itself")
        return False
    return CounterfactualConfig.load(folder).base_fingerprint == fingerprint(base)
