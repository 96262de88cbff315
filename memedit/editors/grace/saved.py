"""A codebook as files: settings and labels as JSON, vectors as safetensors."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from memedit.editors.grace.choosing import Choice, Trial
from memedit.editors.grace.codebook import Codebook, Entry
from memedit.editors.grace.config import GraceConfig
from memedit.errors import CheckpointError

CONFIG_FILE = "grace.json"
VECTORS_FILE = "codebook.safetensors"


def save_codebook(folder: Path, config: GraceConfig, choice: Choice | None, codebook: Codebook) -> None:
    """Write `grace.json` and `codebook.safetensors` into `folder`, which is made if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = list(codebook)
    described = [
        {
            "edit_id": entry.edit_id,
            "revision": entry.revision,
            "target": entry.target,
            "values": len(entry.values),
            "radius": entry.radius,
            "has_subject": entry.subject_key is not None,
            "subject_radius": entry.subject_radius,
        }
        for entry in entries
    ]
    described_choice = None if choice is None else asdict(choice)
    text = json.dumps({"config": asdict(config), "choice": described_choice, "entries": described}, indent=1)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
    empty = torch.empty(0)
    subjects = [entry.subject_key for entry in entries if entry.subject_key is not None]
    tensors = {
        "keys": torch.stack([entry.key for entry in entries]) if entries else empty,
        "values": torch.cat([entry.values.cpu() for entry in entries]) if entries else empty,
        "subject_keys": torch.stack(subjects) if subjects else empty,
    }
    save_file(tensors, folder / VECTORS_FILE)


def load_codebook(folder: Path) -> tuple[GraceConfig, Choice | None, Codebook]:
    """Read what `save_codebook` wrote.

    Raises:
        CheckpointError: A file is missing, damaged, or does not belong to the other one.
    """
    for name in (CONFIG_FILE, VECTORS_FILE):
        if not (folder / name).is_file():
            raise CheckpointError(f"expected a GRACE codebook with {name} in {folder}, found none")
    try:
        read = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        config, described = GraceConfig(**read["config"]), read["choice"]
        trials = tuple(Trial(**trial) for trial in described.pop("trials")) if described else ()
        choice = Choice(**described, trials=trials) if described else None
        return config, choice, _codebook(read["entries"], load_file(folder / VECTORS_FILE))
    except (json.JSONDecodeError, TypeError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{folder} holds no GRACE codebook that can be read: {error}") from error


def _codebook(described: list[dict[str, object]], tensors: dict[str, torch.Tensor]) -> Codebook:
    values = tensors["values"].split([int(str(entry.pop("values"))) for entry in described]) if described else ()
    subjects = iter(tensors["subject_keys"])
    return Codebook(
        [
            Entry(
                values=vectors.clone(),
                key=key.clone(),
                subject_key=next(subjects).clone() if entry.pop("has_subject") else None,
                **entry,  # type: ignore[arg-type]
            )
            for entry, vectors, key in zip(described, values, tensors["keys"], strict=True)
        ]
    )
