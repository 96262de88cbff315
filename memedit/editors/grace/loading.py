"""Load a GRACE checkpoint onto a base model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from memedit.editors.base import Editor
from memedit.editors.grace.editor import GraceEditor


def load_grace(folder: Path, base: Any, tokenizer: PreTrainedTokenizerBase) -> Editor:
    """Build the editor that `GraceEditor.save_pretrained` wrote.

    Args:
        folder: Holds `grace.json` and `codebook.safetensors`.
        base: The base model the codebook was fitted for.
        tokenizer: The base's tokenizer.

    Raises:
        CheckpointError: The folder holds no such checkpoint, or one made for another base.
    """
    return GraceEditor.from_pretrained(folder, base, tokenizer)
