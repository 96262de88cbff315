from __future__ import annotations

import hashlib
from pathlib import Path

from memedit.evaluation.provenance import file_hash, folder_hashes, source, versions


def test_hashes_are_those_of_the_files(tmp_path: Path) -> None:
    """Each file of a folder is named with its SHA-256; hidden ones and a missing folder give none."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.bin").write_bytes(b"abc")
    (tmp_path / ".hidden").write_bytes(b"x")
    expected = hashlib.sha256(b"abc").hexdigest()
    assert folder_hashes(tmp_path) == {"sub/a.bin": expected}
    assert file_hash(tmp_path / "sub" / "a.bin") == expected
    assert folder_hashes(tmp_path / "none") == {}


def test_a_source_is_told_by_what_decides(tmp_path: Path) -> None:
    """A file has its hash, a checkpoint those of weights and settings but not of its card, a name none."""
    weights, card = tmp_path / "adapter.safetensors", tmp_path / "README.md"
    for file in (weights, card, tmp_path / "metrics.json", tmp_path / "plot.png"):
        file.write_bytes(b"abc")
    assert source(tmp_path) == {"path": str(tmp_path), "sha256": {weights.name: file_hash(weights)}}
    assert source(card) == {"path": str(card), "sha256": file_hash(card)}
    assert source("counterfact") == {"name": "counterfact"}


def test_versions_name_what_runs() -> None:
    """Versions of Python and torch are known; what is not installed is None, not an error."""
    found = versions()
    assert found["python"]
    assert found["torch"]
