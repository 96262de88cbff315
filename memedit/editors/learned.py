"""What was learned of edits as files: settings and labels as JSON, vectors as safetensors."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from memedit.editors.fingerprint import fingerprint
from memedit.errors import CheckpointError


@dataclass(frozen=True)
class Learned:
    """The form of one method's files.

    Attributes:
        method: Its name, by which edits are fitted again.
        settings: File name of the JSON.
        vectors: File name of the tensors.
        config: Dataclass of the settings, with a `base_fingerprint`.
        record: Dataclass of what was learned of an edit: tensors, and plain values.
    """

    method: str
    settings: str
    vectors: str
    config: type[Any]
    record: type[Any]

    def save(self, folder: Path, base: Any, config: Any, records: Iterable[Any], choice: Any = None) -> None:
        """Write the two files, with the fingerprint of the base; never the base's weights.

        Args:
            folder: Made if it does not exist.
            base: The base the records were learned for.
            config: The settings.
            records: In the order in which they are to come back.
            choice: A dataclass of what was chosen from data, or None.
        """
        folder.mkdir(parents=True, exist_ok=True)
        told, parts = [], {name: [torch.empty(0)] for name in self._tensors}
        for record in records:
            values = dict(vars(record))
            for name in self._tensors:
                if values[name] is not None:
                    parts[name].append(values[name].detach().float().cpu().flatten())
                    values[name] = list(values[name].shape)
            told.append(values)
        settings = asdict(replace(config, base_fingerprint=fingerprint(base)))
        text = {"config": settings, "choice": None if choice is None else asdict(choice), "records": told}
        (folder / self.settings).write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
        save_file({name: torch.cat(part) for name, part in parts.items()}, folder / self.vectors)

    def load(self, folder: Path, base: Any) -> tuple[Any, list[Any], dict[str, Any] | None]:
        """Read what `save` wrote.

        Args:
            folder: Holds the two files.
            base: The base that they are to be put onto.

        Returns:
            The settings, the records, and what was chosen as JSON values.

        Raises:
            CheckpointError: A file is missing, damaged, or does not belong to the other one, or they were
                made for another base.
        """
        for name in (self.settings, self.vectors):
            if not (folder / name).is_file():
                raise CheckpointError(f"expected what {self.method} learned with {name} in {folder}, found none")
        try:
            read = json.loads((folder / self.settings).read_text(encoding="utf-8"))
            config, choice = self.config(**read["config"]), read["choice"]
            records = self._records(read["records"], load_file(folder / self.vectors))
        except (json.JSONDecodeError, TypeError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
            raise CheckpointError(f"{folder} holds nothing of {self.method} that can be read: {error}") from error
        if config.base_fingerprint != (own := fingerprint(base)):
            raise CheckpointError(
                f"what {self.method} learned in {folder} was fitted for the base {config.base_fingerprint}, this base "
                f"is {own}; fit the edits again with editor={self.method!r}"
            )
        return config, records, choice

    @property
    def _tensors(self) -> list[str]:
        fields: dict[str, str] = self.record.__annotations__
        return [name for name, kind in fields.items() if "Tensor" in kind]

    def _records(self, told: Sequence[dict[str, Any]], tensors: dict[str, Tensor]) -> list[Any]:
        for name in self._tensors:
            shapes = [values[name] for values in told if values[name] is not None]
            pieces = iter(tensors[name].split([math.prod(shape) for shape in shapes]) if shapes else ())
            for values in told:
                if values[name] is not None:
                    values[name] = next(pieces).view(values[name]).clone()
        return [self.record(**values) for values in told]
