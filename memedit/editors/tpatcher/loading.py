"""The files of neurons, and how they come back onto a base model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from memedit.editors.base import Editor
from memedit.editors.tpatcher.editor import FILES, PatcherEditor


def load_tpatcher(folder: Path, base: Any, tokenizer: PreTrainedTokenizerBase) -> Editor:
    """Build the editor that `PatcherEditor.save_pretrained` wrote.

    Args:
        folder: Holds `tpatcher.json` and `neurons.safetensors`.
        base: The base model the neurons were fitted for.
        tokenizer: The base's tokenizer.

    Raises:
        CheckpointError: The folder holds no such checkpoint, or one made for another base.
    """
    config, patches, _ = FILES.load(folder, base)
    return PatcherEditor(base, tokenizer, config, folder, patches)
