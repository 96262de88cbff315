"""Fit the neurons of many edits at once, through the blocks from the patched one on only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from memedit.editors.activations import ActivationHooks, Transformation
from memedit.editors.lessons import Lessons, answer_ids, lessons_of, wordings_of
from memedit.editors.tpatcher.config import PatcherConfig
from memedit.editors.tpatcher.patches import Patch
from memedit.editors.upper_blocks import UpperBlocks, fresh
from memedit.edits import Edit

THRESHOLD = MARGIN = -3.0
"""The paper's beta and gamma: how far below zero, and below its own query's, a neuron's input is to be elsewhere."""
LOUDEST = 1000
"""How many queries of the memory count for each neuron: those on which it is most active."""

_TEXTS = (
    ("What is the capital of Norway?", "Oslo"),
    ("Who wrote the play Hamlet?", "William Shakespeare"),
    ("The mother tongue of the painter is", "Dutch"),
    ("How many days does a leap year have?", "366"),
    ("Water boils at a temperature of", "one hundred degrees"),
    ("The company was founded in the city of", "Manchester"),
    ("On a cold morning the old man", "went down to the harbour and looked at the boats"),
    ("She opened the letter and read", "that her brother would come home in spring"),
    ("Question: Who painted the ceiling?\nAnswer:", "Michelangelo"),
    ("The recipe needs two eggs, a cup of flour and", "a little salt"),
    ("My train leaves at", "half past seven in the evening"),
    ("Which instrument does the musician play? He plays the", "piano"),
    ("The river flows into the", "Black Sea"),
    ("What position does the goalkeeper's brother play?", "midfielder"),
    ("In the year 1848 there was a", "revolution in several countries of Europe"),
    ("The twin city of the town is", "Hamburg"),
    ("Please write a short reply:", "Thank you for your message, I will come on Friday."),
    ("def add(a, b):\n    return", "a + b"),
    ("Is it true that whales are mammals?", "Yes, they are"),
    ("The opposite of warm is", "cold"),
    ("Who was the director of the film?", "Ingmar Bergman"),
    ("The official religion of the kingdom is", "Islam"),
    ("What sport does the team play?", "ice hockey"),
    ("It rained all night, and", "in the morning the streets were full of water"),
)
"""Openings and how they go on. The paper draws its memory from the data the base was trained on, which nobody has
at hand; these stand in for it, beside the queries of other edits."""


@dataclass(frozen=True)
class Fitted:
    """How the fit of some edits went, and what came of it.

    Attributes:
        patches: For each edit one in each layer.
        losses: For each edit its loss before each step and at the end, in nats per token, without the
            losses on activations.
        steps: For each edit how many steps it took.
        fitted: For each edit whether its answer became as probable as was asked and, without the
            router, its neurons silent on the memory.
    """

    patches: list[tuple[Patch, ...]]
    losses: list[list[float]]
    steps: list[int]
    fitted: list[bool]


def memory_queries(
    base: Any, tokenizer: PreTrainedTokenizerBase, hooks: ActivationHooks, layers: Sequence[int]
) -> Tensor:
    """What the feed-forward layers read in general text, float32 on the CPU, shape (layers, m, input size)."""
    answers = [tokenizer(f" {text}", add_special_tokens=False)["input_ids"] for _, text in _TEXTS]
    with torch.inference_mode(False), torch.no_grad():
        lessons = lessons_of(base, tokenizer, [[prompt] for prompt, _ in _TEXTS], answers)
        with _recording(hooks, layers) as seen:
            if lessons.prompt is not None:
                base(**lessons.prompt)
            base(**lessons.inputs)
    return torch.stack([seen[layer][lessons.wanted.flatten()].float().cpu() for layer in layers])


