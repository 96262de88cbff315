"""The Transformer-Patcher editor (Huang et al. 2023, arXiv 2301.09785)."""

from __future__ import annotations

import time
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from memedit.editors.activations import ActivationHooks, Change, Transformation, find_blocks
from memedit.editors.base import Rows
from memedit.editors.learned import Learned
from memedit.editors.tpatcher.config import PatcherConfig
from memedit.editors.tpatcher.fitting import fit_patches, memory_queries
from memedit.editors.tpatcher.patches import Neurons, Patch
from memedit.edits import Edit
from memedit.errors import CheckpointError, UnsupportedModelError

FILES = Learned("tpatcher", "tpatcher.json", "neurons.safetensors", PatcherConfig, Patch)
_BATCH = 32
_FEED_FORWARD = ("mlp", "feed_forward", "ffn", "DenseReluDense")


@dataclass(frozen=True)
class PatchFit:
    """How the fit of some edits went.

    Attributes:
        edit_ids: The edits, in the order they were given.
        losses: For each edit its loss before each step and at the end, in nats per token.
        steps: For each edit how many steps of Adam it took.
        fitted: For each edit whether its answer became as probable as was asked and, without the
            router, its neurons silent on the memory.
        seconds: How long it took.
    """

    edit_ids: tuple[str, ...]
    losses: tuple[tuple[float, ...], ...]
    steps: tuple[int, ...]
    fitted: tuple[bool, ...]
    seconds: float


