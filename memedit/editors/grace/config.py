"""Settings of the GRACE editor, with the help texts that docs and cards repeat."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from memedit.errors import CheckpointError

Value = Literal["answer", "single"]
Replacement = Literal["last", "prompt", "all"]


@dataclass(frozen=True)
class GraceConfig:
    """How entries of the codebook are fitted and used."""

    layer: int | tuple[int, ...] | None = field(
        default=None,
        metadata={
            "help": "the hooked block, counted from 0, or several, each with a codebook of its own; None to choose "
            "one from data at the first fit"
        },
    )
    value: Value = field(
        default="answer",
        metadata={
            "help": "what an entry holds: one vector for each token of the answer (answer), or the published "
            "single vector (single)"
        },
    )
    replacement: Replacement = field(
        default="last",
        metadata={
            "help": "where a single vector stands: at the prompt's last token (last), at all of the prompt's "
            "(prompt), or at every token, new ones too (all)"
        },
    )
    stop: bool = field(default=True, metadata={"help": "whether the end-of-text token is fitted behind the target"})
    wordings: bool = field(
        default=True, metadata={"help": "whether an edit is fitted on its aliases and on variations of its prompt too"}
    )
    subject_keys: bool = field(
        default=True, metadata={"help": "whether an edit that names its subject has a key at the subject's last token"}
    )
    steps: int = field(default=60, metadata={"help": "the most steps of Adam for one edit"})
    rate: float = field(
        default=0.3, metadata={"help": "learning rate, in units of the mean size of the layer's activations"}
    )
    confidence: float = field(
        default=0.95,
        metadata={"help": "an edit is finished when every token of its answer is that probable in every wording"},
    )
    base_fingerprint: str | None = field(default=None, metadata={"help": "the base a saved codebook belongs to"})

    @property
    def layers(self) -> tuple[int, ...]:
        """The hooked blocks in their order, each once; none where one is to be chosen."""
        if self.layer is None:
            return ()
        return (self.layer,) if isinstance(self.layer, int) else tuple(sorted(set(self.layer)))

    def __post_init__(self) -> None:
        """Refuse unknown values and replacements."""
        for name, allowed in (("value", get_args(Value)), ("replacement", get_args(Replacement))):
            if getattr(self, name) not in allowed:
                raise CheckpointError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
