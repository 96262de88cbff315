"""Copies of a memory that can be compared byte for byte, shipped, and opened without being altered."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from memedit.errors import MemeditError, MemoryFileError
from memedit.memory.edit_memory import EditMemory
from memedit.memory.encoding import TextEncoder
from memedit.memory.file_errors import describe
from memedit.memory.schema import check_absent, check_no_log, make_private
from memedit.memory.sqlite import SQLiteStore
from memedit.memory.store import Action


def write_copy(memory: EditMemory, path: Path, *, history: bool = True) -> None:
    """Copy all edits, their vectors and their history into one file, while the memory is in use.

    Copies of one state are equal byte for byte, also if one of them was made from the other.

    Args:
        memory: The memory, in a file or in RAM.
        path: Where the copy goes; a file that is there is replaced.
        history: Whether to copy removed edits and former states too. Without them nothing of their
            texts is in the file; each edit is then written as new, at the revision of its last change.

    Raises:
        MemoryFileError: The memory cannot be read, the file not be written, or there is the log of a memory beside it,
            which SQLite would replay into the new one.
    """
    check_no_log(path)
    try:
        with TemporaryDirectory(dir=path.parent) as folder:
            whole, current = Path(folder) / "whole.db", Path(folder) / "current.db"
            memory.backup(whole)
            if not history:
                _write_current(whole, current)
            (whole if history else current).replace(path)
    except MemeditError:
        raise
    except OSError as error:
        raise MemoryFileError(f"{describe(path)} cannot be written: {error.strerror}") from None


def open_copy(path: Path, encoder: TextEncoder, target: Path | None = None) -> EditMemory:
    """A memory with the edits of a copy; nothing is encoded, and the copy stays as it is.

    Args:
        path: What `write_copy` wrote; it may lie where nothing can be written.
        encoder: The encoder that made its vectors.
        target: New file in which the edits are to live on; None keeps them in RAM.

    Raises:
        MemoryFileError: `path` is missing or is not a memory, or `target` cannot be made.
        EncoderMismatchError: The vectors are another encoder's.
    """
    if not path.is_file():
        raise MemoryFileError(f"{describe(path)} does not exist")
    if target is None:
        return EditMemory(None, encoder, store=SQLiteStore.in_ram(path))
    check_absent(target)
    # It appears when it is whole: a part of it, or nothing, would pass for a memory.
    partial = target.with_name(f"memedit-{uuid4().hex}.partial")
    try:
        make_private(partial)
        shutil.copyfile(path, partial)
        partial.rename(target)
    except OSError as error:
        raise MemoryFileError(f"{describe(target)} cannot be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
    try:
        return EditMemory(target, encoder)
    except BaseException:
        target.unlink()
        raise


def _write_current(source: Path, target: Path) -> None:
    """Write the current edits of a memory file, and nothing else of it, into a new one."""
    with closing(SQLiteStore(source)) as old, closing(SQLiteStore(None)) as new:
        with new.transaction():
            if old.encoder is not None:
                new.stamp(old.encoder)
            vectors = {entry.edit_id: entry.vectors for entry in old.entries()}
            # By their last change, because of edits that contradict each other the newer one answers.
            for edit in sorted(old.edits(), key=lambda edit: edit.revision):
                # With the revisions that they had: by these what was learned of an edit is known to be of this state.
                new.append(Action.ADDED, edit, vectors[edit.id], revision=edit.revision)
        new.backup(target)
