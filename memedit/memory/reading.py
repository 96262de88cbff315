"""`EditCollection`: how edits are listed, counted and looked up, now and at a past revision."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from memedit.edits import Edit, EditKind
from memedit.errors import UnknownEditError
from memedit.memory.selection import EVERYTHING, Selection

_MOST = 2**61
"""More edits than there can be; a database takes no number beyond 63 bits, and offset and limit are added."""


class EditCollection(ABC):
    """Edits that can be read. Their order is that of their first `add`, and stays so."""

    @abstractmethod
    def _find(self, edit_id: str) -> Edit | None:
        """The edit with this id; None if there is none."""

    @abstractmethod
    def _select(
        self, namespace: str | None, selection: Selection, limit: int | None, offset: int
    ) -> builtins.list[Edit]:
        """What `list` returns."""

    @abstractmethod
    def _count(self, namespace: str | None, selection: Selection) -> int:
        """What `count` returns."""

    def get(self, edit_id: str) -> Edit:
        """The state of an edit.

        Raises:
            UnknownEditError: There is no such edit, or it was removed.
        """
        edit = self._find(edit_id)
        if edit is None:
            raise UnknownEditError(f"no edit has the id {edit_id!r}")
        return edit

    def list(
        self,
        namespace: str | None = None,
        *,
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        kind: EditKind | str | None = None,
        text: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> builtins.list[Edit]:
        """Edits of one namespace, or of all, that fulfil every condition given.

        Args:
            namespace: Where to look; None for everywhere.
            tags: Tags that an edit must all have.
            metadata: Keys and values that its metadata must hold; values are compared as a whole.
            kind: The kind it must be of.
            text: What its prompt, target, subject or one of its aliases must contain; case does
                not count.
            limit: How many edits to return at most; None for all.
            offset: How many to pass over first.

        Returns:
            Edits in the order of their first `add`, so that pages neither overlap nor have gaps
            as long as nothing is removed between them.

        Raises:
            InvalidEditError: A condition is of the wrong type or names no kind.
            ValueError: `limit` or `offset` is negative.
        """
        for name, value in (("limit", limit), ("offset", offset)):
            if value is not None and value < 0:
                raise ValueError(f"{name} must be at least 0, got {value}")
        stop = None if limit is None else min(limit, _MOST)
        return self._select(namespace, Selection.of(tags, metadata, kind, text), stop, min(offset, _MOST))

    def count(
        self,
        namespace: str | None = None,
        *,
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        kind: EditKind | str | None = None,
        text: str | None = None,
    ) -> int:
        """Number of edits that `list` gives for the same arguments.

        Raises:
            InvalidEditError: A condition is of the wrong type or names no kind.
        """
        return self._count(namespace, Selection.of(tags, metadata, kind, text))

    def __len__(self) -> int:
        """Number of edits in all namespaces."""
        return self._count(None, EVERYTHING)

    def __iter__(self) -> Iterator[Edit]:
        """Edits of all namespaces, as `list` gives them."""
        return iter(self.list())

    def __contains__(self, edit_id: object) -> bool:
        """Whether there is an edit with this id."""
        return isinstance(edit_id, str) and self._find(edit_id) is not None
