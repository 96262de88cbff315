"""Choose layer and radius from data, for any model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from memedit.editors.activations import ActivationHooks, find_blocks
from memedit.editors.grace.config import GraceConfig
from memedit.editors.grace.fitting import fit_values, share_held
from memedit.editors.grace.keys import edit_keys, prompt_states
from memedit.editors.grace.lessons import HELD_OUT, VARIATIONS, wordings_of
from memedit.edits import Edit

_TRIED_EDITS = 8
_MEASURED_EDITS = 32
_DEPTHS = (0.25, 0.5, 0.75, 1.0)
_REACHED, _TOUCHED = 0.9, 0.02
"""A radius is to reach this share of other wordings, but at most this share of other prompts."""


@dataclass(frozen=True)
class Trial:
    """How one layer did.

    Attributes:
        layer: The block.
        held: Share of wordings not fitted on that give the whole answer.
        steps: Mean steps of Adam.
    """

    layer: int
    held: float
    steps: float


@dataclass(frozen=True)
class Choice:
    """Layer and radii, with what spoke for them.

    Attributes:
        layer: The block.
        radius: Radius of keys at the last token.
        subject_radius: Radius of keys at the subject's last token.
        trials: The layers that were tried; empty if the layer was given.
    """

    layer: int
    radius: float
    subject_radius: float
    trials: tuple[Trial, ...] = ()


def choose(
    base: Any, tokenizer: PreTrainedTokenizerBase, hooks: ActivationHooks, edits: Sequence[Edit], config: GraceConfig
) -> Choice:
    """Try a few layers on a few edits, and measure distances in the best one.

    The best layer gives the most answers after wordings that were not fitted on, then takes the
    fewest steps, then is the deepest.

    Args:
        base: The base.
        tokenizer: Its tokenizer.
        hooks: Hooks on the blocks, under their numbers.
        edits: At least one; the first ones are used.
        config: Settings of the fit; a layer that is given there is not chosen.
    """
    if config.layer is not None:
        return Choice(config.layer, *_radii(base, tokenizer, hooks, config.layer, edits))
    last = len(find_blocks(base)) - 1
    layers = dict.fromkeys(round(depth * last) for depth in _DEPTHS)
    trials = tuple(_trial(base, tokenizer, layer, edits[:_TRIED_EDITS], config) for layer in layers)
    best = max(trials, key=lambda trial: (trial.held, -trial.steps, trial.layer))
    return Choice(best.layer, *_radii(base, tokenizer, hooks, best.layer, edits), trials)


def _trial(
    base: Any, tokenizer: PreTrainedTokenizerBase, layer: int, edits: Sequence[Edit], config: GraceConfig
) -> Trial:
    fitted = fit_values(
        base, tokenizer, layer, edits, [wordings_of(edit, tokenizer, config.wordings) for edit in edits], config
    )
    others = [[form.format(edit.prompt) for form in HELD_OUT] for edit in edits]
    held = share_held(base, tokenizer, layer, edits, others, fitted.values, config)
    return Trial(layer, held, sum(fitted.steps) / len(edits))


def _radii(
    base: Any, tokenizer: PreTrainedTokenizerBase, hooks: ActivationHooks, layer: int, edits: Sequence[Edit]
) -> tuple[float, float]:
    edits = edits[:_MEASURED_EDITS]

    def states_of(form: str) -> list[Tensor]:
        return prompt_states(base, tokenizer, hooks, layer, [form.format(edit.prompt) for edit in edits])

    own = states_of("{}")
    keys = [edit_keys(base, tokenizer, edit, states) for edit, states in zip(edits, own, strict=True)]
    at_end, at_subject = _Distances(), _Distances()
    for form in ("{}", *VARIATIONS, *HELD_OUT):
        for asked, states in enumerate(own if form == "{}" else states_of(form)):
            for number, (last, subject) in enumerate(keys):
                # Of the edits' own prompts only the other edits' count, of other wordings only the own.
                if (form == "{}") == (asked != number):
                    at_end.add(states[-1:], last, same=asked == number)
                    if subject is not None:
                        at_subject.add(states, subject, same=asked == number)
    return at_end.radius, at_subject.radius


class _Distances:
    """Distances of a key to other wordings of its edit, and to other prompts."""

    def __init__(self) -> None:
        self._same: list[Tensor] = []
        self._other: list[Tensor] = []

    def add(self, states: Tensor, key: Tensor, *, same: bool) -> None:
        """Note how near the nearest of some activations (length, size) comes to a key (size,)."""
        away = torch.linalg.vector_norm(states - key, dim=1).min()
        (self._same if same else self._other).append(away)

    @property
    def radius(self) -> float:
        """As far as most other wordings lie, but not so far as to touch many other prompts."""
        if not self._same:
            return 0.0
        reach = torch.stack(self._same).quantile(_REACHED)
        if self._other:
            reach = torch.minimum(reach, torch.stack(self._other).quantile(_TOUCHED))
        return float(reach)
