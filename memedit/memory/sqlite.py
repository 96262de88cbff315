"""`SQLiteStore`: journal, current edits and vectors in one SQLite file."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from memedit.edits import Edit
from memedit.errors import MemoryFileError
from memedit.memory.encoding import Vectors
from memedit.memory.schema import connect, describe, translated_errors
from memedit.memory.store import Action, EncoderStamp, Event, IndexEntry
from memedit.memory.wordings import prompt_key

_STORED_FLOAT = np.dtype("<f4")
_EVENT = "revision, action, state, at, reverts"
_LATEST = "SELECT edit_id AS id, action, state, max(revision) AS revision FROM events GROUP BY 1"
# SQLite takes the other columns from the row that has the maximum.


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
        if action is not Action.REMOVED:
            edit = replace(edit, revision=revision)
        state = json.dumps(edit.to_dict())
        self._rows(
            f"INSERT INTO events ({_EVENT}, edit_id) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608
            (revision, action.value, state, at.isoformat(), reverts, edit.id),
        )
        if action is Action.REMOVED:
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

    def edits(self, namespace: str | None = None) -> list[Edit]:
        """Current edits in the order in which they were first added."""
        rows = self._rows(
            "SELECT state FROM edits WHERE ?1 IS NULL OR namespace = ?1 ORDER BY ordinal",
            (namespace,),
        )
        return [_read_state(row) for row in rows]

    def count(self, namespace: str | None = None) -> int:
        """Number of current edits."""
        rows = self._rows("SELECT count(*) FROM edits WHERE ?1 IS NULL OR namespace = ?1", (namespace,))
        return int(rows[0][0])

    def history(self, edit_id: str) -> Sequence[Event]:
        """All events of one edit, oldest first; empty if there never was such an edit."""
        rows = self._rows(
            f"SELECT {_EVENT} FROM events WHERE edit_id = ? ORDER BY revision",  # noqa: S608
            (edit_id,),
        )
        return [_read_event(row) for row in rows]

    def undoable(self, n: int) -> Sequence[Event]:
        """The newest `n` events that neither undo another nor are undone, newest first."""
        rows = self._rows(
            f"SELECT {_EVENT} FROM events AS candidate WHERE reverts IS NULL "  # noqa: S608
            "AND NOT EXISTS (SELECT 1 FROM events WHERE reverts = candidate.revision) "
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
        return before[0].edit if before and before[0].action is not Action.REMOVED else None

    def touched(self, since: int) -> set[str]:
        """Ids of the edits that have events after revision `since`."""
        rows = self._rows("SELECT DISTINCT edit_id FROM events WHERE revision > ?", (since,))
        return {edit_id for (edit_id,) in rows}

    def entries(self, edit_ids: Iterable[str] | None = None) -> Iterator[IndexEntry]:
        """What the index needs, of these or of all current edits."""
        stamp = self.encoder
        dimension = stamp.dimension if stamp else 0
        chosen = None if edit_ids is None else json.dumps(list(edit_ids))
        query = (
            "SELECT id, namespace, valid_from, valid_until, wordings, vector, checksum "
            "FROM edits LEFT JOIN vectors ON edit_id = id "
            "WHERE ?1 IS NULL OR id IN (SELECT value FROM json_each(?1)) ORDER BY ordinal, wording"
        )
        with translated_errors(self.path):
            cursor = self._open_connection.execute(query, (chosen,))
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
        live = f"SELECT id, revision FROM ({_LATEST}) WHERE action != 'removed'"  # noqa: S608
        kept = "SELECT id, revision FROM edits"
        rows = self._rows(
            f"SELECT id FROM (SELECT * FROM ({live}) EXCEPT {kept}) UNION "  # noqa: S608
            f"SELECT id FROM (SELECT * FROM ({kept}) EXCEPT {live})"
        )
        return {edit_id for (edit_id,) in rows}

    def rebuild(self, edit_ids: Collection[str]) -> None:
        """Take these edits from the journal again, without vectors; in `transaction` only."""
        for edit_id in edit_ids:
            self._drop(edit_id)
        for edit_id in edit_ids:
            latest = self.history(edit_id)[-1:]
            if latest and latest[0].action is not Action.REMOVED:
                self._put_state(latest[0].edit, json.dumps(latest[0].edit.to_dict()))

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
            "INSERT INTO edits VALUES ((SELECT min(revision) FROM events WHERE edit_id = ?1), ?1, ?, ?, ?, ?, ?, ?, ?)",
            (
                edit.id,
                edit.revision,
                edit.namespace,
                prompt_key(edit.prompt),
                edit.valid_from and edit.valid_from.isoformat(),
                edit.valid_until and edit.valid_until.isoformat(),
                len(edit.wordings),
                state,
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
    flat = np.frombuffer(b"".join(blobs), dtype=_STORED_FLOAT).astype(np.float32)
    return flat.reshape(wordings, dimension)