class PatcherEditor:
    """Adds an edit's neurons to feed-forward layers of the base while the rows in its scope are decoded.

    A neuron for each token of the answer and for the end behind it: where its key meets the layer's
    input, its value is added to the layer's output. Patches are fitted when an edit is first needed, or
    before by `fit`; they lie over the base and not in it. One layer is patched, or several, each with neurons
    of its own that are learned together.

    As in the paper: the place of the neurons, their first keys, the losses on the answer, on the
    activation and on the memory, and with `config.routed` off the decision by the neurons' own
    activations. Other than in the paper:

    * neurons are rectified whatever the layer's own activation is, so that a silent one changes no bit,
      and values begin at zero and not at random;
    * every token of the answer gets a neuron, not only those that the base has wrong;
    * the memory is general text and the queries of other edits, not the base's training data;
    * many edits are fitted at once, each without the neurons of the others;
    * with `config.routed` on, the default, a row has the neurons of its own edit only, so that there is
      no memory on which they have to be silent;
    * with `config.wordings` on, the default, they are fitted on variations of the prompt too.

    Args:
        base: The frozen base model; only hooks are put onto it.
        tokenizer: Its tokenizer.
        config: Where neurons are, how they are fitted and when they are live.
        folder: The checkpoint it was loaded from, if any.
        patches: Patches to begin with; those of one edit in the order of their layers.

    Raises:
        UnsupportedModelError: The base has no feed-forward layer of its own in that block, or only one block.
        CheckpointError: The base has no such block.
    """

    def __init__(
        self,
        base: Any,
        tokenizer: PreTrainedTokenizerBase,
        config: PatcherConfig | None = None,
        folder: Path | None = None,
        patches: Sequence[Patch] = (),
    ) -> None:
        self.config = config or PatcherConfig()
        self.folder = folder
        self._base = base
        self._tokenizer = tokenizer
        self._patches: dict[str, tuple[Patch, ...]] = {}
        for patch in patches:
            self._patches[patch.edit_id] = (*self._patches.get(patch.edit_id, ()), patch)
        self._lock = RLock()
        self._has_encoder = bool(getattr(base.config, "is_encoder_decoder", False))
        blocks = find_blocks(base)
        given = len(blocks) - 1 if self.config.layer is None else self.config.layer
        self._layers = (given,) if isinstance(given, int) else tuple(sorted(set(given)))
        if len(blocks) == 1:
            raise UnsupportedModelError(f"neurons need a block below theirs, and {type(base).__name__} has one block")
        for layer in self._layers:
            if not 1 <= layer < len(blocks):
                raise CheckpointError(f"layer must be between 1 and {len(blocks) - 1}, got {layer}")
        modules: dict[Hashable, nn.Module] = {layer: _feed_forward(blocks[layer]) for layer in self._layers}
        self._device = next(modules[self._layers[0]].parameters()).device
        self._hooks = ActivationHooks(base, modules)
        self._memory: Tensor | None = None
        self._all: tuple[Neurons, ...] = ()

    def answer(self, rows: Rows, options: Mapping[str, Any]) -> Tensor:
        """Decode every row with its edit's neurons in the layer; see `Editor.answer`."""
        with self._patching(rows.attention_mask, rows.edits, rows.counted):
            sequences: Tensor = self._base.generate(**rows.inputs, **options)
        return sequences

    def fuses(self, length: int, edits: Sequence[Edit | None], options: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Rows without neurons keep every bit, so that any rows can share a pass; see `FusingEditor.fuses`."""
        return self.config.routed and not self._has_encoder

    def answer_fused(
        self, input_ids: Tensor, attention_mask: Tensor, edits: Sequence[Edit | None], options: Mapping[str, Any]
    ) -> Tensor:
        """Decode rows with and without neurons in one pass; see `FusingEditor.answer_fused`."""
        with self._patching(attention_mask, edits, input_ids.shape[1]):
            sequences: Tensor = self._base.generate(input_ids=input_ids, attention_mask=attention_mask, **options)
        return sequences

    def everywhere(self) -> AbstractContextManager[None]:
        """Let the neurons of all fitted edits work in every row of this thread's calls of the base, as published."""
        with self._lock:
            if not self._all and self._patches:
                self._all = self._neurons(list(self._patches.values()))
            everyone = self._all
        # Nothing was fitted: no layer is changed.
        pairs = zip(self._layers, everyone, strict=False)
        return self._hooks.changing({layer: [Transformation(own.fired)] for layer, own in pairs})

    def missing(self, edits: Sequence[Edit]) -> list[Edit]:
        """Those of the edits that are not learned in their present state; see `StoringEditor.missing`."""
        return [edit for edit in dict.fromkeys(edits) if not self._has(edit)]

    def fit(self, edits: Sequence[Edit], *, progress: bool = False) -> PatchFit:
        """Fit the neurons of edits, in batches, whether they have some or not.

        Args:
            edits: Any number of edits.
            progress: Whether to show a progress bar.

        Returns:
            Losses and steps.
        """
        began = time.perf_counter()
        told: dict[int, tuple[tuple[float, ...], int, bool]] = {}
        with self._lock, tqdm(total=len(edits), unit="edit", disable=not progress) as bar:
            for numbers in self._batches(edits):
                batch = [edits[number] for number in numbers]
                fitted = fit_patches(
                    self._base, self._tokenizer, self._hooks, self._layers, batch, self._remembered(batch), self.config
                )
                for place, number in enumerate(numbers):
                    self._patches[batch[place].id] = fitted.patches[place]
                    told[number] = (tuple(fitted.losses[place]), fitted.steps[place], fitted.fitted[place])
                bar.update(len(batch))
            self._all = ()
        losses, steps, ended = zip(*(told[number] for number in sorted(told)), strict=True) if told else ((), (), ())
        return PatchFit(tuple(edit.id for edit in edits), losses, steps, ended, time.perf_counter() - began)

    def prune(self, live_ids: Collection[str]) -> None:
        """Drop the neurons of all edits but these; see `StoringEditor.prune`."""
        with self._lock:
            self._patches = {name: patches for name, patches in self._patches.items() if name in live_ids}
            self._all = ()

    def detach(self) -> None:
        """Remove the hooks from the base."""
        self._hooks.detach()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write settings and neurons, with the fingerprint of the base; never the base's weights.

        Args:
            folder: Made if it does not exist.
        """
        with self._lock:
            patches = [patch for own in self._patches.values() for patch in own]
            FILES.save(Path(folder), self._base, self.config, patches)

    def _has(self, edit: Edit) -> bool:
        return edit.id in self._patches and self._patches[edit.id][0].fits(edit)

    def _neurons(self, edits: Sequence[tuple[Patch, ...]]) -> tuple[Neurons, ...]:
        """The neurons of some edits' patches, layer by layer."""
        return tuple(Neurons.of(patches, self._device) for patches in zip(*edits, strict=True))

    def _patching(self, mask: Tensor, edits: Sequence[Edit | None], width: int) -> AbstractContextManager[None]:
        named = [edit for edit in edits if edit is not None]
        with self._lock:
            if missing := self.missing(named):
                self.fit(missing)
            if not self.config.routed:
                return self.everywhere()
            neurons = {edit.id: self._neurons([self._patches[edit.id]]) for edit in named}
        plan: dict[Hashable, list[Change | None]] = {
            layer: [
                None if edit is None else Transformation(neurons[edit.id][place].fired, start=self._start(row, width))
                for edit, row in zip(edits, mask, strict=True)
            ]
            for place, layer in enumerate(self._layers)
        }
        return self._hooks.changing(plan)

    def _start(self, mask: Tensor, width: int) -> int:
        """The position from which the first new token is decoded; of a prompt padded on the right, its own end."""
        return width - 1 if self._has_encoder or not mask.any() else int(mask.nonzero()[-1])

    def _remembered(self, batch: Sequence[Edit]) -> Tensor | None:
        """The memory for a batch, layer by layer: general text, and the queries of all other edits with neurons."""
        if self.config.routed:
            return None
        if self._memory is None:
            self._memory = memory_queries(self._base, self._tokenizer, self._hooks, self._layers)
        own = {edit.id for edit in batch}
        others = [patches for name, patches in self._patches.items() if name not in own]
        known = [torch.stack([patch.queries for patch in patches]) for patches in others]
        return torch.cat([self._memory, *known], dim=1)

    def _batches(self, edits: Sequence[Edit]) -> Iterator[list[int]]:
        """Numbers of edits that are fitted together, those with answers of like length."""
        order = sorted(range(len(edits)), key=lambda number: len(edits[number].target))
        for first in range(0, len(order), _BATCH):
            yield order[first : first + _BATCH]


def _feed_forward(block: nn.Module) -> nn.Module:
    """The module of a block that is its feed-forward layer."""
    found = (module for name, module in block.named_modules() if name.rsplit(".", 1)[-1] in _FEED_FORWARD)
    module: nn.Module | None = next(found, None)
    if module is not None:
        return module
    raise UnsupportedModelError(
        f"found no feed-forward layer in a block of class {type(block).__name__}; expected a module named "
        f"{', '.join(_FEED_FORWARD)}"
    )
