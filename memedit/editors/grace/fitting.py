"""Fit the values of many edits at once, through the blocks above the hooked one only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from memedit.editors.activations import ActivationHooks, Transformation
from memedit.editors.grace.config import GraceConfig
from memedit.editors.lessons import Lessons, answer_ids, lessons_of
from memedit.editors.upper_blocks import UpperBlocks, fresh, rows_of
from memedit.edits import Edit
from memedit.errors import UnsupportedCallError

_FIRST, _SECOND, _TINY = 0.9, 0.99, 1e-12
"""Adam's own constants; the last one is for gradients in units of activations, which may be small."""

Start = Callable[[int], Tensor]


@dataclass(frozen=True)
class GraceFit:
    """How the fit of some edits went.

    Attributes:
        edit_ids: The edits, in the order they were given.
        layers: The hooked blocks; none while nothing was ever fitted.
        losses: Mean loss over the edits before each step and at the end, in nats per token.
        steps: How many steps each edit took.
        fitted: Whether each edit became as probable as was asked, in every wording.
        seconds: How long it took, keys included.
    """

    edit_ids: tuple[str, ...]
    layers: tuple[int, ...]
    losses: tuple[float, ...]
    steps: tuple[int, ...]
    fitted: tuple[bool, ...]
    seconds: float


