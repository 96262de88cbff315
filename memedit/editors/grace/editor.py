"""The GRACE editor: the router chooses the edit, its entry of the codebook answers (Hartvigsen et al. 2023)."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import Any, Self

import torch
from torch import Tensor
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from memedit.editors.activations import ActivationHooks, Change, Replacement, Transformation, find_blocks
from memedit.editors.base import Rows
from memedit.editors.fingerprint import fingerprint
from memedit.editors.grace.choosing import Choice, choose
from memedit.editors.grace.codebook import Codebook, Entry
from memedit.editors.grace.config import GraceConfig
from memedit.editors.grace.fitting import Fitted, GraceFit, fit_values
from memedit.editors.grace.keys import edit_keys, prompt_states
from memedit.editors.grace.lessons import answer_ids, has_encoder, wordings_of
from memedit.editors.grace.saved import load_codebook, save_codebook
from memedit.edits import Edit
from memedit.errors import CheckpointError

logger = logging.getLogger(__name__)

_BATCH = 100
_MOST_LOGITS = 2**26
"""Edits of one batch, fewer where the logits of all their wordings would take more numbers than this."""


class GraceEditor:
    """Hooks an edit's vectors into one layer of the base while the rows in its scope are decoded.

    By default an entry holds a vector for each token of the answer and for the end behind it: vector
    j stands in place of the layer's output at the position from which token j is decoded, whatever
    the wording. Entries are fitted when an edit is first needed, or before by `fit`.

    Any number of threads may answer, also while one of them fits.

    Args:
        base: The frozen base model; only hooks are put onto its blocks.
        tokenizer: Its tokenizer.
        config: What an entry holds and how it is fitted; a layer that is None is chosen at the first fit.
        folder: The checkpoint it was loaded from, if any.
        codebook: Entries to begin with.
        choice: Layer and radii that they were fitted for.

    Attributes:
        codebook: The entries.
        choice: Layer and radii; None until the first fit.
        hooks: Hooks on the base's blocks under their numbers: on the chosen one, or on all while none is.

    Raises:
        UnsupportedModelError: The base has no blocks that could be found.
        CheckpointError: The base has no such layer.
    """

    def __init__(
        self,
        base: Any,
        tokenizer: PreTrainedTokenizerBase,
        config: GraceConfig | None = None,
        folder: Path | None = None,
        codebook: Codebook | None = None,
        choice: Choice | None = None,
    ) -> None:
        self.config = config or GraceConfig()
        self.folder = folder
        self.codebook = Codebook() if codebook is None else codebook
        self.choice = choice
        self._base = base
        self._tokenizer = tokenizer
        self._lock = RLock()
        blocks = find_blocks(base)
        layer = self.config.layer if choice is None else choice.layer
        if layer is not None and not 0 <= layer < len(blocks):
            raise CheckpointError(f"layer must be between 0 and {len(blocks) - 1}, got {layer}")
        # Where the layer is not chosen yet, any of them may be.
        hooked = range(len(blocks)) if layer is None else [layer]
        self.hooks = ActivationHooks(base, {number: blocks[number] for number in hooked})

    def answer(self, rows: Rows, options: Mapping[str, Any]) -> Tensor:
        """Decode every row with its edit's vectors in the layer; see `Editor.answer`."""
        with self._changing(rows.attention_mask, rows.edits, rows.counted):
            sequences: Tensor = self._base.generate(**rows.inputs, **options)
        return sequences

    def fuses(self, length: int, edits: Sequence[Edit | None], options: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Rows without an edit keep every bit, so that any rows can share a pass; see `FusingEditor.fuses`."""
        return not has_encoder(self._base)

    def answer_fused(
        self, input_ids: Tensor, attention_mask: Tensor, edits: Sequence[Edit | None], options: Mapping[str, Any]
    ) -> Tensor:
        """Decode rows with and without an edit in one pass; see `FusingEditor.answer_fused`."""
        with self._changing(attention_mask, edits, input_ids.shape[1]):
            sequences: Tensor = self._base.generate(input_ids=input_ids, attention_mask=attention_mask, **options)
        return sequences

    def missing(self, edits: Sequence[Edit]) -> list[Edit]:
        """Those of the edits that have no entry in their present state; see `StoringEditor.missing`."""
        return [edit for edit in dict.fromkeys(edits) if self.codebook.get(edit) is None]

    def fit(self, edits: Sequence[Edit], *, progress: bool = False) -> GraceFit:
        """Fit the entries of edits, in batches, whether they have one or not.

        Args:
            edits: Any number of edits. If the layer is still to be chosen, the first ones decide.
            progress: Whether to show a progress bar.

        Returns:
            Losses and steps.
        """
        with self._lock:
            return self._fitted(edits, progress=progress)[0]

    def prune(self, live_ids: Collection[str]) -> int:
        """Drop the entries of all edits but these; returns how many were dropped."""
        with self._lock:
            return self.codebook.prune(set(live_ids))

    def states(self, prompts: Sequence[str]) -> list[Tensor]:
        """The layer's output at every token of each prompt: float32 on the CPU, shape (length, size).

        Raises:
            CheckpointError: No layer was chosen yet.
        """
        return prompt_states(self._base, self._tokenizer, self.hooks, self._chosen().layer, prompts)

    def detach(self) -> None:
        """Remove the hooks from the base."""
        self.hooks.detach()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write settings and codebook, with the fingerprint of the base; never the base's weights.

        Args:
            folder: Made if it does not exist.
        """
        config = replace(self.config, base_fingerprint=fingerprint(self._base))
        with self._lock:
            save_codebook(Path(folder), config, self.choice, self.codebook)

    @classmethod
    def from_pretrained(cls, folder: str | Path, base: Any, tokenizer: PreTrainedTokenizerBase) -> Self:
        """Load what `save_pretrained` wrote.

        Args:
            folder: Holds `grace.json` and `codebook.safetensors`.
            base: The base the codebook was fitted for.
            tokenizer: Its tokenizer.

        Raises:
            CheckpointError: The folder holds no codebook, or one of another base.
        """
        config, choice, codebook = load_codebook(Path(folder))
        if config.base_fingerprint != (own := fingerprint(base)):
            raise CheckpointError(
                f"the codebook in {folder} was fitted for the base {config.base_fingerprint}, this base is {own}; "
                "fit the edits again with editor='grace'"
            )
        return cls(base, tokenizer, config, Path(folder), codebook, choice)

    def _changing(self, mask: Tensor, edits: Sequence[Edit | None], width: int) -> AbstractContextManager[None]:
        entries = iter(self._entries([edit for edit in edits if edit is not None]))
        # Only a decoder-only model continues what the mask is about.
        masks: Sequence[Tensor | None] = [None] * len(mask) if has_encoder(self._base) else list(mask)
        changes = [
            None if edit is None else row_change(self.config, next(entries).values, row, width)
            for edit, row in zip(edits, masks, strict=True)
        ]
        return self.hooks.changing({self._chosen().layer: changes})

    def _entries(self, edits: Sequence[Edit]) -> list[Entry]:
        """The entries of edits; those that are missing are fitted."""
        found = [self.codebook.get(edit) for edit in edits]
        if all(found):
            return [entry for entry in found if entry is not None]
        with self._lock:
            # Another thread may have fitted them meanwhile.
            known = {edit: entry for edit in edits if (entry := self.codebook.get(edit)) is not None}
            missing = [edit for edit in dict.fromkeys(edits) if edit not in known]
            # A newer state of an edit may stand in the codebook: what was routed to is what answers.
            known |= dict(zip(missing, self._fitted(missing)[1], strict=True))
        return [known[edit] for edit in edits]

    def _chosen(self) -> Choice:
        if self.choice is None:
            raise CheckpointError("this GRACE editor has no layer yet; fit an edit first")
        return self.choice

    def _fitted(self, edits: Sequence[Edit], *, progress: bool = False) -> tuple[GraceFit, list[Entry]]:
        """Fit edits and store their entries; the caller holds the lock."""
        began = time.perf_counter()
        if edits and self.choice is None:
            self.choice = choose(self._base, self._tokenizer, self.hooks, edits, self.config)
            logger.info("GRACE chose layer %d, radius %.3g", self.choice.layer, self.choice.radius)
        entries: dict[int, Entry] = {}
        told: dict[int, tuple[list[float], int, bool]] = {}
        with tqdm(total=len(edits), unit="edit", disable=not progress) as bar:
            for numbers in self._batches(edits):
                batch = [edits[number] for number in numbers]
                fitted = self._fit_batch(batch, self._chosen().layer)
                told |= zip(numbers, zip(fitted.losses, fitted.steps, fitted.fitted, strict=True), strict=True)
                entries |= zip(numbers, self._made(batch, fitted.values), strict=True)
                bar.update(len(batch))
        made = [entries[number] for number in range(len(edits))]
        self.codebook.put(*made)
        curves, steps, ended = zip(*(told[number] for number in sorted(told)), strict=True) if told else ((), (), ())
        layer = None if self.choice is None else self.choice.layer
        ids, seconds = tuple(edit.id for edit in edits), time.perf_counter() - began
        return GraceFit(ids, layer, mean_curve(curves), steps, ended, seconds), made

    def _batches(self, edits: Sequence[Edit]) -> Iterator[list[int]]:
        """Numbers of edits that are fitted together, those with answers of like length."""
        lengths = [len(answer_ids(self._base, self._tokenizer, edit, stop=self.config.stop)) for edit in edits]
        vocabulary = int(self._base.config.get_text_config().vocab_size)
        batch: list[int] = []
        for number in sorted(range(len(edits)), key=lengths.__getitem__):
            rows = (len(batch) + 1) * len(wordings_of(edits[number], self._tokenizer, self.config.wordings))
            if batch and (len(batch) == _BATCH or rows * lengths[number] * vocabulary > _MOST_LOGITS):
                yield batch
                batch = []
            batch.append(number)
        if batch:
            yield batch

    def _fit_batch(self, edits: Sequence[Edit], layer: int) -> Fitted:
        wordings = [wordings_of(edit, self._tokenizer, self.config.wordings) for edit in edits]
        return fit_values(self._base, self._tokenizer, layer, edits, wordings, self.config)

    def _made(self, edits: Sequence[Edit], values: Sequence[Tensor]) -> Iterator[Entry]:
        choice = self._chosen()
        states = self.states([edit.prompt for edit in edits])
        for edit, vectors, state in zip(edits, values, states, strict=True):
            key, subject = edit_keys(self._base, self._tokenizer, edit, state)
            subject = subject if self.config.subject_keys else None
            yield Entry(
                edit.id, edit.revision, edit.target, vectors, key, choice.radius, subject, choice.subject_radius
            )


def row_change(config: GraceConfig, values: Tensor, mask: Tensor | None, width: int) -> Change:
    """What an entry does to one row.

    Args:
        config: Where a value stands.
        values: The entry's vectors, shape (k, size).
        mask: 1 for the real tokens of what decoding begins with, shape (width,); None if all are.
        width: How many positions decoding begins with, padding counted.
    """
    if config.value == "single" and config.replacement == "all":
        return Transformation(lambda _, output: values.to(output).expand_as(output))
    if config.value == "single" and config.replacement == "prompt":
        return Replacement(torch.arange(width), values.expand(width, -1))
    last = width - 1
    real = torch.arange(width) if mask is None else mask.nonzero()[:, 0]
    # What is padded on the right is continued from its padding: the first vector stands there too.
    end = int(real[-1]) if len(real) else last
    positions = torch.tensor([*range(end, last), *range(last, last + len(values))])
    return Replacement(positions, torch.cat([values[:1].expand(last - end, -1), values]))


def mean_curve(curves: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Mean over edits before each step; edits that ended early keep their last loss."""
    some = [curve for curve in curves if curve]
    longest = max(map(len, some), default=0)
    return tuple(sum(curve[min(step, len(curve) - 1)] for curve in some) / len(some) for step in range(longest))