def fit_patches(
    base: Any,
    tokenizer: PreTrainedTokenizerBase,
    hooks: ActivationHooks,
    layers: Sequence[int],
    edits: Sequence[Edit],
    memory: Tensor | None,
    config: PatcherConfig,
) -> Fitted:
    """Fit the neurons of one batch of edits; nothing of the base changes.

    Args:
        base: The frozen base.
        tokenizer: Its tokenizer.
        hooks: Hooks on the feed-forward layers, under the numbers of their blocks.
        layers: Those blocks in their order; not the first of the base.
        edits: At least one.
        memory: Queries on which the neurons are to be silent, shape (layers, m, input size); None where the
            router keeps them out of other rows.
        config: Weights, steps and rate.
    """
    answers = [answer_ids(base, tokenizer, edit, stop=True) for edit in edits]
    wordings = [wordings_of(edit, tokenizer, config.wordings) for edit in edits]
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(enabled=base.training):
        upper = UpperBlocks(base, layers[0] - 1)
        lessons = lessons_of(base, tokenizer, wordings, answers)
        if lessons.prompt is not None:
            upper.read(lessons.prompt)
        hidden, output = upper.read(fresh(lessons.inputs))
        with torch.no_grad(), _recording(hooks, layers) as seen:
            upper.logits(hidden, output, fresh(lessons.inputs))
        run = _Run(lessons, torch.stack([seen[layer] for layer in layers]), hidden, memory, config)
        with hooks.changing({layer: [Transformation(partial(run.patched, n))] for n, layer in enumerate(layers)}):
            for _ in range(config.steps):
                run.measure(upper.logits(hidden, output, fresh(lessons.inputs)))
                if run.done.all():
                    break
                run.step()
            else:
                with torch.no_grad():
                    run.measure(upper.logits(hidden, output, fresh(lessons.inputs)))
    return run.result(edits, layers, [len(answer) for answer in answers])


