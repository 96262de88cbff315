"""Load saved neurons onto a base model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from memedit.editors.base import Editor
from memedit.editors.fingerprint import fingerprint
from memedit.editors.tpatcher.editor import PatcherEditor
from memedit.editors.tpatcher.patches import load_patches
from memedit.errors import CheckpointError


def load_tpatcher(folder: Path, base: Any, tokenizer: PreTrainedTokenizerBase) -> Editor:
    """Build the editor that `PatcherEditor.save_pretrained` wrote.

    Args:
        folder: Holds `tpatcher.json` and `neurons.safetensors`.
        base: The base model the neurons were fitted for.
        tokenizer: The base's tokenizer.

    Raises:
        CheckpointError: The folder holds no such checkpoint, or one made for another base.
    """
    config, patches = load_patches(folder)
    if config.base_fingerprint != (own := fingerprint(base)):
        raise CheckpointError(
            f"the neurons in {folder} were fitted for the base {config.base_fingerprint}, this base is {own}; "
            "fit the edits again with editor='tpatcher'"
        )
    return PatcherEditor(base, tokenizer, config, folder, patches)
