"""`Journal`: what can be done with stored edits without an encoder."""

from __future__ import annotations

import builtins
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Self

from memedit.edits import Edit
from memedit.errors import InvalidEditError, UnknownEditError
from memedit.memory.links import Links, find_links
from memedit.memory.reading import EditCollection
from memedit.memory.selection import Selection
from memedit.memory.store import GONE, Action, EditStore, Event
from memedit.memory.views import Difference, MemoryView, difference


class Journal(EditCollection):
    """The edits of a store and their past, to be read, copied and purged.

    It may be used from several threads. `EditMemory` is a journal that can be searched and added
    to as well.

    Args:
        store: Where the edits are kept; closed with the journal.
    """

    def __init__(self, store: EditStore) -> None:
        """Look at `store`."""
        self._store = store
        self._lock = RLock()

    @property
    def revision(self) -> int:
        """Number of the newest event; grows by one with every edit added, changed or removed."""
        with self._lock:
            return self._store.revision

    def history(self, edit_id: str) -> builtins.list[Event]:
        """All that happened to an edit, oldest first; also of an edit that was removed.

        Raises:
            UnknownEditError: There never was such an edit.
        """
        with self._lock:
            events = builtins.list(self._store.history(edit_id))
        if not events:
            raise UnknownEditError(f"no edit has or had the id {edit_id!r}")
        return events

    def at(self, revision: int) -> MemoryView:
        """The memory as it was when `revision` was its newest event, without edits purged since.

        Raises:
            ValueError: There is no such revision.
        """
        with self._lock, self._store.snapshot():
            self._check_revision(revision)
            return MemoryView(revision, self._store.states_at(revision))

    def diff(self, first: int, second: int) -> Difference:
        """What changed from one revision to another, which may be the earlier one.

        Raises:
            ValueError: There is no such revision.
        """
        with self._lock, self._store.snapshot():
            for revision in (first, second):
                self._check_revision(revision)
            touched = self._store.touched(min(first, second))
            return difference(self._store.states_at(first, touched), self._store.states_at(second, touched))

    def linked(self, edit_id: str, *, depth: int = 1, at: datetime | None = None) -> Links:
        """The edits of the same namespace that are about this edit's target, and the other way round.

        An edit is about its subject or, if it has none, about what its prompt names as whole
        words. A refusal is nothing to be about.

        Args:
            edit_id: The edit.
            depth: How many links to follow.
            at: Only edits valid at this instant (timezone-aware) are found; None for now.

        Returns:
            The edits in both directions, nearest first, each once, this one never.

        Raises:
            UnknownEditError: There is no such edit.
            ValueError: `depth` is less than 1, or `at` has no time zone.
        """
        if depth < 1:
            raise ValueError(f"depth must be at least 1, got {depth}")
        instant = checked_instant(at)
        with self._lock, self._store.snapshot():
            return find_links(self._store, self.get(edit_id), depth, instant)

    def purge(self, edit_id: str) -> Event:
        """Erase an edit for good, removed or not: all its states leave the journal and the file.

        Its history keeps what was done and when, without any content, and gains one event. It
        cannot be undone, and the edit's former changes cannot either. Copies that a migration
        left beside the file are deleted; backups made by `backup` are the caller's to delete.
        The whole file is written anew, which takes time in proportion to its size.

        Returns:
            The event that tells of it. Of an edit that is purged already, the file is only
            written anew.

        Raises:
            UnknownEditError: There never was such an edit.
            MemoryFileError: The file could not be written, or another process reads it, so that
                it may still hold the text: to be called again.
        """
        with self._lock:
            with self._store.transaction():
                last = self.history(edit_id)[-1]
                event = last if last.action is Action.PURGED else self._store.purge(edit_id)
            self._store.scrub()
        return event

    def backup(self, path: str | Path) -> None:
        """Copy the memory as it is now, with its history, to a new file, while others use it.

        Raises:
            MemoryFileError: There is such a file already, or it cannot be written.
        """
        with self._lock:
            self._store.backup(Path(path))

    def close(self) -> None:
        """Release the file; a second call does nothing, any other then raises."""
        with self._lock:
            self._store.close()

    def __enter__(self) -> Self:
        """The memory itself; leaving the block closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the memory."""
        self.close()

    def _removed(self, edit_id: str) -> Edit:
        """The last state of an edit that is removed."""
        last = self.history(edit_id)[-1]
        if last.action is Action.PURGED:
            raise UnknownEditError(f"edit {edit_id!r} was purged; nothing of it is left to restore")
        if last.action not in GONE:
            raise InvalidEditError(f"edit {edit_id!r} is stored; only a removed edit can be restored")
        return last.edit

    def _find(self, edit_id: str) -> Edit | None:
        with self._lock:
            return self._store.get([edit_id]).get(edit_id)

    def _select(
        self, namespace: str | None, selection: Selection, limit: int | None, offset: int
    ) -> builtins.list[Edit]:
        with self._lock:
            return self._store.edits(namespace, selection, limit, offset)

    def _count(self, namespace: str | None, selection: Selection) -> int:
        with self._lock:
            return self._store.count(namespace, selection)

    def _check_revision(self, revision: int) -> None:
        if not 0 <= revision <= self._store.revision:
            raise ValueError(f"revision must be between 0 and {self._store.revision}, got {revision}")


def checked_instant(at: datetime | None) -> datetime:
    """`at`, or now.

    Raises:
        ValueError: `at` has no time zone.
    """
    at = datetime.now(UTC) if at is None else at
    if at.utcoffset() is None:
        raise ValueError(f"at must be a timezone-aware datetime, got {at!r}")
    return at
