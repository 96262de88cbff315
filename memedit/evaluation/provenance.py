"""Where figures come from: versions of what ran, hashes of what was read."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from memedit.evaluation.decoding import BATCH_ROWS, MAX_NEW_TOKENS

PACKAGES = (
    "memedit",
    "torch",
    "transformers",
    "peft",
    "sentence-transformers",
    "faiss-cpu",
    "scikit-learn",
    "safetensors",
    "numpy",
)
_BLOCK = 1 << 20


def versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that decide results; None if not installed."""
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def surroundings(base: torch.nn.Module) -> dict[str, Any]:
    """What figures depend on beside data and checkpoints, as JSON-compatible values.

    Args:
        base: The model that was run.

    Returns:
        `dtype`, `threads`, `machine`, `versions`, and `decoding`: how answers are decoded.
    """
    parameter = next(base.parameters())
    return {
        "dtype": str(parameter.dtype),
        "threads": torch.get_num_threads(),
        "machine": {
            "platform": platform.platform(),
            "cuda": torch.cuda.get_device_name() if parameter.device.type == "cuda" else None,
        },
        "versions": versions(),
        "decoding": {"greedy": True, "max_new_tokens": MAX_NEW_TOKENS, "batch_rows": BATCH_ROWS},
    }


def source(path: str | Path) -> dict[str, Any]:
    """What was read, as JSON-compatible values: its `path`, and the `sha256` of the file or of each file of the folder.

    Or its `name`, which says what it is where there is nothing to hash.

    What tells of a checkpoint and decides nothing has none: its card, plots and records of training.

    Args:
        path: A file or a folder; or what is neither, such as a data set's name.
    """
    found = Path(path)
    if not found.is_dir():
        return {"path": str(path), "sha256": file_hash(found)} if found.is_file() else {"name": str(path)}
    hashes = {name: digest for name, digest in folder_hashes(found).items() if not _only_tells(Path(name))}
    return {"path": str(path), "sha256": hashes}


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def folder_hashes(folder: str | Path) -> dict[str, str]:
    """SHA-256 of each file in a folder and below, by its path within it; empty if there is none.

    Hidden files and folders are left out.
    """
    root = Path(folder)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    names = {path: path.relative_to(root) for path in files}
    return {
        name.as_posix(): file_hash(path)
        for path, name in names.items()
        if not any(part.startswith(".") for part in name.parts)
    }


def _only_tells(file: Path) -> bool:
    return file.suffix in (".md", ".png") or file.name in ("metrics.json", "training.json")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
