"""Fine-tuning of one layer: gradient descent on the edits, and nothing that would keep the rest as it is."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from memedit.editors.activations import find_blocks
from memedit.editors.counterfactual.batches import Example, example_batch, weighted_loss
from memedit.edits import Edit
from memedit.errors import UnsupportedModelError
from memedit.evaluation.baselines.unrouted import Unrouted, check_decoder_only, edits_of
from memedit.evaluation.cases import Case
from memedit.evaluation.subject import Setup

DOWN_PROJECTIONS = ("down_proj", "c_proj", "fc2", "dense_4h_to_h", "fc_out", "wo")
"""Names of the matrix with which an MLP writes into the residual stream, over the families."""


@dataclass(frozen=True)
class FineTuningConfig:
    """The settings that EasyEdit publishes for FT-M on Llama-2-7B, the layer at the same depth, but for the rate.

    At the published rate of 5e-4 `mini` learns 0.63 of single edits (16 of the training parts of CounterFact
    and zsRE); of 12 such edits, 2e-3 and 5e-3 learn all, and leave 0.78 and 0.72 of unrelated answers alone.
    """

    depth: float = field(default=21 / 32, metadata={"help": "which block, as a share of their number"})
    steps: int = field(default=25, metadata={"help": "passes over the new edits at most"})
    rate: float = field(default=2e-3, metadata={"help": "learning rate of Adam"})
    enough: float = field(default=1e-2, metadata={"help": "mean loss, in nats per token, at which a pass is the last"})
    batch: int = field(default=32, metadata={"help": "edits of one step"})
    longest: int = field(default=160, metadata={"help": "tokens of the longest edit that is learned"})


class FineTuning:
    """FT as the baseline of ROME (Meng et al. 2022, appendix E.1), with the loss of FT-M (Zhang et al. 2024).

    Adam on the down-projection of one MLP minimises the loss of target and end of text behind the prompt,
    which itself is masked. New edits are learned where the former ones left off, all of them together.
    The trained matrix is a copy that stands in the base only while it is trained or answers.
    """

    name = "finetune"

    def __init__(self, setup: Setup, config: FineTuningConfig | None = None) -> None:
        """Copy the matrix.

        Raises:
            UnsupportedModelError: The base has an encoder, or no down-projection was found.
        """
        check_decoder_only(setup.base)
        self._config = config or FineTuningConfig()
        self._setup = setup
        blocks = find_blocks(setup.base)
        self._layer = min(int(len(blocks) * self._config.depth), len(blocks) - 1)
        self._module = _down_projection(blocks[self._layer])
        self.reset()
        self.model = Unrouted(setup.base, setup.tokenizer, self._in_place)

    def store(self, cases: Sequence[Case], *, progress: bool = False) -> tuple[list[Edit], float]:
        """Train on the new cases; of one prompt among them the last is learned."""
        edits = edits_of(cases)
        started = time.perf_counter()
        learned = list({edit.id: edit for edit in edits}.values())
        with self._in_place():
            self._train([Example(edit.prompt, edit.target.strip()) for edit in learned], progress=progress)
        return edits, (time.perf_counter() - started) / len(cases)

    def reset(self) -> None:
        """Begin again with the base's matrix."""
        self._weight = nn.Parameter(self._module.weight.detach().clone())

    def settings(self) -> dict[str, Any]:
        """The configuration, and the layer it led to."""
        return {**asdict(self._config), "layer": self._layer}

    def kept_bytes(self) -> int:
        """Size of the matrix."""
        return self._weight.numel() * self._weight.element_size()

    def close(self) -> None:
        """The base's own matrix is in its place already."""

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        own = self._module.weight
        self._module.weight = self._weight
        try:
            yield
        finally:
            self._module.weight = own

    def _train(self, examples: list[Example], *, progress: bool) -> None:
        config, base = self._config, self._setup.base
        optimizer = torch.optim.Adam([self._weight], lr=config.rate)
        draw = random.Random(self._setup.seed)
        for _ in tqdm(range(config.steps), desc=self.name, leave=False, disable=not progress):
            draw.shuffle(examples)
            losses = []
            for start in range(0, len(examples), config.batch):
                chosen = examples[start : start + config.batch]
                batch = example_batch(self._setup.tokenizer, chosen, longest=config.longest)
                loss = weighted_loss(base, batch.to(base.device))
                # Only this gradient: the base's own parameters get none.
                (self._weight.grad,) = torch.autograd.grad(loss, [self._weight])
                optimizer.step()
                losses.append(loss.item())
            if sum(losses) / len(losses) < config.enough:
                break


def _down_projection(block: nn.Module) -> Any:
    """The last module of a block that bears one of the names: attention, which shares some, comes first."""
    found = [
        module
        for name, module in block.named_modules()
        if name.rpartition(".")[2] in DOWN_PROJECTIONS and hasattr(module, "weight")
    ]
    if not found:
        raise UnsupportedModelError(f"found none of {', '.join(DOWN_PROJECTIONS)} in a {type(block).__name__}")
    return found[-1]
