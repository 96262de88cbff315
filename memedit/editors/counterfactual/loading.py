"""Load a counterfactual checkpoint onto a base model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedTokenizerBase,
)

from memedit.editors.base import Editor
from memedit.editors.counterfactual.config import CounterfactualConfig
from memedit.editors.counterfactual.editor import CounterfactualEditor
from memedit.editors.counterfactual.lora import LoraOverlay
from memedit.editors.counterfactual.separate import SeparateModelEditor
from memedit.editors.fingerprint import fingerprint
from memedit.errors import CheckpointError


def load_counterfactual(folder: Path, base: Any, tokenizer: PreTrainedTokenizerBase) -> Editor:
    """Build the editor a checkpoint describes.

    Args:
        folder: Holds `counterfactual.json`, and for the kinds `adapter` and `model` the weights.
        base: The base model it is to work beside.
        tokenizer: The base's tokenizer.

    Raises:
        CheckpointError: The folder holds no such checkpoint, or one made for another base.
    """
    config = CounterfactualConfig.load(folder)
    if config.base_fingerprint is not None and config.base_fingerprint != (own := fingerprint(base)):
        raise CheckpointError(
            f"the counterfactual model in {folder} was made for the base {config.base_fingerprint}, "
            f"this base is {own}; train one with `memedit train counterfactual` or use editor='base'"
        )
    if config.kind == "model":
        has_encoder = AutoConfig.from_pretrained(folder).is_encoder_decoder
        family = AutoModelForSeq2SeqLM if has_encoder else AutoModelForCausalLM
        # A base that is offloaded altogether has no device of its own.
        device = "cpu" if base.device.type == "meta" else base.device
        model = family.from_pretrained(folder).to(device).eval()
        return SeparateModelEditor(base, tokenizer, model, AutoTokenizer.from_pretrained(folder), config, folder)
    overlay = LoraOverlay(base, folder) if config.kind == "adapter" else None
    return CounterfactualEditor(base, tokenizer, config, overlay, folder)
