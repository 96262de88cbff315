"""The protocol every editor follows: answer the in-scope rows of one request."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from memedit.edits import Edit


@dataclass(frozen=True)
class Rows:
    """The in-scope rows of one request.

    Attributes:
        input_ids: The caller's own prompt ids (an encoder-decoder model's encoder reads them),
            int64, shape (n, length), padded as the caller did; (n, 0) if there are only embeddings.
        attention_mask: 1 for real tokens, 0 for padding; int64, shape (n, length).
        queries: The text each row was routed by; n strings.
        edits: The edit that is meant in each row; n edits.
        inputs_embeds: The caller's embeddings, shape (n, length, size), which the model reads in
            place of the ids; None for most calls.
        decoder_ids: What the decoder of an encoder-decoder model begins with, int64, shape
            (n, start); None for decoder-only models.
    """

    input_ids: Tensor
    attention_mask: Tensor
    queries: tuple[str, ...]
    edits: tuple[Edit, ...]
    inputs_embeds: Tensor | None = None
    decoder_ids: Tensor | None = None

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.edits)

    @property
    def inputs(self) -> dict[str, Tensor]:
        """What the base's `generate` is given to read: ids or embeddings or both, and the mask."""
        given = {"input_ids": self.input_ids if self.input_ids.shape[1] else None, "inputs_embeds": self.inputs_embeds}
        read = {name: value for name, value in given.items() if value is not None}
        return read | {"attention_mask": self.attention_mask}

    def chosen(self, numbers: Sequence[int]) -> Rows:
        """Some of the rows, by their numbers, in that order."""
        index = list(numbers)
        return Rows(
            self.input_ids[index],
            self.attention_mask[index],
            tuple(self.queries[number] for number in index),
            tuple(self.edits[number] for number in index),
            None if self.inputs_embeds is None else self.inputs_embeds[index],
            None if self.decoder_ids is None else self.decoder_ids[index],
        )

    @property
    def begin(self) -> Tensor:
        """What the returned sequences begin with: int64, shape (n, start)."""
        return self.input_ids if self.decoder_ids is None else self.decoder_ids

    @property
    def counted(self) -> int:
        """How many positions `max_length` counts before the first new token."""
        return int((self.attention_mask if self.decoder_ids is None else self.decoder_ids).shape[1])


@runtime_checkable
class Editor(Protocol):
    """Answers rows whose edit is known. Adding a method means adding a folder with one of these."""

    def answer(self, rows: Rows, options: Mapping[str, Any]) -> Tensor:
        """Generate the answers.

        Args:
            rows: At least one row.
            options: What the caller gave to `generate`, without ids and mask.

        Returns:
            Sequences, int64, shape (n * num_return_sequences, ≥ start): each begins with `begin` of
            its row, and rows keep their order.

        Raises:
            UnsupportedCallError: The editor has no right answer for one of the options.
        """
        ...

    def detach(self) -> None:
        """Take everything that was hooked into the base out of it again."""
        ...


@runtime_checkable
class FusingEditor(Editor, Protocol):
    """An editor that can answer in-scope rows in the very pass in which the base answers the others."""

    def fuses(self, length: int, edits: Sequence[Edit | None], options: Mapping[str, Any]) -> bool:
        """Whether these rows can share one pass.

        Args:
            length: Columns of the prompts, padding included.
            edits: As for `answer_fused`.
            options: As for `answer`.
        """
        ...

    def answer_fused(
        self, input_ids: Tensor, attention_mask: Tensor, edits: Sequence[Edit | None], options: Mapping[str, Any]
    ) -> Tensor:
        """Generate all rows together.

        Args:
            input_ids: Prompt ids, int64, shape (n, length).
            attention_mask: 1 for real tokens; int64, shape (n, length).
            edits: The edit that is meant in each row, None for rows the plain base answers; at least
                one of each.
            options: As for `answer`.

        Returns:
            Sequences as `answer` returns them. Rows without an edit are the base's own, up to rounding.
        """
        ...


@runtime_checkable
class StoringEditor(Editor, Protocol):
    """An editor that keeps what it learned of each edit, and can do so for many edits at once."""

    def missing(self, edits: Sequence[Edit]) -> list[Edit]:
        """Those of the edits that are not learned in their present state, each once."""
        ...

    def fit(self, edits: Sequence[Edit], *, progress: bool = False) -> Any:
        """Learn edits, anew if they are learned.

        Args:
            edits: Any number of them.
            progress: Whether to show a progress bar.

        Returns:
            What the method has to tell of it.
        """
        ...

    def prune(self, live_ids: Collection[str]) -> object:
        """Forget all edits but those with these ids."""
        ...