class _Run:
    """One optimisation of the neurons of many edits, each with an end of its own.

    Of `e` edits in `n` wordings with at most `k` tokens, `self._queries` (layers, n, k, input size) are the
    layers' inputs from which the tokens are decoded, and edit by edit `keys` (layers, e, k, input size),
    `biases` (layers, e, k) and `values` (layers, e, k, size) are learned.
    """

    def __init__(
        self, lessons: Lessons, queries: Tensor, hidden: Tensor, memory: Tensor | None, config: PatcherConfig
    ) -> None:
        self._config, self._answers, self._wanted = config, lessons.answers, lessons.wanted
        self._owners = lessons.edit.to(hidden.device)
        self._queries = queries.view(len(queries), *self._wanted.shape, -1).float()
        count = int(lessons.edit.max()) + 1
        # Of each edit the first wording is its prompt, on which its keys begin.
        first = torch.tensor([lessons.edit.tolist().index(number) for number in range(count)], device=hidden.device)
        self._own, self._real = self._queries[:, first], self._wanted[first]
        # A neuron's first key activates it by exactly one on its own query.
        self._scale = 1 / self._own.square().sum(3, keepdim=True)
        self._learned = self._own.clone().requires_grad_()
        self._biases = torch.zeros(self._own.shape[:3], device=hidden.device, requires_grad=True)
        self._values = torch.zeros(*self._own.shape[:3], hidden.shape[2], device=hidden.device, requires_grad=True)
        units = (float(self._own.square().mean().sqrt()), 1.0, float(hidden.float().square().mean().sqrt()))
        self._adam = torch.optim.Adam(
            [
                {"params": [tensor], "lr": config.rate * unit}
                for tensor, unit in zip((self._learned, self._biases, self._values), units, strict=True)
            ]
        )
        self._memory = None if memory is None else self._others(memory.to(hidden.device, torch.float32))
        self._losses = torch.empty(0, count, device=hidden.device)
        self._steps = torch.zeros(count, dtype=torch.int64, device=hidden.device)
        self.done = torch.zeros(count, dtype=torch.bool, device=hidden.device)
        self._loss = torch.zeros(())
        # What each neuron of a row's edit reads at each of the row's tokens, (n, tokens, neurons) for each layer.
        self._inputs: dict[int, Tensor] = {}

    def patched(self, place: int, given: Tensor, output: Tensor) -> Tensor:
        """A layer's output in all rows with the neurons of each row's own edit."""
        keys = (self._learned[place] * self._scale[place])[self._owners]
        queries = given.unflatten(0, self._wanted.shape).float()
        self._inputs[place] = queries @ keys.transpose(1, 2) + self._biases[place][self._owners][:, None]
        active = torch.relu(self._inputs[place]) * self._real[self._owners][:, None]
        return output.float() + (active @ self._values[place][self._owners]).flatten(0, 1)

    def measure(self, logits: Tensor) -> None:
        """Take the losses of (n, k, vocabulary) logits; writes down who is finished."""
        nats = functional.cross_entropy(logits.float().transpose(1, 2), self._answers, reduction="none") * self._wanted
        read = self._mean_of_rows(nats)
        loss = read + self._config.activation_weight * self._activation_loss()
        if self._memory is not None:
            foreign = self._foreign_inputs(*self._memory)
            loss = loss + self._config.memory_weight * self._memory_loss(foreign)
        self._loss = (loss * ~self.done).sum()
        self._losses = torch.cat([self._losses, torch.where(self.done, self._last(read), read.detach())[None]])
        worst = nats.new_zeros(len(read)).scatter_reduce(0, self._owners, nats.detach().amax(1), "amax")
        good = torch.exp(-worst) >= self._config.confidence
        if self._memory is not None:
            good &= (foreign.detach().masked_fill(~self._real[..., None], -torch.inf) <= 0).all(3).all(2).all(0)
        self.done = self.done | good

    def step(self) -> None:
        """One step of Adam; what belongs to edits that are finished stays."""
        tensors = (self._learned, self._biases, self._values)
        before = [tensor.detach().clone() for tensor in tensors]
        # Not backward(), which would leave gradients in the base.
        for tensor, gradient in zip(tensors, torch.autograd.grad(self._loss, tensors), strict=True):
            tensor.grad = gradient
        self._adam.step()
        with torch.no_grad():
            for tensor, old in zip(tensors, before, strict=True):
                tensor[:, self.done] = old[:, self.done]
        self._steps += ~self.done

    def result(self, edits: Sequence[Edit], layers: Sequence[int], counts: Sequence[int]) -> Fitted:
        """The neurons as they are now; `counts` says how many each edit has in each layer."""
        tensors = (self._learned * self._scale, self._biases, self._values, self._own)
        parts = [tensor.detach().cpu() for tensor in tensors]
        patches = [
            tuple(
                Patch(
                    edit.id, edit.revision, edit.target, layer, *(part[place, number, :count].clone() for part in parts)
                )
                for place, layer in enumerate(layers)
            )
            for number, (edit, count) in enumerate(zip(edits, counts, strict=True))
        ]
        return Fitted(patches, self._losses.T.tolist(), self._steps.tolist(), self.done.tolist())

    def _activation_loss(self) -> Tensor:
        """For each edit how silent its neurons are on their own queries (equation 8), mean over layers."""
        own = torch.stack([inputs.diagonal(dim1=1, dim2=2) for inputs in self._inputs.values()])
        return self._mean_of_rows(torch.exp(-own).mean(0) * self._wanted)

    def _foreign_inputs(self, memory: Tensor, foreign: Tensor) -> Tensor:
        """What each neuron reads on the memory, (layers, e, k, m); minus infinity where the query is its edit's own."""
        keys = self._learned * self._scale
        read = keys @ memory.transpose(1, 2)[:, None] + self._biases[..., None]
        return read.masked_fill(~foreign[:, None], -torch.inf)

    def _memory_loss(self, foreign: Tensor) -> Tensor:
        """For each edit how loud its neurons are on the memory, and against their own queries (equations 9 to 11)."""
        own = (self._own * self._learned * self._scale).sum(3, keepdim=True) + self._biases[..., None]
        loudest = foreign.topk(min(LOUDEST, foreign.shape[3]), dim=3).values
        loud = torch.exp(loudest - THRESHOLD).mean(3) + torch.exp(loudest - own - MARGIN).mean(3)
        return ((loud * self._real).sum(2) / self._real.sum(1)).mean(0)

    def _others(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """The memory with the batch's own queries behind it, and which of it is not whose: bool, (e, m)."""
        edits = torch.arange(self._own.shape[1], device=memory.device)
        owners = self._owners[:, None].expand_as(self._wanted)[self._wanted]
        foreign = torch.cat([edits[:, None].ge(0).expand(-1, memory.shape[1]), owners != edits[:, None]], dim=1)
        return torch.cat([memory, self._queries[:, self._wanted]], dim=1), foreign

    def _mean_of_rows(self, values: Tensor) -> Tensor:
        """For each edit the mean over all tokens of its rows, of values (n, k) that are 0 where there is none."""
        zeros = values.new_zeros(self._own.shape[1])
        tokens = zeros.index_add(0, self._owners, self._wanted.sum(1).to(values))
        return zeros.index_add(0, self._owners, values.sum(1)) / tokens

    def _last(self, read: Tensor) -> Tensor:
        return self._losses[-1] if len(self._losses) else read.detach()


@contextmanager
def _recording(hooks: ActivationHooks, layers: Sequence[int]) -> Iterator[dict[int, Tensor]]:
    """What the layers read in the last call of this thread, (rows * length, input size), by their blocks."""
    seen: dict[int, Tensor] = {}

    def record(layer: int, given: Tensor, output: Tensor) -> Tensor:
        seen[layer] = given.detach()
        return output

    with hooks.changing({layer: [Transformation(partial(record, layer))] for layer in layers}):
        yield seen
