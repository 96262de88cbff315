"""Choose layer and radius from data, for any model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from memedit.editors.activations import ActivationHooks, find_blocks
from memedit.editors.grace.config import GraceConfig
from memedit.editors.grace.fitting import fit_values, share_held
from memedit.editors.grace.keys import edit_keys, prompt_states
from memedit.editors.lessons import HELD_OUT, VARIATIONS, wordings_of
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
    """Layers and radii, with what spoke for them.

    Attributes:
        layers: The blocks.
        radii: For each of them the radius of keys at the last token.
        subject_radii: For each the radius of keys at the subject's last token.
        trials: The layers that were tried; empty if layers were given.
    """

    layers: tuple[int, ...]
    radii: tuple[float, ...]
    subject_radii: tuple[float, ...]
    trials: tuple[Trial, ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """A choice from JSON values."""
        trials = tuple(Trial(**trial) for trial in values["trials"])
        layers, radii, subject_radii = (tuple(values[name]) for name in ("layers", "radii", "subject_radii"))
        return cls(layers, radii, subject_radii, trials)


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
        config: Settings of the fit; layers that are given there are not chosen.
    """
    layers = config.layers
    trials: tuple[Trial, ...] = ()
    if not layers:
        last = len(find_blocks(base)) - 1
        tried = dict.fromkeys(round(depth * last) for depth in _DEPTHS)
        trials = tuple(_trial(base, tokenizer, hooks, layer, edits[:_TRIED_EDITS], config) for layer in tried)
        layers = (max(trials, key=lambda trial: (trial.held, -trial.steps, trial.layer)).layer,)
    radii, subject_radii = zip(*_radii(base, tokenizer, hooks, layers, edits[:_MEASURED_EDITS]), strict=True)
    return Choice(layers, radii, subject_radii, trials)


def _trial(
    base: Any,
    tokenizer: PreTrainedTokenizerBase,
    hooks: ActivationHooks,
    layer: int,
    edits: Sequence[Edit],
    config: GraceConfig,
) -> Trial:
    wordings = [wordings_of(edit, tokenizer, config.wordings) for edit in edits]
    fitted = fit_values(base, tokenizer, hooks, [layer], edits, wordings, config)
    others = [[form.format(edit.prompt) for form in HELD_OUT] for edit in edits]
    held = share_held(base, tokenizer, hooks, [layer], edits, others, fitted.values, config)
    return Trial(layer, held, sum(fitted.steps) / len(edits))


def _radii(
    base: Any, tokenizer: PreTrainedTokenizerBase, hooks: ActivationHooks, layers: Sequence[int], edits: Sequence[Edit]
) -> list[tuple[float, float]]:
    """For each layer the radii at the last token and at the subject's last token."""

    def states_of(form: str) -> list[Tensor]:
        return prompt_states(base, tokenizer, hooks, layers, [form.format(edit.prompt) for edit in edits])

    own = states_of("{}")
    keys = [edit_keys(base, tokenizer, edit, states) for edit, states in zip(edits, own, strict=True)]
    measured = [(_Distances(), _Distances()) for _ in layers]
    for form in ("{}", *VARIATIONS, *HELD_OUT):
        for asked, states in enumerate(own if form == "{}" else states_of(form)):
            for number, (last, subject) in enumerate(keys):
                # Of the edits' own prompts only the other edits' count, of other wordings only the own.
                if (form == "{}") == (asked != number):
                    for place, (at_end, at_subject) in enumerate(measured):
                        at_end.add(states[place, -1:], last[place], same=asked == number)
                        if subject is not None:
                            at_subject.add(states[place], subject[place], same=asked == number)
    return [(at_end.radius, at_subject.radius) for at_end, at_subject in measured]


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
