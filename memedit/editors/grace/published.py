"""GRACE as published: one vector for each edit, fitted alone, and placed by Algorithm 1.

For comparison. Settings are the authors' own: a hundred steps of Adam at a rate of 1.0 on a single
vector that starts at random, the target without its end, radius 1.0, at three quarters of the depth.
The authors hook one feed-forward layer and key it by its input; here it is the block, and its output.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from memedit.editors.activations import find_blocks
from memedit.editors.grace.choosing import Choice
from memedit.editors.grace.codebook import Entry, Rule
from memedit.editors.grace.config import GraceConfig, Replacement
from memedit.editors.grace.editor import GraceEditor, Standing, mean_curve, row_change
from memedit.editors.grace.fitting import GraceFit, undisturbed
from memedit.editors.lessons import answer_ids, forward_inputs, has_encoder, prompt_inputs
from memedit.edits import Edit
from memedit.errors import UnsupportedCallError

RADIUS = 1.0
STEPS = 100
RATE = 1.0
NEVER = 2.0
"""A confidence that no token reaches: every value has all its steps."""
DEPTH = 0.75


class PublishedGrace(GraceEditor):
    """Learns edits as published, one after the other; `GraceDeferral` decides for it.

    In several layers each has a codebook of its own, in which Algorithm 1 places the edit by the plain
    base's activation there; values of all layers in which it is placed anew are fitted together, beside
    those of entries that it shares.

    Args:
        base: The frozen base.
        tokenizer: Its tokenizer.
        layer: The hooked block, or several; None for three quarters of the depth.
        radius: Radius of a new key (epsilon).
        replacement: Where a value stands.
        batched: Whether values are fitted for many edits at once, through the blocks above the hooked one
            only: the same steps and, up to rounding, the same values, in a fraction of the time. If not,
            each has the whole base to itself, as published.

    Attributes:
        rules: For each edit the rules by which it was placed, one for each layer.

    Raises:
        UnsupportedCallError: Values cannot be fitted in batches so: in several layers, or elsewhere than at
            the last token.
    """

    def __init__(
        self,
        base: Any,
        tokenizer: PreTrainedTokenizerBase,
        *,
        layer: int | tuple[int, ...] | None = None,
        radius: float = RADIUS,
        replacement: Replacement = "last",
        batched: bool = False,
    ) -> None:
        config = GraceConfig(
            round(DEPTH * (len(find_blocks(base)) - 1)) if layer is None else layer,
            "single",
            replacement,
            stop=False,
            wordings=False,
            subject_keys=False,
            steps=STEPS,
            rate=RATE,
            confidence=NEVER,
        )
        if batched and (len(config.layers) > 1 or replacement != "last"):
            raise UnsupportedCallError("batches are for values at the last token of one layer")
        count = len(config.layers)
        super().__init__(base, tokenizer, config, choice=Choice(config.layers, (radius,) * count, (0.0,) * count))
        self.rules: dict[Edit, tuple[Rule, ...]] = {}
        self._owners: dict[Edit, tuple[str, ...]] = {}
        self._batched = batched

    def prune(self, live_ids: Collection[str]) -> int:
        """Drop the entries of all edits but these; edits that shared an entry go with its first one."""
        self.rules = {edit: rules for edit, rules in self.rules.items() if edit.id in live_ids}
        self._owners = {edit: self._owners[edit] for edit in self.rules}
        return super().prune(live_ids)

    def place(self, edits: Sequence[Edit]) -> None:
        """Place keys in their order, each as Algorithm 1 does after those before it; values are fitted later.

        Where a key lies and how far it reaches depends on no value, so that only the values that are
        meant have to be fitted.
        """
        with self._lock:
            for edit in edits:
                keys = self.states([edit.prompt])[0][:, -1]
                choice = self._chosen()
                placed = [
                    book.place(key, edit.target, radius)
                    for book, key, radius in zip(self.codebooks, keys, choice.radii, strict=True)
                ]
                for book, key, where, layer in zip(self.codebooks, keys, placed, choice.layers, strict=True):
                    if where.shared is None:
                        nothing = torch.empty(0, len(key))
                        book.put(Entry(edit.id, edit.revision, edit.target, layer, nothing, key, where.radius))
                self.rules[edit] = tuple(where.rule for where in placed)
                self._owners[edit] = tuple(where.shared or edit.id for where in placed)

    def _standing(self, edit: Edit) -> Standing | None:
        if edit not in self.rules:
            return None
        found = self._entries_of(edit)
        return None if any(entry is not None and not len(entry.values) for entry in found) else found

    def _fitted(self, edits: Sequence[Edit], *, progress: bool = False) -> tuple[GraceFit, list[Standing]]:
        began = time.perf_counter()
        self.place([edit for edit in dict.fromkeys(edits) if edit not in self.rules])
        curves: dict[Edit, list[float]] = {}
        learned = self._to_learn(edits)
        with tqdm(total=len(learned), unit="edit", disable=not progress) as bar:
            for batch in self._parts(learned):
                curves |= zip(batch, self._learn(batch), strict=True)
                bar.update(len(batch))
        told = [curves.get(edit, []) for edit in edits]
        ids, steps, ended = tuple(edit.id for edit in edits), tuple(map(len, told)), (True,) * len(edits)
        fit = GraceFit(ids, self._chosen().layers, mean_curve(told), steps, ended, time.perf_counter() - began)
        return fit, [self._entries_of(edit) for edit in edits]

    def _entries_of(self, edit: Edit) -> Standing:
        """In each layer the entry that an edit has or shares; none if that was replaced or removed."""
        return tuple(book.of(owner) for book, owner in zip(self.codebooks, self._owners[edit], strict=True))

    def _to_learn(self, edits: Sequence[Edit]) -> list[Edit]:
        """Those with entries of their own, behind those whose entries they share and that have no value yet."""
        wanted, left = set(edits), list(edits)
        placed = {edit.id: edit for edit in self.rules}
        while left:
            entries = self._entries_of(left.pop())
            bare = {placed[entry.edit_id] for entry in entries if entry is not None and not len(entry.values)} - wanted
            wanted |= bare
            left += bare
        return [edit for edit in self.rules if edit in wanted and self._own(edit)]

    def _own(self, edit: Edit) -> list[int]:
        """The layers in which an edit has an entry of its own."""
        entries = self._entries_of(edit)
        return [entry.layer for entry in entries if entry is not None and entry.fits(edit)]

    def _parts(self, edits: Sequence[Edit]) -> Iterator[list[Edit]]:
        numbers = self._batches(edits) if self._batched else ([number] for number in range(len(edits)))
        return ([edits[number] for number in part] for part in numbers)

    def _learn(self, batch: Sequence[Edit]) -> list[list[float]]:
        """Fit values, and return the losses."""
        if not self._batched:
            return [self._alone(edit) for edit in batch]
        fitted = self._fit_batch(batch, beginning)
        for edit, (value,) in zip(batch, fitted.values, strict=True):
            self.codebook.fill(edit, value)
        return [losses[:STEPS] for losses in fitted.losses]

    def _alone(self, edit: Edit) -> list[float]:
        answer = torch.tensor([answer_ids(self._base, self._tokenizer, edit, stop=False)], device=self._base.device)
        inputs = forward_inputs(self._base, *prompt_inputs(self._base, self._tokenizer, [edit.prompt]))
        begin = "decoder_input_ids" if has_encoder(self._base) else "input_ids"
        width = inputs[begin].shape[1]
        whole = {"use_cache": False, begin: torch.cat([inputs[begin], answer[:, :-1]], dim=1)}
        whole |= {name: inputs[name] for name in ("encoder_outputs", "attention_mask") if has_encoder(self._base)}
        values = {entry.layer: entry.values for entry in self._entries_of(edit) if entry is not None}
        own = self._own(edit)
        with undisturbed(self._base), torch.enable_grad():
            values |= {layer: beginning(values[layer].shape[1]).to(self._base.device).requires_grad_() for layer in own}
            optimizer = torch.optim.Adam([values[layer] for layer in own], lr=RATE)
            losses = []
            for _ in range(STEPS):
                changes = ((layer, [row_change(self.config, value, None, width)]) for layer, value in values.items())
                with self.hooks.changing(dict(changes)):
                    logits = self._base(**whole).logits[0, width - 1 :]
                loss = functional.cross_entropy(logits.float(), answer[0])
                losses.append(loss.item())
                for layer, gradient in zip(own, torch.autograd.grad(loss, [values[n] for n in own]), strict=True):
                    values[layer].grad = gradient
                optimizer.step()
        for book, layer in zip(self.codebooks, self._chosen().layers, strict=True):
            if layer in own:
                book.fill(edit, values[layer].detach().cpu())
        return losses


def beginning(size: int) -> Tensor:
    """What every value begins as: uniform random numbers, the same ones each time; float32, shape (1, size)."""
    return torch.rand(1, size, generator=torch.Generator().manual_seed(0))
