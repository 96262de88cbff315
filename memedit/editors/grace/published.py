"""GRACE as published: one vector for each edit, fitted alone, and placed by Algorithm 1.

For comparison. Settings are the authors' own: a hundred steps of Adam at a rate of 1.0 on a single
vector that starts at random, the target without its end, radius 1.0, at three quarters of the depth.
The authors hook a feed-forward layer and key it by its input; here it is the block, and its output.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
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
from memedit.editors.grace.editor import GraceEditor, mean_curve, row_change
from memedit.editors.grace.fitting import GraceFit, undisturbed
from memedit.editors.grace.lessons import answer_ids, forward_inputs, has_encoder, prompt_inputs
from memedit.edits import Edit

RADIUS = 1.0
STEPS = 100
RATE = 1.0
DEPTH = 0.75


class PublishedGrace(GraceEditor):
    """Learns edits as published, one after the other; `GraceDeferral` decides for it.

    Args:
        base: The frozen base.
        tokenizer: Its tokenizer.
        layer: The hooked block; None for three quarters of the depth.
        radius: Radius of a new key (epsilon).
        replacement: Where a value stands.

    Attributes:
        rules: By which rule each edit was placed.
    """

    def __init__(
        self,
        base: Any,
        tokenizer: PreTrainedTokenizerBase,
        *,
        layer: int | None = None,
        radius: float = RADIUS,
        replacement: Replacement = "last",
    ) -> None:
        layer = round(DEPTH * (len(find_blocks(base)) - 1)) if layer is None else layer
        config = GraceConfig(layer, "single", replacement, stop=False, wordings=False, subject_keys=False)
        super().__init__(base, tokenizer, config, choice=Choice(layer, radius, 0.0))
        self.rules: dict[Edit, Rule] = {}

    def missing(self, edits: Sequence[Edit]) -> list[Edit]:
        """Those of the edits that were not placed; one that expanded another's entry has none of its own."""
        return [edit for edit in dict.fromkeys(edits) if edit not in self.rules]

    def fit(self, edits: Sequence[Edit], *, progress: bool = False) -> GraceFit:
        """Apply edits in their order, each as Algorithm 1 does after those before it."""
        began = time.perf_counter()
        with self._lock:
            curves = [self._apply(edit) for edit in tqdm(edits, unit="edit", disable=not progress)]
        ids, steps, ended = tuple(edit.id for edit in edits), tuple(map(len, curves)), (True,) * len(edits)
        return GraceFit(ids, self._chosen().layer, mean_curve(curves), steps, ended, time.perf_counter() - began)

    def prune(self, live_ids: Collection[str]) -> int:
        """Drop the entries of all edits but these; edits that shared an entry go with its first one."""
        self.rules = {edit: rule for edit, rule in self.rules.items() if edit.id in live_ids}
        return super().prune(live_ids)

    def _apply(self, edit: Edit) -> list[float]:
        choice = self._chosen()
        key = self.states([edit.prompt])[0][-1]
        rule, radius = self.codebook.place(key, edit.target, choice.radius)
        self.rules[edit] = rule
        if rule is Rule.EXPANDED:
            return []
        value, losses = self._value(edit, len(key))
        self.codebook.put(Entry(edit.id, edit.revision, edit.target, value, key, radius))
        return losses

    def _value(self, edit: Edit, size: int) -> tuple[Tensor, list[float]]:
        answer = torch.tensor([answer_ids(self._base, self._tokenizer, edit, stop=False)], device=self._base.device)
        inputs = forward_inputs(self._base, *prompt_inputs(self._base, self._tokenizer, [edit.prompt]))
        begin = "decoder_input_ids" if has_encoder(self._base) else "input_ids"
        width = inputs[begin].shape[1]
        whole = {"use_cache": False, begin: torch.cat([inputs[begin], answer[:, :-1]], dim=1)}
        whole |= {name: inputs[name] for name in ("encoder_outputs", "attention_mask") if has_encoder(self._base)}
        with undisturbed(self._base), torch.enable_grad():
            value = torch.rand(1, size, generator=torch.Generator().manual_seed(0)).requires_grad_()
            optimizer = torch.optim.Adam([value], lr=RATE)
            losses = []
            for _ in range(STEPS):
                change = row_change(self.config, value, None, width)
                with self.hooks.changing({self._chosen().layer: [change]}):
                    logits = self._base(**whole).logits[0, width - 1 :]
                loss = functional.cross_entropy(logits.float(), answer[0])
                losses.append(loss.item())
                (value.grad,) = torch.autograd.grad(loss, [value])
                optimizer.step()
        return value.detach(), losses
