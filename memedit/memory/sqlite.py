"""`SQLiteStore`: journal, current edits and vectors in one SQLite file."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from memedit.edits import Edit
from memedit.errors import MemoryFileError
from memedit.memory.encoding import Vectors
from memedit.memory.file_errors import describe, translated, translated_errors
from memedit.memory.rows import CURRENT, EVENTS, VECTORS, event_row, read_event, read_vectors, state_row, vector_rows
from memedit.memory.schema import SCHEMA_VERSION, backup_path, check_absent, check_path, connect, copy_database
from memedit.memory.selection import EVERYTHING, Selection
from memedit.memory.store import GONE, IN_TRANSACTION, Action, EncoderStamp, Event, IndexEntry, tombstone
from memedit.memory.wordings import prompt_key

# Told by the index of events alone, without their long rows: this runs at each opening.
_DISAGREEING = """
SELECT id FROM (SELECT edit_id AS id, max(revision) AS latest, action FROM events GROUP BY edit_id)
    LEFT JOIN edits USING (id)
    WHERE revision IS NOT CASE WHEN action IN ('removed', 'purged') THEN NULL ELSE latest END
UNION SELECT id FROM edits WHERE id NOT IN (SELECT edit_id FROM events)
"""
# The same question for all at once: comparing sets of revisions spares looking up each edit by its id.
_AGREES = """
WITH told AS (
    SELECT latest FROM (SELECT max(revision) AS latest, action FROM events GROUP BY edit_id)
    WHERE action NOT IN ('removed', 'purged')
)
SELECT (SELECT count(*) FROM told) = count(*) AND total(edit_id = id) = count(*)
    AND NOT EXISTS (SELECT latest FROM told EXCEPT SELECT revision FROM edits)
    FROM edits LEFT JOIN events USING (revision)
