"""Free decoding in batches: what a model says to a prompt, as text and as tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, StoppingCriteria, StoppingCriteriaList

from memedit.editors.sequences import pad_left
from memedit.errors import UnsupportedCallError
from memedit.evaluation.answers import cut_answer, is_finished

MAX_NEW_TOKENS = 50
"""As in "The Mirage of Model Editing" (arXiv 2502.11177)."""
BATCH_ROWS = 32
_TAIL_TOKENS = 16
"""How many last tokens decide whether an answer has ended; covers any abbreviation."""


class Generator(Protocol):
    """Anything with a `generate` like that of a Hugging Face model."""

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """Prompt ids with new tokens behind them, int64 (rows, width)."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said.

    Attributes:
        text: The answer, cut where it ends (`cut_answer`).
        tokens: The new token ids, without what pads them at the end.
    """

    text: str
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Prompts that are decoded together.

    Attributes:
        positions: Their places in the caller's list.
        prompts: Their texts.
        input_ids: Padded on the left, int64 (rows, width).
        attention_mask: 0 at padding, int64 (rows, width).
    """

    positions: tuple[int, ...]
    prompts: tuple[str, ...]
    input_ids: Tensor
    attention_mask: Tensor


def batches(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    device: torch.device | str = "cpu",
    rows: int = BATCH_ROWS,
) -> Iterator[Batch]:
    """Tokenize the prompts as they stand and group those of similar length.

    Args:
        tokenizer: The model's tokenizer.
        prompts: Texts without any template around them.
        device: Where the tensors are put.
        rows: Number of prompts in a batch.
    """
    if not prompts:
        return
    encoded = tokenizer(list(prompts))["input_ids"]
    order = sorted(range(len(prompts)), key=lambda position: (len(encoded[position]), position))
    for start in range(0, len(order), rows):
        chosen = order[start : start + rows]
        ids, mask = pad_left(
            [torch.tensor(encoded[place], dtype=torch.int64) for place in chosen], pad_token_id(tokenizer)
        )
        yield Batch(
            tuple(chosen),
            tuple(prompts[position] for position in chosen),
            ids.to(device),
            mask.to(device),
        )


AnswersKey = tuple[tuple[str, ...], int, bool]
"""The prompts of a batch, the most tokens, and whether decoding stops early.

The whole batch, since an answer is only sure to be the same in a batch of the same shape.
"""


