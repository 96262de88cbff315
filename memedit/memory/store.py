"""What a store of edits must do: keep the journal, and what is derived from it, in one place.

The journal is a sequence of events that only grows; it alone is the truth. The current state of
each edit and the vectors of its wordings are derived from it and are written together with the
event, in one transaction. `EditMemory` decides what is written; a store only keeps it, so that
another database can stand behind this protocol without a change to callers.

What every store promises, beyond its methods:

* Revisions are 1, 2, 3, … without a gap, in the order of commits, and are never given twice.
* Edits are listed by the revision of their first event, also after a removal was taken back.
* An edit whose last event is `Action.REMOVED` or `Action.PURGED` is not current.
* Of one namespace no two current edits have one `prompt_key`; callers check, a store may refuse.
* It holds anything an `Edit` can hold, byte for byte, and never reads a text as a command.
* Calls come one at a time, from any thread; `transaction` and `snapshot` are never nested. Other
  objects, in other processes too, may use the same database: the latest commit is what counts.
* Whatever goes wrong with the database is a `MemoryFileError` that says so in one sentence; after
  `close` every call raises it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

from memedit.edits import Edit
from memedit.memory.encoding import Vectors
from memedit.memory.selection import EVERYTHING, Selection


class Action(StrEnum):
    """What an event did to its edit."""

    ADDED = "added"
    UPDATED = "updated"
    REMOVED = "removed"
    RESTORED = "restored"
    PURGED = "purged"


GONE = frozenset({Action.REMOVED, Action.PURGED})
"""Actions after which an edit is not current."""

IN_TRANSACTION = (
    "cannot be searched or changed by what is called while it is being changed, such as a policy for contradictions"
)
"""What a store says of itself when its `transaction` or `snapshot` begins inside its `transaction`."""
PURGED_TEXT = "(purged)"
"""Stands in the history of a purged edit where its texts were."""


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the journal.

    Attributes:
        revision: Number of the event: 1, 2, 3, … in the order in which they were committed.
        action: What was done.
        edit: The edit's state after the event; for `Action.REMOVED` the state before. Of a purged
            edit it holds the id and `PURGED_TEXT`, in all its events (see `tombstone`).
        at: When it was done (UTC).
        reverts: Revision of the event that this one undoes; None for an ordinary event.
    """

    revision: int
    action: Action
    edit: Edit
    at: datetime
    reverts: int | None = None


def tombstone(edit: Edit) -> Edit:
    """What is left of a purged edit: that there was one, and when, without anything it held."""
    return Edit(edit.id, PURGED_TEXT, PURGED_TEXT, created_at=edit.created_at, revision=edit.revision)


@dataclass(frozen=True, slots=True)
class EncoderStamp:
    """Which encoder made the stored vectors: its `TextEncoder.id` and dimension."""

    id: str
    dimension: int


class IndexEntry(NamedTuple):
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
            action: What is done; `Action.PURGED` has a method of its own.
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

    def edits(
        self,
        namespace: str | None = None,
        selection: Selection = EVERYTHING,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Edit]:
        """Current edits in the order in which they were first added.

        Args:
            namespace: Where to look; None for everywhere.
            selection: Which of them are wanted.
            limit: How many to return at most; None for all.
            offset: How many wanted edits to pass over first.
        """
        ...

    def count(self, namespace: str | None = None, selection: Selection = EVERYTHING) -> int:
        """Number of current edits that `edits` would give without a limit."""
        ...

    def states_at(self, revision: int, edit_ids: Iterable[str] | None = None) -> list[Edit]:
        """The edits that were current at a revision, of these or of all, in the order of `edits`.

        Edits that were purged since are left out: nothing is known of them any more.
        """
        ...

    def about(self, namespace: str, key: str) -> list[Edit]:
        """Current edits that may speak about an entity, in the order of `edits`.

        Args:
            namespace: Where to look.
            key: `prompt_key` of the entity's name.

        Returns:
            Edits whose subject has this key and, of those without a subject, those whose prompt's
            key contains it anywhere; the caller looks closer.
        """
        ...

    def answering(self, namespace: str, text_key: str, *, exactly: bool) -> list[Edit]:
        """Current edits whose target is an entity named in a text, in the order of `edits`.

        Args:
            namespace: Where to look.
            text_key: `prompt_key` of the text.
            exactly: Whether the target's key must equal `text_key`, or occur anywhere in it.
        """
        ...

    def history(self, edit_id: str) -> Sequence[Event]:
        """All events of one edit, oldest first; empty if there never was such an edit."""
        ...

    def undoable(self, n: int) -> Sequence[Event]:
        """The newest `n` events that neither undo another nor are undone, newest first.

        Events of purged edits are passed over.
        """
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

    def purge(self, edit_id: str) -> Event:
        """Put the `tombstone` into all events of an edit and append one; in `transaction` only.

        Everything derived from the edit is dropped as well.
        """
        ...

    def scrub(self) -> None:
        """Leave nothing of what was purged in the database's files; outside transactions only.

        Raises:
            MemoryFileError: Something may be left, because others are using the database.
        """
        ...

    def backup(self, path: Path) -> None:
        """Write a copy of one revision to a new memory file, while others read and write.

        Raises:
            MemoryFileError: There is such a file already, it cannot be written, or this store
                cannot be copied to a file.
        """
        ...

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        ...
