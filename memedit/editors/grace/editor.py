"""The GRACE editor: the router chooses the edit, its entry of the codebook answers (Hartvigsen et al. 2023)."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from threading import RLock
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from memedit.editors.activations import ActivationHooks, Change, Replacement, Transformation, find_blocks
from memedit.editors.base import Rows
from memedit.editors.grace.choosing import Choice, choose
from memedit.editors.grace.codebook import Codebook, Entry
from memedit.editors.grace.config import GraceConfig
from memedit.editors.grace.fitting import Fitted, GraceFit, Start, fit_values
from memedit.editors.grace.keys import edit_keys, prompt_states
from memedit.editors.learned import Learned
from memedit.editors.lessons import answer_ids, has_encoder, wordings_of
from memedit.edits import Edit
from memedit.errors import CheckpointError

logger = logging.getLogger(__name__)

FILES = Learned("grace", "grace.json", "codebook.safetensors", GraceConfig, Entry)
Standing = tuple[Entry | None, ...]
"""An edit's entry in each hooked layer; none where it has none and another edit's is not shared."""

_BATCH = 100
_MOST_LOGITS = 2**26
"""Edits of one batch, fewer where the logits of all their wordings would take more numbers than this."""


class GraceEditor:
    """Hooks an edit's vectors into layers of the base while the rows in its scope are decoded.

    One layer, or several, each with a codebook of its own: keys are what the plain base has there, and the
    vectors of all layers are fitted together.

    By default an entry holds a vector for each token of the answer and for the end behind it: vector
    j stands in place of the layer's output at the position from which token j is decoded, whatever
    the wording. Entries are fitted when an edit is first needed, or before by `fit`.

    Any number of threads may answer, also while one of them fits.

    Args:
        base: The frozen base model; only hooks are put onto its blocks.
        tokenizer: Its tokenizer.
        config: What an entry holds and how it is fitted; a layer that is None is chosen at the first fit.
        folder: The checkpoint it was loaded from, if any.
        entries: Entries to begin with.
        choice: Layers and radii that they were fitted for.

    Attributes:
        codebooks: The entries of each layer, the lowest first.
        choice: Layers and radii; None until the first fit.
        hooks: Hooks on the base's blocks under their numbers: on the chosen ones, or on all while none is.

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
        entries: Sequence[Entry] = (),
        choice: Choice | None = None,
    ) -> None:
        self.config = config or GraceConfig()
        self.folder = folder
        self.choice = choice
        self._base = base
        self._tokenizer = tokenizer
        self._lock = RLock()
        blocks = find_blocks(base)
        self._last = len(blocks) - 1
        layers = self.config.layers if choice is None else choice.layers
        for layer in layers:
            if not 0 <= layer <= self._last:
                raise CheckpointError(f"layer must be between 0 and {self._last}, got {layer}")
        self.codebooks = tuple(Codebook([entry for entry in entries if entry.layer == layer]) for layer in layers) or (
            Codebook(),  # where a layer is chosen, it is one
        )
        # Where the layer is not chosen yet, any of them may be.
        self.hooks = ActivationHooks(base, {number: blocks[number] for number in layers or range(len(blocks))})

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

    @property
    def codebook(self) -> Codebook:
        """The entries of the lowest hooked layer, of which there is one by default."""
        return self.codebooks[0]

    def missing(self, edits: Sequence[Edit]) -> list[Edit]:
        """Those of the edits that have no entry in their present state; see `StoringEditor.missing`."""
        return [edit for edit in dict.fromkeys(edits) if self._standing(edit) is None]

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
            return max([book.prune(set(live_ids)) for book in self.codebooks])

    def states(self, prompts: Sequence[str]) -> list[Tensor]:
        """The layers' output at every token of each prompt: float32 on the CPU, shape (layers, length, size).

        Raises:
            CheckpointError: No layer was chosen yet.
        """
        return prompt_states(self._base, self._tokenizer, self.hooks, self._chosen().layers, prompts)

    def nearest(self, prompts: Sequence[str]) -> list[tuple[Entry, float]]:
        """For each prompt the entry whose key is nearest, and how far as a share of its radius.

        The decision without a router. Of several layers that one decides for all in which a key is nearest.
        """
        if not prompts or not any(map(len, self.codebooks)):
            return []
        states = self.states(prompts)
        found = [book.nearest([state[place] for state in states]) for place, book in enumerate(self.codebooks)]
        return [min(each, key=lambda pair: pair[1]) for each in zip(*filter(None, found), strict=True)]

    def detach(self) -> None:
        """Remove the hooks from the base."""
        self.hooks.detach()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write settings and codebook, with the fingerprint of the base; never the base's weights.

        Args:
            folder: Made if it does not exist.
        """
        with self._lock:
            entries = [entry for book in self.codebooks for entry in book]
            FILES.save(Path(folder), self._base, self.config, entries, self.choice)

    def _changing(self, mask: Tensor, edits: Sequence[Edit | None], width: int) -> AbstractContextManager[None]:
        entries = iter(self._entries([edit for edit in edits if edit is not None]))
        # Only a decoder-only model continues what the mask is about.
        masks: Sequence[Tensor | None] = [None] * len(mask) if has_encoder(self._base) else list(mask)
        meant = [None if edit is None else next(entries) for edit in edits]
        plan: dict[Hashable, list[Change | None]] = {}
        for place, layer in enumerate(self._chosen().layers):
            standing = [None if each is None else each[place] for each in meant]
            plan[layer] = [
                None if entry is None else row_change(self.config, entry.values, row, width)
                for entry, row in zip(standing, masks, strict=True)
            ]
        return self.hooks.changing(plan)

    def _entries(self, edits: Sequence[Edit]) -> list[Standing]:
        """The entries of edits; those that are missing are fitted."""
        known = {edit: found for edit in edits if (found := self._standing(edit)) is not None}
        if len(known) < len(set(edits)):
            with self._lock:
                # Another thread may have fitted them meanwhile.
                known |= {edit: found for edit in edits if (found := self._standing(edit)) is not None}
                missing = [edit for edit in dict.fromkeys(edits) if edit not in known]
                # A newer state of an edit may stand in the codebook: what was routed to is what answers.
                known |= dict(zip(missing, self._fitted(missing)[1], strict=True))
        return [known[edit] for edit in edits]

    def _standing(self, edit: Edit) -> Standing | None:
        """The edit's entry in each layer; None if it has to be fitted."""
        found = tuple(book.get(edit) for book in self.codebooks)
        return found if all(found) else None

    def _chosen(self) -> Choice:
        if self.choice is None:
            raise CheckpointError("this GRACE editor has no layer yet; fit an edit first")
        return self.choice

    def _fitted(self, edits: Sequence[Edit], *, progress: bool = False) -> tuple[GraceFit, list[Standing]]:
        """Fit edits and store their entries; the caller holds the lock."""
        began = time.perf_counter()
        if edits and self.choice is None:
            self.choice = choose(self._base, self._tokenizer, self.hooks, edits, self.config)
            logger.info("GRACE works in layers %s, with radii %s", self.choice.layers, self.choice.radii)
        entries: dict[int, tuple[Entry, ...]] = {}
        told: dict[int, tuple[list[float], int, bool]] = {}
        with tqdm(total=len(edits), unit="edit", disable=not progress) as bar:
            for numbers in self._batches(edits):
                batch = [edits[number] for number in numbers]
                fitted = self._fit_batch(batch)
                told |= zip(numbers, zip(fitted.losses, fitted.steps, fitted.fitted, strict=True), strict=True)
                entries |= zip(numbers, self._made(batch, fitted.values), strict=True)
                bar.update(len(batch))
        made = [entries[number] for number in range(len(edits))]
        for place, book in enumerate(self.codebooks):
            book.put(*(each[place] for each in made))
        curves, steps, ended = zip(*(told[number] for number in sorted(told)), strict=True) if told else ((), (), ())
        layers = () if self.choice is None else self.choice.layers
        ids, seconds = tuple(edit.id for edit in edits), time.perf_counter() - began
        return GraceFit(ids, layers, mean_curve(curves), steps, ended, seconds), list(made)

    def _batches(self, edits: Sequence[Edit]) -> Iterator[list[int]]:
        """Numbers of edits that are fitted together, those with answers of like length."""
        lengths = [len(answer_ids(self._base, self._tokenizer, edit, stop=self.config.stop)) for edit in edits]
        vocabulary = int(self._base.config.get_text_config().vocab_size)
        batch: list[int] = []
        for number in sorted(range(len(edits)), key=lengths.__getitem__):
            rows = (len(batch) + 1) * len(self._wordings(edits[number]))
            if batch and (len(batch) == _BATCH or rows * lengths[number] * vocabulary > _MOST_LOGITS):
                yield batch
                batch = []
            batch.append(number)
        if batch:
            yield batch

    def _fit_batch(self, edits: Sequence[Edit], start: Start | None = None) -> Fitted:
        wordings = [self._wordings(edit) for edit in edits]
        layers = self._chosen().layers
        return fit_values(self._base, self._tokenizer, self.hooks, layers, edits, wordings, self.config, start)

    def _wordings(self, edit: Edit) -> list[str]:
        """The prompts that an edit is fitted on."""
        # Behind the last block every position stands alone: a vector that gives a token gives it in all wordings.
        alone = self.config.value == "answer" and self._last in self._chosen().layers
        return wordings_of(edit, self._tokenizer, self.config.wordings and not alone)

    def _made(self, edits: Sequence[Edit], values: Sequence[Tensor]) -> Iterator[tuple[Entry, ...]]:
        choice = self._chosen()
        states = self.states([edit.prompt for edit in edits])
        for edit, vectors, state in zip(edits, values, states, strict=True):
            keys, subjects = edit_keys(self._base, self._tokenizer, edit, state)
            subjects = subjects if self.config.subject_keys else None
            yield tuple(
                Entry(
                    edit.id,
                    edit.revision,
                    edit.target,
                    layer,
                    vectors[place],
                    keys[place],
                    choice.radii[place],
                    None if subjects is None else subjects[place],
                    choice.subject_radii[place],
                )
                for place, layer in enumerate(choice.layers)
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