class Decoder:
    """Greedy decoding of batches, stopped when every row's answer has ended.

    Args:
        tokenizer: The models' tokenizer.
        max_new_tokens: The most tokens an answer may have.
        known: Answers of one base to whole batches, kept from earlier use; new ones are added to it.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        max_new_tokens: int = MAX_NEW_TOKENS,
        known: dict[AnswersKey, list[Answer]] | None = None,
    ) -> None:
        """Find the tokens that may end an answer."""
        self.max_new_tokens = max_new_tokens
        self._tokenizer = tokenizer
        self._known = {} if known is None else known
        self._stops_early = True
        texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
        self._may_end = torch.tensor([any(mark in text for mark in ".。\n\r") for text in texts])

    def answers(self, model: Generator, batch: Batch, queries: Sequence[str] | None = None) -> list[Answer]:
        """Answer one batch.

        Args:
            model: An edited or a plain model.
            batch: The prompts.
            queries: The texts by which an edited model routes; None for a plain model.

        Returns:
            One answer per row. Two models given the same batch see the same ids and padding, so
            that equal models give equal tokens.
        """
        options: dict[str, Any] = {} if queries is None else {"queries": list(queries)}
        # Where a prompt ends with such a mark itself, the last tokens alone cannot tell whose mark it is.
        if self._stops_early and not self._ends_with_a_mark(batch):
            stopper = _AnswersEnded(self._tokenizer, self._may_end.to(batch.input_ids.device))
            options["stopping_criteria"] = StoppingCriteriaList([stopper])
        try:
            sequences = self._generate(model, batch, options)
        except UnsupportedCallError:
            if "stopping_criteria" not in options:
                raise
            # Some editors refuse them. From here on nothing is stopped early, the base's answers
            # included, so that both keep the same length.
            self._stops_early = False
            del options["stopping_criteria"]
            sequences = self._generate(model, batch, options)
        width = batch.input_ids.shape[1]
        return [self._answer(row) for row in sequences[:, width:].tolist()]

    def _ends_with_a_mark(self, batch: Batch) -> bool:
        """Whether the last token of any prompt is one that may end an answer, or what the prompt ends with."""
        last = batch.input_ids[:, -1].cpu().clamp(max=len(self._may_end) - 1)
        return bool(self._may_end[last].any()) or any(text.rstrip().endswith((".", "。")) for text in batch.prompts)

    def base_answers(self, base: Generator, batch: Batch) -> list[Answer]:
        """The plain base's answers to a batch, decoded once and then known.

        To be asked for after an edited model has answered the batch: if that refuses to stop early,
        neither does the base.
        """
        key = (batch.prompts, self.max_new_tokens, self._stops_early)
        if key not in self._known:
            self._known[key] = self.answers(base, batch)
        return self._known[key]

    def _generate(self, model: Generator, batch: Batch, options: dict[str, Any]) -> Tensor:
        with torch.no_grad():
            sequences: Tensor = model.generate(
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                do_sample=False,
                num_beams=1,
                max_new_tokens=self.max_new_tokens,
                pad_token_id=pad_token_id(self._tokenizer),
                **options,
            )
        return sequences

    def _answer(self, tokens: list[int]) -> Answer:
        ends = {self._tokenizer.eos_token_id, pad_token_id(self._tokenizer)}
        kept = next((i for i, token in enumerate(tokens) if token in ends), len(tokens))
        text = str(self._tokenizer.decode(tokens[:kept], skip_special_tokens=True))
        return Answer(cut_answer(text), tuple(tokens[:kept]))


class _AnswersEnded(StoppingCriteria):  # type: ignore[misc]  # transformers is untyped
    """Ends a row when its answer is complete, by looking at its last tokens only.

    It keeps no state and does not count columns, so it is right for whatever an editor puts
    before the prompt, and when one object serves several calls of `generate`.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, may_end: Tensor) -> None:
        self._tokenizer = tokenizer
        self._may_end = may_end

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:  # noqa: ARG002 - as transformers calls it
        """Which rows are complete: bool (rows,)."""
        last = input_ids[:, -2:].clamp(max=len(self._may_end) - 1)
        done = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        # The end shows one token late: whether "." ends a sentence depends on what follows.
        for row in self._may_end[last].any(dim=1).nonzero()[:, 0].tolist():
            done[row] = self._has_ended(input_ids[row, -_TAIL_TOKENS:].tolist())
        return done

    def _has_ended(self, tail: list[int]) -> bool:
        newest = str(self._tokenizer.decode(tail[-1:]))
        if "\n" in newest or "\r" in newest:
            return True
        # Decoded together, since some tokenizers drop the leading space of what stands alone.
        before, text = (str(self._tokenizer.decode(part)) for part in (tail[:-2], tail))
        if not text.startswith(before):
            return False
        # Of what stands before the last two tokens only one word matters, for "St" and "J".
        return is_finished(re.split(r"\s", before)[-1] + text[len(before) :])


def generate_exactly(
    generator: Generator, tokenizer: PreTrainedTokenizerBase, batch: Batch, new_tokens: int, **options: Any
) -> Tensor:
    """Greedy decoding of so many new tokens, whether or not an answer has ended.

    Args:
        generator: An edited or a plain model.
        tokenizer: Its tokenizer.
        batch: The prompts.
        new_tokens: How many.
        **options: Further arguments of `generate`, such as `queries`.

    Returns:
        The new token ids, int64 (rows, new_tokens).
    """
    with torch.no_grad():
        sequences: Tensor = generator.generate(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            do_sample=False,
            num_beams=1,
            min_new_tokens=new_tokens,
            max_new_tokens=new_tokens,
            pad_token_id=pad_token_id(tokenizer),
            **options,
        )
    return sequences[:, batch.input_ids.shape[1] :]


def pad_token_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id that pads: the tokenizer's own, else its end-of-text, else 0."""
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if isinstance(token, int):
            return token
    return 0
