"""The files of a scope classifier: JSON and safetensors, never the encoder's weights, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from memedit.errors import CheckpointError
from memedit.scope.calibration import Calibration
from memedit.scope.network import Adapter
from memedit.scope.thresholds import Threshold

FORMAT = "memedit-scope-classifier"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class SavedClassifier:
    """All that a checkpoint holds.

    Attributes:
        encoder_id: Name of the encoder it was trained on.
        encoder_sha256: Hash of that encoder's weights.
        adapter: The trained tensors.
        calibration: Map from logits to probabilities.
        threshold: The threshold with its evidence, if one was chosen.
        fit: Settings and outcome of the training.
    """

    encoder_id: str
    encoder_sha256: str
    adapter: Adapter
    calibration: Calibration
    threshold: Threshold | None
    fit: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        """Write `adapter.safetensors`, `config.json` and `calibration.json` into `folder`.

        Raises:
            CheckpointError: The place is taken by something else (see `check_place`).
        """
        check_place(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"lora.{name}": tensor for name, tensor in self.adapter.lora.items()}
        tensors |= {f"head.{name}": tensor for name, tensor in self.adapter.head.items()}
        save_file(tensors, folder / "adapter.safetensors")
        config = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "encoder": {"id": self.encoder_id, "weights_sha256": self.encoder_sha256},
            "lora": {"rank": self.adapter.rank, "alpha": self.adapter.alpha},
            "fit": self.fit,
        }
        _write_json(folder / "config.json", config)
        threshold = self.threshold.to_json() if self.threshold else None
        _write_json(folder / "calibration.json", {"calibration": self.calibration.to_json(), "threshold": threshold})

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What `write` wrote.

        Raises:
            CheckpointError: The checkpoint is missing, incomplete, damaged or of another format.
        """
        config = read_config(folder)
        try:
            tensors = load_file(folder / "adapter.safetensors")
            lora = {k.removeprefix("lora."): t for k, t in tensors.items() if k.startswith("lora.")}
            head = {k.removeprefix("head."): t for k, t in tensors.items() if k.startswith("head.")}
            values = _read_json(folder / "calibration.json")
            threshold = values["threshold"]
            return cls(
                config["encoder"]["id"],
                config["encoder"]["weights_sha256"],
                Adapter(config["lora"]["rank"], config["lora"]["alpha"], lora, head),
                Calibration.from_json(values["calibration"]),
                Threshold.from_json(threshold) if threshold else None,
                config["fit"],
            )
        except CheckpointError:
            raise
        except (KeyError, TypeError, AttributeError, OSError, ValueError, SafetensorError) as error:
            raise CheckpointError(f"the scope classifier in {folder} is damaged: {error}") from error


def check_place(folder: Path) -> None:
    """Refuse a place where a classifier cannot be written, or another model would be lost.

    Raises:
        CheckpointError: It is a file, or a folder with another model's `config.json`.
    """
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"expected a folder to save into, but {folder} is a file")
    path = folder / "config.json"
    if path.exists() and _read_json(path).get("format") != FORMAT:
        raise CheckpointError(
            f"{folder} holds another model (its config.json is no scope classifier's); save elsewhere"
        )


def read_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of a checkpoint, which names the encoder and the settings.

    Raises:
        CheckpointError: There is none, or it is of another format.
    """
    config = _read_json(folder / "config.json")
    if config.get("format") != FORMAT or config.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"expected a {FORMAT} of version {FORMAT_VERSION} in {folder}, "
            f"got {config.get('format')!r} of version {config.get('format_version')!r}"
        )
    return config


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"expected a scope classifier, but {path} does not exist") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"expected an object in {path}, got {type(values).__name__}")
    return values


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
