"""Loading models and memories for commands, with errors in memedit's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memedit.errors import CheckpointError, MemoryFileError, UnsupportedCallError

if TYPE_CHECKING:
    from memedit.memory import EditMemory, EditStore

SHIPPED_BASE = "mini"


def load_base(model: str | None, device: str = "cpu") -> tuple[Any, Any]:
    """Load a base model in evaluation mode with its tokenizer.

    Args:
        model: A folder or hub id; None for the shipped mini.
        device: Where to put it.

    Returns:
        The model and the tokenizer.

    Raises:
        CheckpointError: There is no such model, or it cannot be loaded.
        UnsupportedCallError: The device is not there.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    if device == "cuda" and not torch.cuda.is_available():
        raise UnsupportedCallError("device cuda was asked for, but torch finds no CUDA device")
    transformers_logging.disable_progress_bar()
    name = str(base_folder(model))
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        # Small enough for full precision, which also is the faster one on most processors.
        dtype = torch.float32 if model is None and device == "cpu" else "auto"
        base = AutoModelForCausalLM.from_pretrained(name, dtype=dtype)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"expected a causal language model (a folder or a hub id), got {name!r}: {reason}"
        ) from None
    return base.to(device).eval(), tokenizer


def base_folder(model: str | None) -> str | Path:
    """The folder or hub id of a base model; None stands for the shipped mini.

    Raises:
        CheckpointError: It is a path and there is nothing there, or nothing was shipped.
    """
    from memedit.checkpoints import shipped

    if model is None:
        return shipped(SHIPPED_BASE)
    looks_like_path = model.startswith((".", "/", "~")) or model.count("/") > 1
    if looks_like_path and not Path(model).expanduser().is_dir():
        raise CheckpointError(f"expected the folder of a model at {model}, found none")
    return Path(model).expanduser() if Path(model).expanduser().is_dir() else model


def open_memory(path: Path, encoder: str | None = None, *, must_exist: bool) -> EditMemory:
    """Open a memory file.

    Raises:
        MemoryFileError: It cannot be used, or does not exist although it must.
    """
    if must_exist:
        require_file(path)
    from memedit.memory import EditMemory
    from memedit.scope.encoder import SentenceEncoder

    return EditMemory(path, SentenceEncoder.from_pretrained(encoder))


@contextmanager
def open_journal(path: Path) -> Iterator[EditStore]:
    """Open a memory file that exists, to look at its edits: needs no encoder and no model.

    Raises:
        MemoryFileError: It does not exist or cannot be used.
    """
    require_file(path)
    from memedit.memory.sqlite import SQLiteStore

    with closing(SQLiteStore(path)) as store:
        yield store


def require_file(path: Path) -> None:
    """Check that a memory file exists, before anything slow is loaded.

    Raises:
        MemoryFileError: It does not.
    """
    if not path.is_file():
        raise MemoryFileError(f"expected a memory file at {path}, found none")
