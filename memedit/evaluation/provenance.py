"""Where figures come from: versions of what ran, hashes of what was read."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

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


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
