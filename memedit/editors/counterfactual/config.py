"""Settings of the counterfactual editor, with the help texts that docs and cards repeat."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, get_args

from memedit.editors.counterfactual.context import FACT_TEMPLATE
from memedit.errors import CheckpointError

CONFIG_FILE = "counterfactual.json"

Kind = Literal["base", "adapter", "model"]
Placement = Literal["auto", "kv_prefix", "prompt"]


@dataclass(frozen=True)
class CounterfactualConfig:
    """How the counterfactual model reads an edit."""

    kind: Kind = field(
        default="base",
        metadata={
            "help": "who reads the edit: the frozen base (base), the base with a LoRA adapter that is "
            "active for in-scope rows only (adapter), or a separate causal language model (model)"
        },
    )
    placement: Placement = field(
        default="auto",
        metadata={
            "help": "where the edit goes: as a cached prefix (kv_prefix), into the user's turn (prompt), "
            "or prompt where the tokenizer has a chat template and kv_prefix elsewhere (auto)"
        },
    )
    template: str = field(
        default=FACT_TEMPLATE,
        metadata={"help": "how one edit is written; {prompt} and {target} are replaced"},
    )
    base_fingerprint: str | None = field(
        default=None, metadata={"help": "the base an adapter was trained for; None fits any base"}
    )

    def __post_init__(self) -> None:
        """Refuse unknown kinds and placements, and a template without its two fields."""
        for name, allowed in (("kind", get_args(Kind)), ("placement", get_args(Placement))):
            if getattr(self, name) not in allowed:
                raise CheckpointError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        if "{prompt}" not in self.template or "{target}" not in self.template:
            raise CheckpointError(f"template must hold {{prompt}} and {{target}}, got {self.template!r}")

    def save(self, folder: Path) -> None:
        """Write the settings as JSON into `folder`."""
        (folder / CONFIG_FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> CounterfactualConfig:
        """Read the settings from `folder`.

        Raises:
            CheckpointError: The file is missing, is not JSON or has unknown fields.
        """
        path = folder / CONFIG_FILE
        if not path.is_file():
            raise CheckpointError(f"expected a counterfactual checkpoint with {CONFIG_FILE} in {folder}, found none")
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (json.JSONDecodeError, TypeError) as error:
            raise CheckpointError(f"{path} does not hold counterfactual settings: {error}") from error
