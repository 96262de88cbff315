"""What a store of edits must do: keep the journal, and what is derived from it, in one place.

The journal is a sequence of events that only grows; it alone is the truth. The current state of
each edit and the vectors of its wordings are derived from it and are written together with the
event, in one transaction. `EditMemory` decides what is written; a store only keeps it, so that
another database can stand behind this protocol without a change to callers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from memedit.edits import Edit
from memedit.memory.encoding import Vectors


class Action(StrEnum):
    """What an event did to its edit."""

    ADDED = "added"
    UPDATED = "updated"
    REMOVED = "removed"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the journal.

    Attributes:
        revision: Number of the event: 1, 2, 3, … in the order in which they were committed.
        action: What was done.
        edit: The edit's state after the event; for `Action.REMOVED` the state before.
        at: When it was done (UTC).
        reverts: Revision of the event that this one undoes; None for an ordinary event.
    """

    revision: int
    action: Action
    edit: Edit
    at: datetime
    reverts: int | None = None


@dataclass(frozen=True, slots=True)
class EncoderStamp:
    """Which encoder made the stored vectors: its `TextEncoder.id` and dimension."""

    id: str
    dimension: int


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """What the index needs to know of one current edit.

    Attributes:
        edit_id: The edit.
        namespace: Where it may be found.
        valid_from: As in `Edit`.
        valid_until: As in `Edit`.
        vectors: One row per wording (prompt first), float32 array (wordings, dimension); None if
            what is stored is missing or damaged.
    """

    edit_id: str
    namespace: str
    valid_from: datetime | None
    valid_until: datetime | None
    vectors: Vectors | None


class EditStore(Protocol):
    """Journal, current edits and vectors.

    Not thread-safe: `EditMemory` calls it under one lock. Every method may raise
    `MemoryFileError`, and none leaves half a change behind.
    """

    @property
    def revision(self) -> int:
        """Revision of the newest event, by whichever process; 0 for an empty journal."""
        ...

    @property
    def encoder(self) -> EncoderStamp | None:
        """Who made the vectors; None before the first `stamp`."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """All writes of the block are durable when it ends, or none if it raises.

        Other writers wait meanwhile, so that what the block reads stays true until it ends.
        """
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """All reads of the block see one revision."""
        ...

    def append(self, action: Action, edit: Edit, vectors: Vectors | None, reverts: int | None = None) -> Event:
        """Write one event and what is derived from it; inside `transaction` only.

        Args:
            action: What is done.
            edit: State after (`Action.REMOVED`: before). Its revision is set by the store.
            vectors: One row per wording, float32 (wordings, dimension); None keeps those stored.
            reverts: See `Event`.
        """
        ...

    def get(self, edit_ids: Iterable[str]) -> dict[str, Edit]:
        """The current edits among `edit_ids`; ids that are not stored are left out."""
        ...

    def find(self, namespace: str, key: str) -> Edit | None:
        """The current edit of `namespace` whose prompt has this `prompt_key`."""
        ...

    def edits(self, namespace: str | None = None) -> list[Edit]:
        """Current edits in the order in which they were first added."""
        ...

    def count(self, namespace: str | None = None) -> int:
        """Number of current edits."""
        ...

    def history(self, edit_id: str) -> Sequence[Event]:
        """All events of one edit, oldest first; empty if there never was such an edit."""
        ...

    def undoable(self, n: int) -> Sequence[Event]:
        """The newest `n` events that neither undo another nor are undone, newest first."""
        ...

    def state_before(self, event: Event) -> Edit | None:
        """The state of the event's edit just before it; None if there was none then."""
        ...

    def touched(self, since: int) -> set[str]:
        """Ids of the edits that have events after revision `since`."""
        ...

    def entries(self, edit_ids: Iterable[str] | None = None) -> Iterator[IndexEntry]:
        """What the index needs, of these or of all current edits."""
        ...

    def stamp(self, encoder: EncoderStamp) -> None:
        """Drop all vectors and note who makes the next ones; inside `transaction` only."""
        ...

    def put_vectors(self, vectors: Mapping[Edit, Vectors]) -> None:
        """Replace the vectors of edits that still are in this state; in `transaction` only."""
        ...

    def disagreeing(self) -> set[str]:
        """Ids of the edits whose current state is not the one that the journal tells."""
        ...

    def rebuild(self, edit_ids: Collection[str]) -> None:
        """Take these edits from the journal again, without vectors; in `transaction` only."""
        ...

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        ...