"""
_LAST_BEFORE = (
    "SELECT max(revision) AS revision, min(revision) AS ordinal FROM events "
    "WHERE revision <= ?1 AND (?2 IS NULL OR edit_id IN (SELECT value FROM json_each(?2))) GROUP BY edit_id"
)
_UNDONE = "SELECT reverts FROM events WHERE reverts IS NOT NULL"
_PURGED = "SELECT edit_id FROM events WHERE action = 'purged'"
_COUNT = "SELECT count(*) FROM edits"
_STATES = "SELECT id, namespace, valid_from, valid_until, wordings FROM edits"
_ORDERED = "AND wording < wordings ORDER BY edit_id, wording"
_AMONG = "WHERE id IN (SELECT value FROM json_each(?1))"
_HERE = "WHERE (?1 IS NULL OR namespace = ?1)"


class SQLiteStore:
    """The `EditStore` that memedit uses: see `memedit.memory.schema` for the tables.

    Args:
        path: The memory file, made if it does not exist; None for one in RAM.

    Raises:
        MemoryFileError: The file cannot be used (see `connect`).
    """

    def __init__(self, path: Path | None) -> None:
        """Open or make the file."""
        # Absolute, so that it stays the same file when the process changes its folder.
        self.path = None if path is None else path.absolute()
        self._connection: sqlite3.Connection | None = connect(self.path)

    @classmethod
    def in_ram(cls, path: Path) -> Self:
        """A store in RAM with all that a memory file holds.

        Args:
            path: The file, which stays as it is and may lie where nothing can be written.

        Raises:
            MemoryFileError: It is no memory.
            OSError: It cannot be read.
        """
        store = cls(None)
        # Opened where it may be migrated, and have a log beside it.
        with TemporaryDirectory() as folder, translated_errors(path):
            shutil.copyfile(path, copy := Path(folder) / path.name)
            with closing(cls(copy)) as source:
                source._open_connection.backup(store._open_connection)
        return store

    @property
    def revision(self) -> int:
        """Revision of the newest event, by whichever process; 0 for an empty journal."""
        return int(self._rows("SELECT coalesce(max(revision), 0) FROM events")[0][0])

    @property
    def encoder(self) -> EncoderStamp | None:
        """Who made the vectors; None before the first `stamp`, or if that cannot be told any more."""
        meta = dict(self._rows("SELECT name, value FROM meta"))
        encoder_id, dimension = meta.get("encoder_id"), meta.get("encoder_dimension")
        if not isinstance(encoder_id, str) or not isinstance(dimension, int):
            return None
        return EncoderStamp(id=encoder_id, dimension=dimension)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes of the block are durable when it ends, or none if it raises."""
        with self._until_commit("BEGIN IMMEDIATE"):
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads of the block see one revision."""
        with self._until_commit("BEGIN DEFERRED"):
            yield

    def append(
        self,
        action: Action,
        edit: Edit,
        vectors: Vectors | None,
        reverts: int | None = None,
        *,
        revision: int | None = None,
    ) -> Event:
        """Write one event and what is derived from it; see `EditStore.append`.

        Args:
            action: As there.
            edit: As there.
            vectors: As there.
            reverts: As there.
            revision: The event's number, above all there are; None for the next.
        """
        revision = self.revision + 1 if revision is None else revision
        if action not in GONE:
            edit = replace(edit, revision=revision)
        event = Event(revision, action, edit, datetime.now(UTC), reverts)
        self._rows("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", event_row(event))
        if action is not Action.ADDED:
            self._drop_state(edit.id)
            if action in GONE or vectors is not None:
                self._drop_vectors(edit.id)
        if action not in GONE:
            self._put_state(edit)
            if vectors is not None:
                self._put_vectors(edit.id, vectors)
        return event

    def get(self, edit_ids: Iterable[str]) -> dict[str, Edit]:
        """The current edits among `edit_ids`; ids that are not stored are left out."""
        edits = self._edits(f"{CURRENT} {_AMONG}", (json.dumps(list(edit_ids)),))
        return {edit.id: edit for edit in edits}

    def find(self, namespace: str, key: str) -> Edit | None:
        """The current edit of `namespace` whose prompt has this `prompt_key`."""
        found = self._edits(f"{CURRENT} WHERE namespace = ? AND prompt_key = ?", (namespace, key))
        if found and prompt_key(found[0].prompt) != key:
            raise self._misplaced(found[0])
        return self._here(found, namespace)[0] if found else None

    def edits(
        self,
        namespace: str | None = None,
        selection: Selection = EVERYTHING,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Edit]:
        """Current edits in the order in which they were first added; see `EditStore.edits`."""
        if not selection:
            statement = f"{CURRENT} {_HERE} ORDER BY ordinal LIMIT coalesce(?2, -1) OFFSET ?3"
            return self._here(self._edits(statement, (namespace, limit, offset)), namespace)
        stop = None if limit is None else offset + limit
        return list(islice(self._selected(namespace, selection), offset, stop))

    def count(self, namespace: str | None = None, selection: Selection = EVERYTHING) -> int:
        """Number of current edits that `edits` would give without a limit."""
        if selection:
            return sum(1 for _ in self._selected(namespace, selection))
        return int(self._rows(f"{_COUNT} {_HERE}", (namespace,))[0][0])

    def states_at(self, revision: int, edit_ids: Iterable[str] | None = None) -> list[Edit]:
        """The edits that were current at a revision, of these or of all, in the order of `edits`."""
        chosen = None if edit_ids is None else json.dumps(list(edit_ids))
        return self._edits(
            f"{EVENTS} JOIN ({_LAST_BEFORE}) USING (revision) "
            f"WHERE action <> 'removed' AND edit_id NOT IN ({_PURGED}) ORDER BY ordinal",
            (revision, chosen),
        )

    def about(self, namespace: str, key: str) -> list[Edit]:
        """Current edits that may speak about an entity; see `EditStore.about`."""
        named = "(subject_key = ?2 OR (subject_key IS NULL AND instr(prompt_key, ?2)))"
        return self._here(self._edits(f"{CURRENT} {_HERE} AND {named} ORDER BY ordinal", (namespace, key)), namespace)

    def answering(self, namespace: str, text_key: str, *, exactly: bool) -> list[Edit]:
        """Current edits whose target is named in a text; see `EditStore.answering`."""
        named = "target_key = ?2" if exactly else "instr(?2, target_key)"
        found = self._edits(f"{CURRENT} {_HERE} AND {named} ORDER BY ordinal", (namespace, text_key))
        return self._here(found, namespace)

    def history(self, edit_id: str) -> Sequence[Event]:
        """All events of one edit, oldest first; empty if there never was such an edit."""
        return self._events(f"{EVENTS} WHERE edit_id = ? ORDER BY revision", (edit_id,))

    def undoable(self, n: int) -> Sequence[Event]:
        """The newest `n` events that neither undo another nor are undone; see `EditStore.undoable`."""
        return self._events(
            f"{EVENTS} WHERE reverts IS NULL AND revision NOT IN ({_UNDONE}) AND edit_id NOT IN ({_PURGED}) "
            "ORDER BY revision DESC LIMIT ?",
            (n,),
        )

    def state_before(self, event: Event) -> Edit | None:
        """The state of the event's edit just before it; None if there was none then."""
        before = self._events(
            f"{EVENTS} WHERE edit_id = ? AND revision < ? ORDER BY revision DESC LIMIT 1",
            (event.edit.id, event.revision),
        )
        return before[0].edit if before and before[0].action not in GONE else None

    def touched(self, since: int) -> set[str]:
        """Ids of the edits that have events after revision `since`."""
        # Asked for distinct ones, SQLite would read a whole index, to have them in order.
        rows = self._rows("SELECT edit_id FROM events WHERE revision > ?", (since,))
        return {edit_id for (edit_id,) in rows}

    def entries(self, edit_ids: Iterable[str] | None = None) -> Iterator[IndexEntry]:
        """What the index needs, of these or of all current edits."""
        stamp = self.encoder
        dimension = stamp.dimension if stamp else 0
        # A condition that may be null would keep SQLite from using the index on id.
        states, vectors, values = _STATES, f"{VECTORS} ORDER BY rowid", list[str]()
        if edit_ids is not None:
            states, vectors = f"{_STATES} {_AMONG}", f"{VECTORS} JOIN edits ON id = edit_id {_AMONG} {_ORDERED}"
            values.append(json.dumps(list(edit_ids)))
        with translated_errors(self.path):
            # Not joined: looking each edit up takes as long as all else, and the vectors of one lie together anyway.
            left = {state[0]: state for state in self._open_connection.execute(states, values)}
            for edit_id, found in read_vectors(self._open_connection.execute(vectors, values), dimension):
                state = left.pop(edit_id, None)
                if state is None:
                    continue
                _, namespace, start, end, wordings = state
                is_whole = found is not None and len(found) == wordings
                instants = self._instant(start, edit_id), self._instant(end, edit_id)
                yield IndexEntry(edit_id, namespace, *instants, found if is_whole else None)
        for edit_id, namespace, start, end, _ in left.values():
            yield IndexEntry(edit_id, namespace, self._instant(start, edit_id), self._instant(end, edit_id), None)

    def stamp(self, encoder: EncoderStamp) -> None:
        """Drop all vectors and note who makes the next ones; inside `transaction` only."""
        self._rows("DELETE FROM vectors")
        for name, value in (("id", encoder.id), ("dimension", encoder.dimension)):
            self._rows("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"encoder_{name}", value))

    def put_vectors(self, vectors: Mapping[Edit, Vectors]) -> None:
        """Replace the vectors of edits that still are in this state; in `transaction` only."""
        current = self.get(edit.id for edit in vectors)
        for edit, rows in vectors.items():
            if current.get(edit.id) == edit:
                self._drop_vectors(edit.id)
                self._put_vectors(edit.id, rows)

    def disagreeing(self) -> set[str]:
        """Ids of the edits whose current state is not the one that the journal tells."""
        does_agree = self._rows(_AGREES)[0][0]
        return set() if does_agree else {edit_id for (edit_id,) in self._rows(_DISAGREEING)}

    def rebuild(self, edit_ids: Collection[str]) -> None:
        """Take these edits from the journal again, without vectors; in `transaction` only."""
        for edit_id in edit_ids:
            self._drop_state(edit_id)
            self._drop_vectors(edit_id)
        for edit_id in edit_ids:
            latest = self.history(edit_id)[-1:]
            if latest and latest[0].action not in GONE:
                self._put_state(latest[0].edit)

    def purge(self, edit_id: str) -> Event:
        """Put the tombstone into all events of an edit, and append one; see `EditStore.purge`."""
        for event in self.history(edit_id):
            revision, *_, state, _, _, checksum = event_row(replace(event, edit=tombstone(event.edit)))
            self._rows("UPDATE events SET state = ?, checksum = ? WHERE revision = ?", (state, checksum, revision))
        return self.append(Action.PURGED, self.history(edit_id)[-1].edit, None)

    def scrub(self) -> None:
        """Leave nothing of what was purged in the files; see `EditStore.scrub`.

        Copies that a migration left beside the file go as well, for they hold the old texts.
        """
        if self.path is None:
            return
        try:
            for version in range(1, SCHEMA_VERSION):
                backup_path(self.path, version).unlink(missing_ok=True)
            self._rows("VACUUM")
            is_busy, *_ = self._rows("PRAGMA wal_checkpoint(TRUNCATE)")[0]
        except (MemoryFileError, OSError) as error:
            raise self._not_scrubbed(str(error)) from error
        if is_busy:
            raise self._not_scrubbed("another process is reading it")

    def _not_scrubbed(self, why: str) -> MemoryFileError:
        return MemoryFileError(
            f"{describe(self.path)} may still hold what was purged: {why}; purge the edit again when that is over"
        )

    def backup(self, path: Path) -> None:
        """Copy one revision to a new memory file, while others read and write.

        Raises:
            MemoryFileError: There is such a file already, or it cannot be written.
        """
        check_path(path)
        check_absent(path)
        copy_database(self._open_connection, path)

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _instant(self, text: str | None, edit_id: str) -> datetime | None:
        if text is None:
            return None
        try:
            return datetime.fromisoformat(text)
        except (ValueError, TypeError):
            raise MemoryFileError(
                f"{describe(self.path)} is damaged: when edit {edit_id!r} is valid cannot be read; "
                "`memedit doctor --repair` puts that right"
            ) from None

    @property
    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise MemoryFileError(f"{describe(self.path)} is closed")
        return self._connection

    def _selected(self, namespace: str | None, selection: Selection) -> Iterator[Edit]:
        with translated_errors(self.path), closing(self._open_connection.cursor()) as cursor:
            for row in cursor.execute(f"{CURRENT} {_HERE} ORDER BY ordinal", (namespace,)):
                if selection.matches(edit := read_event(row, self.path).edit):
                    yield from self._here([edit], namespace)

    def _here(self, edits: list[Edit], namespace: str | None) -> list[Edit]:
        """`edits`, which were found in a namespace; raises if the journal has one in another."""
        for edit in edits:
            if namespace not in (None, edit.namespace):
                raise self._misplaced(edit)
        return edits

    def _misplaced(self, edit: Edit) -> MemoryFileError:
        return MemoryFileError(
            f"{describe(self.path)} is damaged: edit {edit.id!r} is found where the journal does not have it; "
            "`memedit doctor --repair` puts that right"
        )

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        try:  # not `translated_errors`: this is what adding many edits does most
            return self._open_connection.execute(statement, values).fetchall()
        except (sqlite3.Error, UnicodeEncodeError) as error:
            raise translated(error, self.path) from None  # see `translated_errors`

    def _events(self, statement: str, values: Sequence[Any]) -> list[Event]:
        return [read_event(row, self.path) for row in self._rows(statement, values)]

    def _edits(self, statement: str, values: Sequence[Any]) -> list[Edit]:
        return [event.edit for event in self._events(statement, values)]

    @contextmanager
    def _until_commit(self, begin: str) -> Iterator[None]:
        if self._open_connection.in_transaction:
            raise MemoryFileError(f"{describe(self.path)} {IN_TRANSACTION}")
        self._rows(begin)
        try:
            yield
            self._rows("COMMIT")
        finally:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.rollback()

    def _put_state(self, edit: Edit) -> None:
        self._rows(
            "INSERT INTO edits VALUES "
            "((SELECT min(revision) FROM events WHERE edit_id = ?1), ?1, ?, ?, ?, ?, ?, ?, ?, ?)",
            state_row(edit),
        )

    def _put_vectors(self, edit_id: str, vectors: Vectors) -> None:
        for row in vector_rows(edit_id, vectors):
            self._rows("INSERT INTO vectors VALUES (?, ?, ?, ?)", row)

    def _drop_state(self, edit_id: str) -> None:
        self._rows("DELETE FROM edits WHERE id = ?", (edit_id,))

    def _drop_vectors(self, edit_id: str) -> None:
        self._rows("DELETE FROM vectors WHERE edit_id = ?", (edit_id,))
