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
    from memedit.evaluation.provenance import source, surroundings

    checkpoints = {"scope": {**source(options.scope or shipped("scope")), "threshold": classifier.threshold}}
    if options.editor and Path(options.editor).is_dir():
        checkpoints["editor"] = source(options.editor)
    elif options.model is None and options.editor in (None, "counterfactual"):
        checkpoints["editor"] = source(shipped("counterfactual-mini"))
    return {
        **settings_given(options),
        "model": source(base_folder(options.model)),
        "checkpoints": checkpoints,
        "encoder": encoder.id,
        **surroundings(base),
    }


def settings_of_model(edited: Any) -> dict[str, Any]:
    """The settings of a model with edits: its editor, and how rows are kept apart."""
    editor = edited.editor[edited.editor.default]
    config = getattr(editor, "config", None)
    known = asdict(config) if is_dataclass(config) and not isinstance(config, type) else {}
    return {"editor_used": {"class": type(editor).__name__, **known}, "isolation": edited.isolation}


def settings_given(options: EvaluateOptions) -> dict[str, Any]:
    """The options that choose data, questions and models, as JSON-compatible values."""
    from memedit.evaluation.provenance import source

    files = {"data": options.data, "unrelated": options.unrelated, "distractors": options.distractors}
    return {
        **{name: None if path is None else source(path) for name, path in files.items()},
        "format": None if options.form is None else options.form.value,
        "languages": options.languages,
        "queries": options.queries,
        # Of a comparison only the methods made from it depend on it, whose runs note what it is.
        "editor": None if options.compare else options.editor,
        "device": options.device.value,
        "seed": options.seed,
        "judge": None if options.judge is None else source(options.judge),
    }
