"""`RamStore`: the journal in plain Python objects, for tests and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from memedit.edits import Edit, EditKind
from memedit.errors import MemoryFileError
from memedit.memory.encoding import Vectors
from memedit.memory.selection import EVERYTHING, Selection
from memedit.memory.store import GONE, IN_TRANSACTION, Action, EncoderStamp, Event, IndexEntry, tombstone
from memedit.memory.wordings import prompt_key


@dataclass
class _Tables:
    """What the store holds. Everything in the containers is a value that never changes."""

    events: list[Event] = field(default_factory=list)
    current: dict[str, Edit] = field(default_factory=dict)
    keys: dict[tuple[str, str], str] = field(default_factory=dict)
    ordinals: dict[str, int] = field(default_factory=dict)
    vectors: dict[str, Vectors] = field(default_factory=dict)
    encoder: EncoderStamp | None = None

    def copy(self) -> _Tables:
        containers = (self.current.copy(), self.keys.copy(), self.ordinals.copy(), self.vectors.copy())
        return _Tables(self.events.copy(), *containers, self.encoder)


class RamStore:
    """An `EditStore` that nothing outlives and that no other process sees.

    It is the protocol at its plainest, and takes time in proportion to what it holds for most
    calls: meant for thousands of edits. One `EditMemory` at a time may use it; when that is gone
    without having closed it, another may take over what it holds.
    """

    def __init__(self) -> None:
        """Make an empty store."""
        self._tables: _Tables | None = _Tables()
        self._is_writing = False

    @property
    def revision(self) -> int:
        """Revision of the newest event; 0 for an empty journal."""
        return len(self._open.events)

    @property
    def encoder(self) -> EncoderStamp | None:
        """Who made the vectors; None before the first `stamp`."""
        return self._open.encoder

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes of the block are kept when it ends, or none if it raises."""
        self._check_idle()
        before = self._open.copy()
        self._is_writing = True
        try:
            yield
        except BaseException:
            self._tables = before
            raise
        finally:
            self._is_writing = False

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads of the block see one revision: nobody else can write."""
        self._check_open()
        self._check_idle()
        yield

    def append(self, action: Action, edit: Edit, vectors: Vectors | None, reverts: int | None = None) -> Event:
        """Write one event and what is derived from it; see `EditStore.append`."""
        tables, revision = self._open, self.revision + 1
        if action in GONE:
            self._drop(edit.id)
        else:
            edit = replace(edit, revision=revision)
            self._put(edit)
            if vectors is not None:
                tables.vectors[edit.id] = vectors.copy()
        tables.ordinals.setdefault(edit.id, revision)
        event = Event(revision, action, edit, datetime.now(UTC), reverts)
        tables.events.append(event)
        return event

    def get(self, edit_ids: Iterable[str]) -> dict[str, Edit]:
        """The current edits among `edit_ids`; ids that are not stored are left out."""
        current = self._open.current
        return {edit_id: current[edit_id] for edit_id in edit_ids if edit_id in current}

    def find(self, namespace: str, key: str) -> Edit | None:
        """The current edit of `namespace` whose prompt has this `prompt_key`."""
        edit_id = self._open.keys.get((namespace, key))
        return None if edit_id is None else self._open.current[edit_id]

    def edits(
        self,
        namespace: str | None = None,
        selection: Selection = EVERYTHING,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Edit]:
        """Current edits in the order in which they were first added; see `EditStore.edits`."""
        found = self._where(lambda edit: namespace in (None, edit.namespace) and selection.matches(edit))
        return list(islice(found, offset, None if limit is None else offset + limit))

    def count(self, namespace: str | None = None, selection: Selection = EVERYTHING) -> int:
        """Number of current edits that `edits` would give without a limit."""
        return len(self.edits(namespace, selection))

    def states_at(self, revision: int, edit_ids: Iterable[str] | None = None) -> list[Edit]:
        """The edits that were current at a revision, of these or of all, in the order of `edits`."""
        chosen = None if edit_ids is None else set(edit_ids)
        latest = {
            event.edit.id: event for event in self._open.events[:revision] if chosen is None or event.edit.id in chosen
        }
        purged = self._purged()
        states = [event.edit for event in latest.values() if event.action not in GONE and event.edit.id not in purged]
        return sorted(states, key=self._ordinal)

    def about(self, namespace: str, key: str) -> list[Edit]:
        """Current edits that may speak about an entity; see `EditStore.about`."""

        def may_be(edit: Edit) -> bool:
            if edit.subject is not None:
                return prompt_key(edit.subject) == key
            return key in prompt_key(edit.prompt)

        return self._where(lambda edit: edit.namespace == namespace and may_be(edit))

    def answering(self, namespace: str, text_key: str, *, exactly: bool) -> list[Edit]:
        """Current edits whose target is named in a text; see `EditStore.answering`."""

        def is_named(edit: Edit) -> bool:
            key = prompt_key(edit.target)
            return edit.kind is not EditKind.ERASE and (key == text_key if exactly else key in text_key)

        return self._where(lambda edit: edit.namespace == namespace and is_named(edit))

    def history(self, edit_id: str) -> Sequence[Event]:
        """All events of one edit, oldest first; empty if there never was such an edit."""
        return [event for event in self._open.events if event.edit.id == edit_id]

    def undoable(self, n: int) -> Sequence[Event]:
        """The newest `n` events that neither undo another nor are undone; see `EditStore.undoable`."""
        events, purged = self._open.events, self._purged()
        undone = {event.reverts for event in events}
        left = (
            event
            for event in reversed(events)
            if event.reverts is None and event.revision not in undone and event.edit.id not in purged
        )
        return list(islice(left, n))

    def state_before(self, event: Event) -> Edit | None:
        """The state of the event's edit just before it; None if there was none then."""
        states = self.states_at(event.revision - 1, [event.edit.id])
        return states[0] if states else None

    def touched(self, since: int) -> set[str]:
        """Ids of the edits that have events after revision `since`."""
        return {event.edit.id for event in self._open.events[since:]}

    def entries(self, edit_ids: Iterable[str] | None = None) -> Iterator[IndexEntry]:
        """What the index needs, of these or of all current edits."""
        chosen = None if edit_ids is None else set(edit_ids)
        for edit in self._where(lambda edit: chosen is None or edit.id in chosen):
            vectors = self._open.vectors.get(edit.id)
            yield IndexEntry(edit.id, edit.namespace, edit.valid_from, edit.valid_until, vectors)

    def stamp(self, encoder: EncoderStamp) -> None:
        """Drop all vectors and note who makes the next ones; inside `transaction` only."""
        self._open.vectors.clear()
        self._open.encoder = encoder

    def put_vectors(self, vectors: Mapping[Edit, Vectors]) -> None:
        """Replace the vectors of edits that still are in this state; in `transaction` only."""
        for edit, rows in vectors.items():
            if self._open.current.get(edit.id) == edit:
                self._open.vectors[edit.id] = rows.copy()

    def disagreeing(self) -> set[str]:
        """Ids of the edits whose current state is not the one that the journal tells."""
        current = self._open.current
        told = {edit.id: edit for edit in self.states_at(self.revision)}
        return {edit_id for edit_id in told.keys() | current.keys() if told.get(edit_id) != current.get(edit_id)}

    def rebuild(self, edit_ids: Collection[str]) -> None:
        """Take these edits from the journal again, without vectors; in `transaction` only."""
        for edit_id in edit_ids:
            self._drop(edit_id)
        for edit in self.states_at(self.revision, edit_ids):
            self._put(edit)

    def purge(self, edit_id: str) -> Event:
        """Put the tombstone into all events of an edit, and append one; see `EditStore.purge`."""
        tables = self._open
        tables.events = [
            replace(event, edit=tombstone(event.edit)) if event.edit.id == edit_id else event for event in tables.events
        ]
        return self.append(Action.PURGED, self.history(edit_id)[-1].edit, None)

    def scrub(self) -> None:
        """Do nothing: there are no files, and Python frees what nobody holds."""
        self._check_open()

    def backup(self, path: Path) -> None:
        """Refuse: see `memedit.memory.sqlite.SQLiteStore` for a memory in RAM that can be copied.

        Raises:
            MemoryFileError: Always.
        """
        raise MemoryFileError(
            f"a RamStore cannot be copied to the file {str(path)!r}; a memory that EditMemory(None, …) makes can"
        )

    def close(self) -> None:
        """Let go of everything; a second call does nothing."""
        self._tables = None

    def _check_idle(self) -> None:
        if self._is_writing:
            raise MemoryFileError(f"the memory in RAM {IN_TRANSACTION}")

    def _check_open(self) -> None:
        _ = self._open

    @property
    def _open(self) -> _Tables:
        if self._tables is None:
            raise MemoryFileError("the memory in RAM is closed")
        return self._tables

    def _ordinal(self, edit: Edit) -> int:
        return self._open.ordinals[edit.id]

    def _where(self, is_wanted: Callable[[Edit], bool]) -> list[Edit]:
        """Current edits for which a condition holds, in the order of their first event."""
        return sorted(filter(is_wanted, self._open.current.values()), key=self._ordinal)

    def _purged(self) -> set[str]:
        return {event.edit.id for event in self._open.events if event.action is Action.PURGED}

    def _put(self, edit: Edit) -> None:
        self._forget_key(edit.id)
        self._open.current[edit.id] = edit
        self._open.keys[edit.namespace, prompt_key(edit.prompt)] = edit.id

    def _drop(self, edit_id: str) -> None:
        self._forget_key(edit_id)
        self._open.current.pop(edit_id, None)
        self._open.vectors.pop(edit_id, None)

    def _forget_key(self, edit_id: str) -> None:
        edit = self._open.current.get(edit_id)
        if edit is not None:
            del self._open.keys[edit.namespace, prompt_key(edit.prompt)]
