"""The memory file: its tables, how it is created, and how a file that is not one is told."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from uuid import uuid4

from memedit.errors import MemoryFileError
from memedit.memory.file_errors import describe, translated_errors
from memedit.memory.migrations import MIGRATIONS

logger = logging.getLogger(__name__)

APPLICATION_ID = 0x6D656D65  # "meme", in SQLite's header field for "whose file is this"
SCHEMA_VERSION = 3
BUSY_TIMEOUT_SECONDS = 5.0
_SQLITE_HEADER_BYTES = 100
_OWNER_ONLY = 0o600

_TABLES = """
CREATE TABLE events (
    revision INTEGER PRIMARY KEY AUTOINCREMENT,
    action TEXT NOT NULL CHECK (action IN ('added', 'updated', 'removed', 'restored', 'purged')),
    edit_id TEXT NOT NULL,
    state TEXT NOT NULL,
    at TEXT NOT NULL,
    reverts INTEGER UNIQUE REFERENCES events (revision),
    checksum INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX events_of_edit ON events (edit_id, revision, action);
CREATE INDEX purged_edits ON events (edit_id) WHERE action = 'purged';
CREATE TABLE edits (
    ordinal INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    prompt_key TEXT NOT NULL,
    valid_from TEXT,
    valid_until TEXT,
    wordings INTEGER NOT NULL,
    subject_key TEXT,
    target_key TEXT,
    UNIQUE (namespace, prompt_key)
);
CREATE TABLE vectors (
    edit_id TEXT NOT NULL,
    wording INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (edit_id, wording)
);
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL)
"""
"""`events` is the truth; its checksums are `memedit.memory.rows.event_checksum`. `edits` (for each
current edit the event that holds its state, and what it is found by; `ordinal` is the revision of
its first event; keys are of `prompt_key`, a refusal has none) and `vectors` (little-endian float32,
CRC-32) are derived from it. A change here needs an entry in `memedit.memory.migrations`."""


def connect(path: Path | None) -> sqlite3.Connection:
    """Open a memory, creating it where there is none, without altering anything else's file.

    A new file may be read and written by its owner only, or by less if the umask says so. A file
    of an earlier schema is migrated; a copy of it is kept as it was (see `backup_path`).

    Args:
        path: The file; None for a memory that lives in RAM.

    Returns:
        A connection in autocommit mode, WAL, `synchronous=FULL`: a commit is on the disk when
        it returns. It may be used from several threads, one at a time.

    Raises:
        MemoryFileError: The file is foreign, newer, damaged, locked or cannot be written.
    """
    if path is not None:
        check_path(path)
        make_private(path)
    with translated_errors(path), ExitStack() as on_error:
        connection = sqlite3.connect(
            ":memory:" if path is None else path,
            timeout=BUSY_TIMEOUT_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        on_error.callback(connection.close)
        # Looked at before anything is set: a foreign database must stay as it is.
        # In one transaction: another process may be creating the tables.
        connection.execute("BEGIN")
        try:
            is_empty = _check_owner(connection, path)
        finally:
            connection.execute("ROLLBACK")
        if path is not None:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        if is_empty:
            _create(connection, path)
        if _version(connection) < SCHEMA_VERSION:
            _migrate(connection, path)
        on_error.pop_all()
        return connection


def backup_path(path: Path, version: int) -> Path:
    """Where a file is kept as it was before it was migrated from schema `version`."""
    return path.with_name(f"{path.name}.v{version}.bak")


def copy_database(connection: sqlite3.Connection, path: Path) -> None:
    """Copy a database to a file of its own, which appears when it is complete.

    Copies of one state are equal byte for byte, also if one of them was made from the other.

    Args:
        connection: The database, outside transactions; others may use it meanwhile.
        path: The file; one that is there already is replaced.

    Raises:
        MemoryFileError: The file cannot be written.
    """
    check_path(path)
    partial = path.with_name(f"memedit-{uuid4().hex}.partial")
    with translated_errors(path), ExitStack() as on_error:
        make_private(partial)
        on_error.callback(partial.unlink)
        # Writes what is in use and nothing that was deleted; others go on writing meanwhile.
        connection.execute("VACUUM INTO ?", (str(partial),))
        with closing(sqlite3.connect(partial, isolation_level=None)) as copy:
            # SQLite counts how often the tables were laid out anew: equal states are to be equal bytes.
            copy.execute("PRAGMA schema_version = 1")
        on_error.pop_all()
        partial.replace(path)


def check_path(path: Path) -> None:
    """Refuse a path at which no memory can be read and written.

    Raises:
        MemoryFileError: It is a folder, in no folder or in one that is closed to us, read-only, or too
            short to be a database.
    """
    try:
        _check_place(path)
    except MemoryFileError:
        raise
    except OSError as error:  # where a folder may not be looked into, or the name is too long
        raise MemoryFileError(f"{describe(path)} cannot be opened: {error.strerror}") from None


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise MemoryFileError(f"{describe(path)} is a folder; expected a file")
    if not path.parent.is_dir():
        raise MemoryFileError(f"{describe(path)} cannot be made: its folder does not exist")
    # SQLite would open such a file for reading and fail at the first write only.
    for needed in (path, path.parent):
        if needed.exists() and not os.access(needed, os.W_OK):
            raise MemoryFileError(f"{describe(path)} cannot be written: {needed} is read-only")
    # SQLite takes a file of one byte for an empty database and would overwrite it.
    if path.exists() and 0 < path.stat().st_size < _SQLITE_HEADER_BYTES:
        raise MemoryFileError(f"{describe(path)} is not a memedit memory")


def check_absent(path: Path) -> None:
    """Refuse a path at which there is a memory, or the log of one: SQLite would replay it into the new file.

    Raises:
        MemoryFileError: There is.
    """
    if path.exists():
        raise MemoryFileError(f"{describe(path)} exists already; expected the path of a new file")
    check_no_log(path)


def check_no_log(path: Path) -> None:
    """Refuse a path beside which there is the log of a memory that is open or was cut off.

    Raises:
        MemoryFileError: There is.
    """
    for log in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-journal")):
        if log.exists():
            raise MemoryFileError(
                f"{describe(path)} cannot be made beside {log.name!r}, the log of another; expected the path of a "
                "new file"
            )


def make_private(path: Path) -> None:
    """Make an empty file, unless there is one: what SQLite makes itself, others may read."""
    if path.exists():
        return
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, _OWNER_ONLY))
    except OSError as error:
        raise MemoryFileError(f"{describe(path)} cannot be made: {error.strerror}") from None


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _check_owner(connection: sqlite3.Connection, path: Path | None) -> bool:
    """Whether the database is still empty; raises if it belongs to someone else."""
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = _version(connection)
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application_id == 0 and tables == 0:
        return True
    if application_id != APPLICATION_ID:
        raise MemoryFileError(f"{describe(path)} is not a memedit memory but another program's SQLite database")
    if version > SCHEMA_VERSION:
        raise MemoryFileError(
            f"{describe(path)} was written by a newer memedit (schema {version}, this one reads "
            f"up to {SCHEMA_VERSION}); install a newer memedit"
        )
    if version < 1:
        raise MemoryFileError(f"{describe(path)} is damaged: it names no schema; restore it from a backup")
    return False


def _create(connection: sqlite3.Connection, path: Path | None) -> None:
    with _exclusively(connection):
        # Another process may have created the tables while this one waited.
        if _check_owner(connection, path):
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _migrate(connection: sqlite3.Connection, path: Path | None) -> None:
    with _exclusively(connection):
        # Another process may have migrated the file while this one waited.
        version = _version(connection)
        if version == SCHEMA_VERSION:
            return
        if path is not None:
            with closing(sqlite3.connect(path)) as reader:
                copy_database(reader, backup_path(path, version))
        for step in range(version, SCHEMA_VERSION):
            MIGRATIONS[step](connection)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    logger.info("%s was migrated from schema %d to %d", describe(path), version, SCHEMA_VERSION)


@contextmanager
def _exclusively(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction that keeps other writers out from its beginning."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.rollback()
