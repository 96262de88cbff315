"""Settings of the Transformer-Patcher editor, with the help texts that docs and cards repeat."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class PatcherConfig:
    """How neurons are fitted and when they are live."""

    routed: bool = field(
        default=True,
        metadata={
            "help": "whether a row has the neurons of its own edit only, as the router decides; if not, it has those "
            "of every edit, and their activations decide (as published)"
        },
    )
    layer: int | tuple[int, ...] | None = field(
        default=None,
        metadata={
            "help": "the block whose feed-forward layer is patched, counted from 0, or several; None for the last"
        },
    )
    wordings: bool = field(
        default=True,
        metadata={
            "help": "whether an edit is fitted on its aliases and on variations of its prompt too; if not, as published"
        },
    )
    activation_weight: float = field(
        default=1.0, metadata={"help": "weight of the loss that a neuron is active on its own query"}
    )
    memory_weight: float = field(
        default=1.0,
        metadata={"help": "weight of the losses that it is silent on the queries of others; without the router only"},
    )
    steps: int = field(default=100, metadata={"help": "the most steps of Adam for one edit"})
    rate: float = field(default=0.1, metadata={"help": "learning rate, in units of the mean size of what is learned"})
    confidence: float = field(
        default=0.95,
        metadata={
            "help": "an edit is finished when every token of its answer is that probable in every wording, and, "
            "without the router, its neurons are silent on the memory"
        },
    )
    base_fingerprint: str | None = field(default=None, metadata={"help": "the base that saved neurons belong to"})


PUBLISHED = PatcherConfig(routed=False, wordings=False)
"""The method as published: fitted on the prompt alone, without a router."""
