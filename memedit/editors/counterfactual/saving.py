"""Write a counterfactual checkpoint: its settings, and a copy of its weights where it has some."""

from __future__ import annotations

import shutil
from pathlib import Path

from memedit.editors.counterfactual.config import CounterfactualConfig
from memedit.errors import CheckpointError

_COPIED = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")
"""Weights, settings and tokenizer of an adapter or a model; nothing pickled."""


def save_counterfactual(config: CounterfactualConfig, source: Path | None, folder: Path) -> None:
    """Write what `load_counterfactual` reads.

    Args:
        config: The settings.
        source: The folder that the weights were loaded from; of the kind `base` there are none.
        folder: An empty folder.

    Raises:
        CheckpointError: There are weights, and the folder they were loaded from is not there.
    """
    if config.kind != "base":
        if source is None or not source.is_dir():
            raise CheckpointError(
                f"the weights of the counterfactual {config.kind} cannot be saved: "
                f"expected them in the folder they were loaded from, {source}"
            )
        for pattern in _COPIED:
            for file in sorted(source.glob(pattern)):
                shutil.copyfile(file, folder / file.name)
    config.save(folder)
