"""One LoRA adapter trained on all edits: fine-tuning in its usual, frugal form."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from memedit.editors.counterfactual.batches import Example
from memedit.editors.counterfactual.fitting import AdapterTraining, fit_adapter
from memedit.editors.counterfactual.lora import LoraOverlay
from memedit.edits import Edit
from memedit.evaluation.baselines.unrouted import Unrouted, check_decoder_only, edits_of
from memedit.evaluation.cases import Case
from memedit.evaluation.subject import Setup


@dataclass(frozen=True)
class LoraConfig:
    """How long and how an adapter is trained."""

    passes: int = field(default=30, metadata={"help": "how often each edit is seen"})
    least: int = field(default=40, metadata={"help": "steps of the shortest training"})
    batch: int = field(default=32, metadata={"help": "edits of one step"})
    rank: int = field(default=16, metadata={"help": "rank of the LoRA matrices"})
    rate: float = field(default=2e-3, metadata={"help": "peak learning rate of AdamW"})


class Lora:
    """LoRA (Hu et al. 2021) by PEFT, on all linear layers; loss on target and end of text.

    Whenever edits come, a new adapter is trained on all that there are: the strongest form, as nothing of
    the former ones is forgotten, and the dearest. The base gets hooks that do nothing while it answers by
    itself, and its modules stay its own.
    """

    name = "lora"

    def __init__(self, setup: Setup, config: LoraConfig | None = None) -> None:
        """Begin without an adapter.

        Raises:
            UnsupportedModelError: The base has an encoder.
        """
        check_decoder_only(setup.base)
        self._setup = setup
        self._config = config or LoraConfig()
        self._folder = setup.folder / "adapter"
        self._overlay: LoraOverlay | None = None
        self._edits: dict[str, Edit] = {}
        self.model = Unrouted(setup.base, setup.tokenizer, self._active)

    def store(self, cases: Sequence[Case], *, progress: bool = False) -> tuple[list[Edit], float]:
        """Train an adapter on all edits, the newest of each prompt; its time is that of all of them."""
        edits = edits_of(cases)
        self._edits |= {edit.id: edit for edit in edits}
        self._discard()
        started = time.perf_counter()
        examples = [Example(edit.prompt, edit.target.strip()) for edit in self._edits.values()]
        training = AdapterTraining(
            steps=max(self._config.least, self._config.passes * len(examples) // self._config.batch),
            rank=self._config.rank,
            learning_rate=self._config.rate,
            seed=self._setup.seed,
        )
        # Training must not move the random numbers of whoever compares.
        with torch.random.fork_rng([]):
            fit_adapter(
                self._setup.base,
                self._setup.tokenizer,
                _Deck(examples, self._config.batch, self._setup.seed),
                self._folder,
                training,
                progress=progress,
            )
        self._overlay = LoraOverlay(self._setup.base, self._folder)
        return edits, (time.perf_counter() - started) / len(self._edits)

    def reset(self) -> None:
        """Throw the adapter away."""
        self._discard()
        self._edits.clear()

    def settings(self) -> dict[str, Any]:
        """The configuration."""
        return asdict(self._config)

    def kept_bytes(self) -> int:
        """Size of the adapter's files."""
        return sum(file.stat().st_size for file in self._folder.glob("*.safetensors"))

    def close(self) -> None:
        """Take the hooks out of the base."""
        self._discard()

    def _active(self) -> Any:
        return nullcontext() if self._overlay is None else self._overlay.active()

    def _discard(self) -> None:
        if self._overlay is not None:
            self._overlay.detach()
            self._overlay = None
        shutil.rmtree(self._folder, ignore_errors=True)


class _Deck:
    """Draws the examples of each step: all of them in a new order, again and again."""

    def __init__(self, examples: Sequence[Example], size: int, seed: int) -> None:
        self._examples = examples
        self._size = size
        self._draw = random.Random(seed)
        self._left: list[Example] = []

    def __call__(self, step: int) -> tuple[list[Example], list[Example]]:  # noqa: ARG002 - as `fit_adapter` calls it
        """The examples of a step, and none whose answer is to stay the base's."""
        if not self._left:
            self._left = self._draw.sample(self._examples, len(self._examples))
        chosen, self._left = self._left[: self._size], self._left[self._size :]
        return chosen, []
