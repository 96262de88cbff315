"""`export_edits`: the edits of a memory as a file that another memory takes back."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from memedit.edits import Edit
from memedit.errors import DatasetError, MemoryFileError
from memedit.transfer.formats import EditFormat
from memedit.transfer.lines import write_lines
from memedit.transfer.table import write_table

if TYPE_CHECKING:  # the memory loads its index, which a reader of files does not need
    from memedit.memory.reading import EditCollection

_WRITERS = {EditFormat.JSONL: write_lines, EditFormat.CSV: write_table}


def export_edits(
    memory: EditCollection,
    path: str | Path,
    *,
    format: str | None = None,
    namespace: str | None = None,
) -> int:
    """Write the edits of a memory to a file.

    What a user can set is written, so that memories that hold the same edits in the same order
    give the same bytes; ids, instants of creation and revisions are not. An existing file is
    replaced only when the new one is complete.

    Args:
        memory: Where the edits are: a memory, or what it was at a revision (`EditMemory.at`).
        path: The file to write.
        format: "jsonl" or "csv"; None for CSV if the file is named `….csv`, else JSONL.
        namespace: Write only the edits of this one; None for all.

    Returns:
        How many edits were written.

    Raises:
        DatasetError: The format cannot be written.
        MemoryFileError: The file cannot be written.
    """
    edits = memory.list(namespace)
    write_file(Path(path), format_edits(edits, EditFormat.of(format, Path(path))))
    return len(edits)


def format_edits(edits: Iterable[Edit], format: EditFormat) -> str:
    """The text of a file with these edits, the one that was changed last at the end.

    In that order, since between edits that contradict each other the newer one counts: an import
    stores them one after the other.

    Raises:
        DatasetError: The format cannot be written.
    """
    if format not in _WRITERS:
        raise DatasetError(f"edits can be written as {' or '.join(_WRITERS)}, not as {format}")
    return _WRITERS[format](newest_last(edits))


def newest_last(edits: Iterable[Edit]) -> list[Edit]:
    """Edits in the order of their last change, in which an import stores them."""
    return sorted(edits, key=lambda edit: edit.revision)


def write_file(path: Path, text: str) -> None:
    """Write a whole file or leave the old one.

    Raises:
        MemoryFileError: It cannot be written.
    """
    data = text.encode()
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)  # a device or a pipe; a folder refuses
            return
        target = path.resolve()
        part = target.with_name(f"memedit-{uuid4().hex}.part")
        try:
            with part.open("xb") as file:
                if target.exists():  # who may not read the old file may not read the new one
                    part.chmod(stat.S_IMODE(target.stat().st_mode))
                file.write(data)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise MemoryFileError(f"cannot write {path}: {error.strerror}") from None
