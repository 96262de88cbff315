"""The files of a codebook, and how they come back onto a base model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from memedit.editors.base import Editor
from memedit.editors.grace.choosing import Choice
from memedit.editors.grace.editor import FILES, GraceEditor


def load_grace(folder: Path, base: Any, tokenizer: PreTrainedTokenizerBase) -> Editor:
    """Build the editor that `GraceEditor.save_pretrained` wrote.

    Args:
        folder: Holds `grace.json` and `codebook.safetensors`.
        base: The base model the codebook was fitted for.
        tokenizer: The base's tokenizer.

    Raises:
        CheckpointError: The folder holds no such checkpoint, or one made for another base.
    """
    config, entries, chosen = FILES.load(folder, base)
    choice = None if chosen is None else Choice.of(chosen)
    return GraceEditor(base, tokenizer, config, folder, entries, choice)
