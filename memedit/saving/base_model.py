"""Recognise, check and load the base model that a saved edited model belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from memedit.editors.eager import uncompiled
from memedit.editors.fingerprint import fingerprint
from memedit.errors import CheckpointError


@dataclass(frozen=True)
class BaseRecord:
    """How a base model is found again, and told from another one.

    Attributes:
        id: Hub id or folder it was loaded from; None if it was made in memory.
        architecture: Name of its class.
        encoder_decoder: Whether it is an encoder-decoder model.
        vocabulary: Rows of its input embeddings.
        parameters: Number of its parameters.
        dtype: Precision of its weights when it was saved; no mark of identity.
        fingerprint: See `memedit.editors.fingerprint`.
    """

    id: str | None
    architecture: str
    encoder_decoder: bool
    vocabulary: int
    parameters: int
    dtype: str
    fingerprint: str

    @classmethod
    def of(cls, base: Any) -> BaseRecord:
        """The record of a loaded model."""
        base = uncompiled(base)
        return cls(
            id=source_of(base),
            architecture=type(base).__name__,
            encoder_decoder=bool(getattr(base.config, "is_encoder_decoder", False)),
            vocabulary=base.get_input_embeddings().weight.shape[0],
            parameters=sum(parameter.numel() for parameter in base.parameters()),
            dtype=str(base.dtype).removeprefix("torch."),
            fingerprint=fingerprint(base),
        )

    def check(self, base: Any) -> None:
        """Make sure that `base` is the recorded model, in float32 or bfloat16 (see `fingerprint`).

        Raises:
            CheckpointError: It is another one; the message lists all that differs.
        """
        found = BaseRecord.of(base)
        compared = {
            "architecture": (self.architecture, found.architecture),
            "vocabulary": (f"{self.vocabulary:,}", f"{found.vocabulary:,}"),
            "parameters": (f"{self.parameters:,}", f"{found.parameters:,}"),
            "weights": (self.fingerprint, found.fingerprint),
        }
        differing = [f"{name} {got}, expected {want}" for name, (want, got) in compared.items() if want != got]
        if differing:
            raise CheckpointError(
                f"this base is not the one that was saved with ({self.id or 'made in memory'}): {'; '.join(differing)}"
            )

    def load(self, options: dict[str, Any]) -> Any:
        """Load the recorded model, in evaluation mode.

        Args:
            options: Keyword arguments for its `from_pretrained`; precision as it was if not among them.

        Raises:
            CheckpointError: It has no id, is not found or cannot be loaded.
        """
        if self.id is None:
            raise CheckpointError("the base was made in memory and has no id to load it by; pass base=…")
        # transformers knows it by an older name too.
        own = {} if {"dtype", "torch_dtype"} & options.keys() else {"dtype": getattr(torch, self.dtype)}
        auto = AutoModelForSeq2SeqLM if self.encoder_decoder else AutoModelForCausalLM
        try:
            return auto.from_pretrained(self.id, **own, **options).eval()
        except (OSError, ValueError) as error:
            raise _not_loaded("base", self.id, error) from None


def source_of(loaded: Any) -> str | None:
    """What a model or tokenizer was loaded from, so that it is found again from any working directory.

    Returns:
        The hub id or the whole path of the folder; None for what was made in memory.
    """
    name = getattr(loaded, "name_or_path", None) or None
    return str(Path(name).resolve()) if name and Path(name).is_dir() else name


def load_tokenizer(name: str) -> Any:
    """Load a tokenizer by hub id or folder.

    Raises:
        CheckpointError: It is not found or cannot be loaded.
    """
    try:
        return AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise _not_loaded("tokenizer", name, error) from None


def _not_loaded(what: str, name: str, error: Exception) -> CheckpointError:
    place = "" if Path(name).is_dir() or not Path(name).is_absolute() else " (a folder that is not there)"
    reason = str(error).strip().splitlines()[0]
    return CheckpointError(f"the {what} {name!r}{place} cannot be loaded; pass {what}=… ({reason})")
