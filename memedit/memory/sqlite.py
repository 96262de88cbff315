"""`SQLiteStore`: journal, current edits and vectors in one SQLite file."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np

from memedit.edits import Edit, EditKind
from memedit.errors import MemoryFileError
from memedit.memory.encoding import Vectors
from memedit.memory.schema import (
    SCHEMA_VERSION,
    backup_path,
    check_path,
    connect,
    copy_database,
    describe,
    translated_errors,
)
from memedit.memory.selection import EVERYTHING, Selection
from memedit.memory.store import GONE, Action, EncoderStamp, Event, IndexEntry, tombstone
from memedit.memory.wordings import prompt_key

_STORED_FLOAT = np.dtype("<f4")
_EVENT = "revision, action, state, at, reverts"
_LATEST = "SELECT edit_id AS id, max(revision) AS revision FROM events GROUP BY edit_id"
_PURGED = "SELECT edit_id FROM events WHERE action = 'purged'"
_ENTRIES = (
    "SELECT id, namespace, valid_from, valid_until, wordings, vector, checksum "
    "FROM edits LEFT JOIN vectors ON edit_id = id"
)
_AMONG = "WHERE id IN (SELECT value FROM json_each(?1)) "
_HERE = "FROM edits WHERE (?1 IS NULL OR namespace = ?1)"


class SQLiteStore:
    """The `EditStore` that memedit uses: see `memedit.memory.schema` for the tables.

    Args:
        path: The memory file, made if it does not exist; None for one in RAM.

    Raises:
        MemoryFileError: The file cannot be used (see `connect`).
    """

    def __init__(self, path: Path | None) -> None:
        """Open or make the file."""
        self.path = path
        self._connection: sqlite3.Connection | None = connect(path)

    @property
    def revision(self) -> int:
        """Revision of the newest event, by whichever process; 0 for an empty journal."""
        return int(self._rows("SELECT coalesce(max(revision), 0) FROM events")[0][0])

    @property
    def encoder(self) -> EncoderStamp | None:
        """Who made the vectors; None before the first `stamp`."""
        meta = dict(self._rows("SELECT name, value FROM meta"))
        if not meta:
            return None
        return EncoderStamp(id=meta["encoder_id"], dimension=meta["encoder_dimension"])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes of the block are durable when it ends, or none if it raises."""
        with self._between("BEGIN IMMEDIATE", "COMMIT"):
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads of the block see one revision."""
        with self._between("BEGIN DEFERRED", "COMMIT"):
            yield

    def append(self, action: Action, edit: Edit, vectors: Vectors | None, reverts: int | None = None) -> Event:
        """Write one event and what is derived from it; see `EditStore.append`."""
        revision = self.revision + 1
        at = datetime.now(UTC)
        if action not in GONE:
            edit = replace(edit, revision=revision)
        state = json.dumps(edit.to_dict())
        self._rows(
            f"INSERT INTO events ({_EVENT}, edit_id) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608
            (revision, action.value, state, at.isoformat(), reverts, edit.id),
        )
        if action in GONE:
            self._drop(edit.id)
        else:
            self._put_state(edit, state)
            if vectors is not None:
                self._put_vectors(edit.id, vectors)
        return Event(revision, action, edit, at, reverts)

    def get(self, edit_ids: Iterable[str]) -> dict[str, Edit]:
        """The current edits among `edit_ids`; ids that are not stored are left out."""
        rows = self._rows(
            "SELECT state FROM edits WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(edit_ids)),),
        )
        return {edit.id: edit for edit in map(_read_state, rows)}

    def find(self, namespace: str, key: str) -> Edit | None:
        """The current edit of `namespace` whose prompt has this `prompt_key`."""
        rows = self._rows("SELECT state FROM edits WHERE namespace = ? AND prompt_key = ?", (namespace, key))
        return _read_state(rows[0]) if rows else None

    def edits(
        self,
        namespace: str | None = None,
        selection: Selection = EVERYTHING,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Edit]:
        """Current edits in the order in which they were first added; see `EditStore.edits`."""
        if not selection:
            statement = f"SELECT state {_HERE} ORDER BY ordinal LIMIT coalesce(?2, -1) OFFSET ?3"
            return [_read_state(row) for row in self._rows(statement, (namespace, limit, offset))]
        stop = None if limit is None else offset + limit
        return list(islice(self._selected(namespace, selection), offset, stop))

    def count(self, namespace: str | None = None, selection: Selection = EVERYTHING) -> int:
        """Number of current edits that `edits` would give without a limit."""
        if selection:
            return sum(1 for _ in self._selected(namespace, selection))
        return int(self._rows(f"SELECT count(*) {_HERE}", (namespace,))[0][0])

    def states_at(self, revision: int, edit_ids: Iterable[str] | None = None) -> list[Edit]:
        """The edits that were current at a revision, of these or of all, in the order of `edits`."""
        chosen = None if edit_ids is None else json.dumps(list(edit_ids))
        rows = self._rows(
            # SQLite takes the other columns from the row that has the maximum.
            "SELECT state FROM ("  # noqa: S608
            "  SELECT edit_id, action, state, max(revision) FROM events"
            "  WHERE revision <= ?1 AND (?2 IS NULL OR edit_id IN (SELECT value FROM json_each(?2)))"
            "  GROUP BY edit_id"
            f") AS latest WHERE action <> 'removed' AND edit_id NOT IN ({_PURGED}) "
            "ORDER BY (SELECT min(revision) FROM events WHERE edit_id = latest.edit_id)",
            (revision, chosen),
        )
        return [_read_state(row) for row in rows]

    def about(self, namespace: str, key: str) -> list[Edit]:
        """Current edits that may speak about an entity; see `EditStore.about`."""
        named = "(subject_key = ?2 OR (subject_key IS NULL AND instr(prompt_key, ?2)))"
        rows = self._rows(f"SELECT state {_HERE} AND {named} ORDER BY ordinal", (namespace, key))
        return [_read_state(row) for row in rows]

    def answering(self, namespace: str, text_key: str, *, exactly: bool) -> list[Edit]:
        """Current edits whose target is named in a text; see `EditStore.answering`."""
        named = "target_key = ?2" if exactly else "instr(?2, target_key)"
        rows = self._rows(f"SELECT state {_HERE} AND {named} ORDER BY ordinal", (namespace, text_key))
        return [_read_state(row) for row in rows]

    def history(self, edit_id: str) -> Sequence[Event]:
        """All events of one edit, oldest first; empty if there never was such an edit."""
        rows = self._rows(
            f"SELECT {_EVENT} FROM events WHERE edit_id = ? ORDER BY revision",  # noqa: S608
            (edit_id,),
        )
        return [_read_event(row) for row in rows]

    def undoable(self, n: int) -> Sequence[Event]:
        """The newest `n` events that neither undo another nor are undone; see `EditStore.undoable`."""
        rows = self._rows(
            f"SELECT {_EVENT} FROM events AS candidate WHERE reverts IS NULL "  # noqa: S608
            "AND NOT EXISTS (SELECT 1 FROM events WHERE reverts = candidate.revision) "
            f"AND edit_id NOT IN ({_PURGED}) "
            "ORDER BY revision DESC LIMIT ?",
            (n,),
        )
        return [_read_event(row) for row in rows]

    def state_before(self, event: Event) -> Edit | None:
        """The state of the event's edit just before it; None if there was none then."""
        rows = self._rows(
            f"SELECT {_EVENT} FROM events WHERE edit_id = ? AND revision < ? "  # noqa: S608
            "ORDER BY revision DESC LIMIT 1",
            (event.edit.id, event.revision),
        )
        before = [_read_event(row) for row in rows]
        return before[0].edit if before and before[0].action not in GONE else None

    def touched(self, since: int) -> set[str]:
        """Ids of the edits that have events after revision `since`."""
        rows = self._rows("SELECT DISTINCT edit_id FROM events WHERE revision > ?", (since,))
        return {edit_id for (edit_id,) in rows}

    def entries(self, edit_ids: Iterable[str] | None = None) -> Iterator[IndexEntry]:
        """What the index needs, of these or of all current edits."""
        stamp = self.encoder
        dimension = stamp.dimension if stamp else 0
        # A condition that may be null would keep SQLite from using the index on id.
        only, values = ("", ()) if edit_ids is None else (_AMONG, (json.dumps(list(edit_ids)),))
        query = f"{_ENTRIES} {only}ORDER BY ordinal, wording"
        with translated_errors(self.path):
            cursor = self._open_connection.execute(query, values)
            for (edit_id, namespace, start, end, wordings), rows in groupby(cursor, lambda row: row[:5]):
                stored = [(vector, checksum) for *_, vector, checksum in rows]
                yield IndexEntry(
                    edit_id,
                    namespace,
                    start and datetime.fromisoformat(start),
                    end and datetime.fromisoformat(end),
                    _read_vectors(stored, wordings, dimension),
                )

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
                self._put_vectors(edit.id, rows)

    def disagreeing(self) -> set[str]:
        """Ids of the edits whose current state is not the one that the journal tells."""
        # Written so that the events' long rows are looked up for few edits: this runs at each opening.
        kept = "SELECT id, revision FROM edits"
        rows = self._rows(
            f"SELECT id FROM ({_LATEST} EXCEPT {kept}) AS latest JOIN events USING (revision) "  # noqa: S608
            "WHERE action NOT IN ('removed', 'purged') "
            f"UNION SELECT id FROM ({kept} EXCEPT {_LATEST}) "
            "UNION SELECT id FROM edits JOIN events USING (revision) WHERE action IN ('removed', 'purged')"
        )
        return {edit_id for (edit_id,) in rows}

    def rebuild(self, edit_ids: Collection[str]) -> None:
        """Take these edits from the journal again, without vectors; in `transaction` only."""
        for edit_id in edit_ids:
            self._drop(edit_id)
        for edit_id in edit_ids:
            latest = self.history(edit_id)[-1:]
            if latest and latest[0].action not in GONE:
                self._put_state(latest[0].edit, json.dumps(latest[0].edit.to_dict()))

    def purge(self, edit_id: str) -> Event:
        """Put the tombstone into all events of an edit, and append one; see `EditStore.purge`."""
        for event in self.history(edit_id):
            state = json.dumps(tombstone(event.edit).to_dict())
            self._rows("UPDATE events SET state = ? WHERE revision = ?", (state, event.revision))
        return self.append(Action.PURGED, self.history(edit_id)[-1].edit, None)

    def scrub(self) -> None:
        """Leave nothing of what was purged in the files; see `EditStore.scrub`.

        Copies that a migration left beside the file go as well, for they hold the old texts.
        """
        if self.path is None:
            return
        for version in range(1, SCHEMA_VERSION):
            backup_path(self.path, version).unlink(missing_ok=True)
        self._rows("VACUUM")
        is_busy, *_ = self._rows("PRAGMA wal_checkpoint(TRUNCATE)")[0]
        if is_busy:
            raise MemoryFileError(
                f"{describe(self.path)} may still hold what was purged, because another process is reading it; "
                "purge the edit again when that has finished"
            )

    def backup(self, path: Path) -> None:
        """Copy one revision to a new memory file, while others read and write.

        Raises:
            MemoryFileError: There is such a file already, or it cannot be written.
        """
        check_path(path)
        if path.exists():
            raise MemoryFileError(f"{describe(path)} exists already; a backup is a new file")
        copy_database(self._open_connection, path)

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise MemoryFileError(f"{describe(self.path)} is closed")
        return self._connection

    def _selected(self, namespace: str | None, selection: Selection) -> Iterator[Edit]:
        with translated_errors(self.path), closing(self._open_connection.cursor()) as cursor:
            for row in cursor.execute(f"SELECT state {_HERE} ORDER BY ordinal", (namespace,)):
                if selection.matches(edit := _read_state(row)):
                    yield edit

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with translated_errors(self.path):
            return self._open_connection.execute(statement, values).fetchall()

    @contextmanager
    def _between(self, begin: str, end: str) -> Iterator[None]:
        self._rows(begin)
        try:
            yield
            self._rows(end)
        finally:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.rollback()

    def _put_state(self, edit: Edit, state: str) -> None:
        self._rows("DELETE FROM edits WHERE id = ?", (edit.id,))
        self._rows(
            "INSERT INTO edits VALUES ((SELECT min(revision) FROM events WHERE edit_id = ?1), "
            "?1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                edit.id,
                edit.revision,
                edit.namespace,
                prompt_key(edit.prompt),
                edit.valid_from and edit.valid_from.isoformat(),
                edit.valid_until and edit.valid_until.isoformat(),
                len(edit.wordings),
                state,
                edit.subject and prompt_key(edit.subject),
                None if edit.kind is EditKind.ERASE else prompt_key(edit.target),
            ),
        )

    def _put_vectors(self, edit_id: str, vectors: Vectors) -> None:
        self._rows("DELETE FROM vectors WHERE edit_id = ?", (edit_id,))
        for wording, vector in enumerate(vectors):
            blob = vector.astype(_STORED_FLOAT).tobytes()
            row = (edit_id, wording, zlib.crc32(blob), blob)
            self._rows("INSERT INTO vectors VALUES (?, ?, ?, ?)", row)

    def _drop(self, edit_id: str) -> None:
        self._rows("DELETE FROM edits WHERE id = ?", (edit_id,))
        self._rows("DELETE FROM vectors WHERE edit_id = ?", (edit_id,))


def _read_state(row: tuple[str]) -> Edit:
    return Edit.from_dict(json.loads(row[0]))


def _read_event(row: tuple[int, str, str, str, int | None]) -> Event:
    revision, action, state, at, reverts = row
    edit = Edit.from_dict(json.loads(state))
    return Event(revision, Action(action), edit, datetime.fromisoformat(at), reverts)


def _read_vectors(stored: Sequence[tuple[bytes | None, int | None]], wordings: int, dimension: int) -> Vectors | None:
    size = dimension * _STORED_FLOAT.itemsize
    blobs = [
        blob for blob, checksum in stored if blob is not None and len(blob) == size and zlib.crc32(blob) == checksum
    ]
    if len(blobs) != wordings:
        return None
    flat = np.frombuffer(b"".join(blobs), dtype=_STORED_FLOAT).astype(np.float32, copy=False)
    return flat.reshape(wordings, dimension)
