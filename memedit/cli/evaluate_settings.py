"""Everything that is needed to run an evaluation again: options, hashes, versions, the machine."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from memedit.cli.evaluate_options import EvaluateOptions
from memedit.cli.loading import base_folder


def settings_of(options: EvaluateOptions, base: Any, encoder: Any, classifier: Any) -> dict[str, Any]:
    """The settings that do not depend on the method.

    Args:
        options: What was asked for.
        base: The loaded base.
        encoder: The sentence encoder.
        classifier: The scope classifier.
    """
    from memedit.checkpoints import shipped
    from memedit.evaluation.provenance import file_hash, folder_hashes, surroundings

    model = str(base_folder(options.model))
    files = {name: path for name, path in (("data", options.data), ("unrelated", options.unrelated)) if path}
    folders = {"model": model, "scope": str(options.scope or shipped("scope"))}
    if options.editor and Path(options.editor).is_dir():
        folders["editor"] = options.editor
    elif options.model is None and options.editor in (None, "counterfactual"):
        folders["editor"] = str(shipped("counterfactual-mini"))
    return {
        **_given(options),
        "model": model,
        "sha256": {
            # A data set by name is no file; its records are told by the counts and by the questions asked.
            **{name: file_hash(path) for name, path in files.items() if Path(path).is_file()},
            **{name: folder_hashes(path) for name, path in folders.items()},
        },
        "encoder": encoder.id,
        "threshold": classifier.threshold,
        **surroundings(base),
    }


def settings_of_model(edited: Any) -> dict[str, Any]:
    """The settings of a model with edits: its editor, and how rows are kept apart."""
    editor = edited.editor[edited.editor.default]
    config = getattr(editor, "config", None)
    known = asdict(config) if is_dataclass(config) and not isinstance(config, type) else {}
    return {"editor_used": {"class": type(editor).__name__, **known}, "isolation": edited.isolation}


def _given(options: EvaluateOptions) -> dict[str, Any]:
    """The options that choose data and models, as JSON-compatible values."""
    return {
        "data": options.data,
        "format": None if options.form is None else options.form.value,
        "languages": options.languages,
        "queries": options.queries,
        "editor": options.editor,
        "scope": None if options.scope is None else str(options.scope),
        "unrelated": None if options.unrelated is None else str(options.unrelated),
        "device": options.device.value,
        "seed": options.seed,
        "judge": options.judge,
    }
