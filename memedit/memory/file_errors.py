"""What went wrong with a memory's database, in one sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memedit.errors import InvalidEditError, MemeditError, MemoryFileError

_SENTENCES = {
    sqlite3.SQLITE_BUSY: "is locked by another process; try again when that has finished",
    sqlite3.SQLITE_LOCKED: "is locked by another process; try again when that has finished",
    sqlite3.SQLITE_READONLY: "cannot be written: it is read-only",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full",
    sqlite3.SQLITE_NOTADB: "is not a memedit memory",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore it from a backup",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the system reports an input/output error; check the disk or "
    "the network drive that the file is on, and look for damage with `memedit doctor`",
}
_PRIMARY = 0xFF
"""The part of an error code that tells the kind; the others tell the occasion."""


def describe(path: Path | None) -> str:
    """How error messages name the memory."""
    return "the memory in RAM" if path is None else f"memory file {str(path)!r}"


@contextmanager
def translated_errors(path: Path | None) -> Iterator[None]:
    """Turn errors of the database inside the block into one clear sentence (see `translated`)."""
    try:
        yield
    except (sqlite3.Error, UnicodeEncodeError) as error:
        # Without a cause, which may quote the text of an edit.
        raise translated(error, path) from None


def translated(error: sqlite3.Error | UnicodeEncodeError, path: Path | None) -> MemeditError:
    """What was raised when the database was asked, as a sentence about the memory or about what it was asked."""
    if isinstance(error, UnicodeEncodeError):
        return InvalidEditError("an id or a namespace must be valid Unicode, got a lone surrogate")
    code = getattr(error, "sqlite_errorcode", None)
    if code is None and isinstance(error, sqlite3.OperationalError):
        # Python's own; its message quotes the text.
        return MemoryFileError(
            f"{describe(path)} is damaged: a text in it cannot be read; `memedit doctor` tells whether that can be put "
            "right, else restore it from a backup"
        )
    sentence = _SENTENCES.get((code or 0) & _PRIMARY, f"cannot be used: {error}")
    return MemoryFileError(f"{describe(path)} {sentence}")