@dataclass
class Fitted:
    """Values of edits that were fitted together.

    Attributes:
        values: float32 on the CPU, each of shape (layers, k, size).
        losses: Loss of each edit before each step and at the end; an edit that is finished keeps its last.
        steps: Steps of each edit.
        fitted: Whether it reached the wanted confidence.
    """

    values: list[Tensor] = field(default_factory=list)
    losses: list[list[float]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    fitted: list[bool] = field(default_factory=list)


def fit_values(
    base: Any,
    tokenizer: PreTrainedTokenizerBase,
    hooks: ActivationHooks,
    layers: Sequence[int],
    edits: Sequence[Edit],
    wordings: Sequence[Sequence[str]],
    config: GraceConfig,
    start: Start | None = None,
) -> Fitted:
    """Fit the values of one batch of edits.

    Nothing of the base changes, and no random number is drawn unless the base is in training mode.

    Args:
        base: The frozen base.
        tokenizer: Its tokenizer.
        hooks: Hooks on the blocks, under their numbers.
        layers: The hooked blocks in their order; their values are fitted together, by one loss.
        edits: At least one.
        wordings: For each edit the prompts it is fitted on.
        config: Steps, rate and what an entry holds.
        start: Makes what a vector of so many numbers begins as, shape (1, size); the rate is then as it
            stands. None to begin with the mean of the activations that the wordings have there.

    Raises:
        UnsupportedCallError: Values are to stand elsewhere than at the last token.
    """
    if config.replacement != "last":
        raise UnsupportedCallError(
            f"values for replacement {config.replacement!r} are fitted by PublishedGrace only; use replacement='last'"
        )
    answers = [answer_ids(base, tokenizer, edit, stop=config.stop) for edit in edits]
    with undisturbed(base), torch.enable_grad():
        upper = _Upper(base, hooks, layers)
        rows = upper.rows(lessons_of(base, tokenizer, wordings, answers))
        run = _Run(upper, rows, len(edits), config, start)
        for _ in range(config.steps):
            if run.finished:
                break
            run.step()
        run.measure()
    width = [1 if config.value == "single" else len(answer) for answer in answers]
    return Fitted(
        [values[:, :count].cpu() for values, count in zip(run.values, width, strict=True)],
        run.losses.T.tolist(),
        run.steps.tolist(),
        run.done.tolist(),
    )


def share_held(
    base: Any,
    tokenizer: PreTrainedTokenizerBase,
    hooks: ActivationHooks,
    layers: Sequence[int],
    edits: Sequence[Edit],
    wordings: Sequence[Sequence[str]],
    values: Sequence[Tensor],
    config: GraceConfig,
) -> float:
    """Share of prompts after which greedy decoding would give the whole answer.

    Args:
        base: The base.
        tokenizer: Its tokenizer.
        hooks: Hooks on the blocks, under their numbers.
        layers: The hooked blocks in their order.
        edits: The edits that `values` were fitted for.
        wordings: For each edit the prompts to try.
        values: For each edit its vectors, shape (layers, k, size).
        config: What an entry holds.
    """
    answers = [answer_ids(base, tokenizer, edit, stop=config.stop) for edit in edits]
    with undisturbed(base), torch.no_grad():
        upper = _Upper(base, hooks, layers)
        rows = upper.rows(lessons_of(base, tokenizer, wordings, answers))
        padded = torch.nn.utils.rnn.pad_sequence([each.transpose(0, 1) for each in values], batch_first=True)
        right = upper.logits(rows, padded.transpose(1, 2).to(rows.hidden.device)).argmax(-1) == rows.answers
        return float((right | ~rows.wanted).all(1).float().mean())


@contextmanager
def undisturbed(base: Any) -> Iterator[None]:
    """Tensors that gradients can flow to, and the caller's random numbers as they were."""
    with torch.inference_mode(False), torch.random.fork_rng(enabled=base.training):
        yield


class _Run:
    """One optimisation of many edits, each with an Adam of its own and an end of its own."""

    def __init__(self, upper: _Upper, rows: _Rows, count: int, config: GraceConfig, start: Start | None) -> None:
        self._upper, self._rows, self._config = upper, rows, config
        hidden = rows.hidden
        _, layers, columns, size = hidden.shape
        columns = 1 if config.value == "single" else columns
        if start is None:
            wordings = torch.bincount(rows.edit, minlength=count).view(-1, 1, 1, 1)
            zeros = hidden.new_zeros((count, layers, columns, size), dtype=torch.float32)
            self.values = zeros.index_add(0, rows.edit, hidden[:, :, :columns].float()) / wordings
            # One unit for every model and layer, whatever pads shorter answers: the activations of the first token.
            self._rate = config.rate * self.values[:, :, :1].square().mean((2, 3), keepdim=True).sqrt()
        else:
            self.values = start(size).to(hidden.device).repeat(count, layers, columns, 1)
            self._rate = torch.full((count, layers, 1, 1), config.rate, device=hidden.device)
        self._first, self._second = torch.zeros_like(self.values), torch.zeros_like(self.values)
        self.steps = torch.zeros(count, dtype=torch.int64, device=hidden.device)
        self.done = torch.zeros(count, dtype=torch.bool, device=hidden.device)
        self._latest = torch.zeros(count, device=hidden.device)
        self.losses = torch.empty(0, count, device=hidden.device)

    @property
    def finished(self) -> bool:
        """Whether every edit is as probable as was asked."""
        return bool(self.done.all())

    def measure(self) -> None:
        """Take the losses at the end, unless every edit ended before."""
        if not self.finished:
            with torch.no_grad():
                self._losses(self.values)

    def step(self) -> None:
        """One step of Adam for every edit that is not finished."""
        values = self.values.detach().requires_grad_()
        loss = self._losses(values)
        if self.finished:
            return
        (gradient,) = torch.autograd.grad(loss, values)
        going = ~self.done
        self.steps += going
        taken = self.steps.clamp_min(1).view(-1, 1, 1, 1)
        self._first.mul_(_FIRST).add_(gradient, alpha=1 - _FIRST)
        self._second.mul_(_SECOND).addcmul_(gradient, gradient, value=1 - _SECOND)
        mean, spread = self._first / (1 - _FIRST**taken), self._second / (1 - _SECOND**taken)
        change = self._rate * mean / (spread.sqrt() + _TINY)
        self.values = torch.where(going.view(-1, 1, 1, 1), self.values - change, self.values)

    def _losses(self, values: Tensor) -> Tensor:
        """The sum of the edits' mean losses; writes down who is finished."""
        rows = self._rows = self._rows.without(self.done)
        logits = self._upper.logits(rows, values)
        nats = functional.cross_entropy(logits.float().transpose(1, 2), rows.answers, reduction="none") * rows.wanted
        count = len(values)
        total = nats.new_zeros(count).index_add(0, rows.edit, nats.sum(1))
        tokens = nats.new_zeros(count).index_add(0, rows.edit, rows.wanted.sum(1).to(nats)).clamp_min(1)
        doubtful = (torch.exp(-nats.detach().amax(1)) < self._config.confidence).to(nats)
        going = ~self.done
        mean = total / tokens
        self._latest = torch.where(going, mean.detach(), self._latest)
        self.losses = torch.cat([self.losses, self._latest[None]])
        self.done = self.done | (nats.new_zeros(count).index_add(0, rows.edit, doubtful) == 0)
        return (mean * going).sum()


@dataclass
class _Rows:
    """The rows of lessons that are still fitted, with what the lower blocks make of them.

    Attributes:
        edit: For each row the number of its edit.
        hidden: The hooked blocks' output at the columns that predict the answer, (n, layers, k, size).
        output: What the blocks above the lowest hooked one need to take its place.
        inputs, answers, wanted: As in `Lessons`.
    """

    edit: Tensor
    hidden: Tensor
    output: Any
    inputs: dict[str, Any]
    answers: Tensor
    wanted: Tensor

    def without(self, done: Tensor) -> _Rows:
        """These rows, or where most of them are finished only the others."""
        kept = (~done[self.edit]).nonzero().squeeze(1)
        if 2 * len(kept) > len(self.edit):
            return self
        return _Rows(**{name: rows_of(value, kept, len(self.edit)) for name, value in vars(self).items()})


class _Upper:
    """The blocks above the lowest hooked one, with values in place of the hooked ones' outputs."""

    def __init__(self, base: Any, hooks: ActivationHooks, layers: Sequence[int]) -> None:
        self._blocks, self._hooks = UpperBlocks(base, layers[0]), hooks
        self._layers = layers

    def rows(self, lessons: Lessons) -> _Rows:
        """Run the blocks below, once."""
        if lessons.prompt is not None:
            self._blocks.read(lessons.prompt)
        with self._hooks.reading() as seen:
            hidden, output = self._blocks.read(fresh(lessons.inputs))
        stacked = torch.stack([hidden, *(seen[layer] for layer in self._layers[1:])], dim=1)
        return _Rows(lessons.edit.to(hidden.device), stacked, output, lessons.inputs, lessons.answers, lessons.wanted)

    def logits(self, rows: _Rows, values: Tensor) -> Tensor:
        """Logits (n, k, vocabulary) with the edits' values (edits, layers, columns, size) in their place."""
        placed, columns = values[rows.edit], values.shape[2]
        lowest = torch.cat([placed[:, 0].to(rows.hidden), rows.hidden[:, 0, columns:]], dim=1)

        def change(place: int) -> Transformation:
            def changed(_: Tensor, output: Tensor) -> Tensor:
                below = output.unflatten(0, (len(rows.edit), -1))
                return torch.cat([placed[:, place].to(output), below[:, columns:]], dim=1).flatten(0, 1)

            return Transformation(changed)

        with self._hooks.changing({layer: [change(place)] for place, layer in enumerate(self._layers) if place}):
            return self._blocks.logits(lowest, rows.output, fresh(rows.inputs))
