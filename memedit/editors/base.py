"""The protocol every editor follows: answer the in-scope rows of one request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from memedit.edits import Edit


@dataclass(frozen=True)
class Rows:
    """The in-scope rows of one request.

    Attributes:
        input_ids: The caller's own prompt ids, int64, shape (n, length), padded as the caller did.
        attention_mask: 1 for real tokens, 0 for padding; int64, shape (n, length).
        queries: The text each row was routed by; n strings.
        edits: The edit that is meant in each row; n edits.
    """

    input_ids: Tensor
    attention_mask: Tensor
    queries: tuple[str, ...]
    edits: tuple[Edit, ...]

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.edits)


@runtime_checkable
class Editor(Protocol):
    """Answers rows whose edit is known. Adding a method means adding a folder with one of these."""

    def answer(self, rows: Rows, options: Mapping[str, Any]) -> Tensor:
        """Generate the answers.

        Args:
            rows: At least one row.
            options: What the caller gave to `generate`, without ids and mask.

        Returns:
            Sequences, int64, shape (n * num_return_sequences, ≥ length): each begins with the
            caller's own prompt ids of its row, and rows keep their order.

        Raises:
            UnsupportedCallError: The editor has no right answer for one of the options.
        """
        ...

    def detach(self) -> None:
        """Take everything that was hooked into the base out of it again."""
        ...
