"""`import_edits`: a file's edits into a memory, all of them checked before the first is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from memedit.edits import Edit
from memedit.errors import DatasetError
from memedit.transfer.formats import DEFAULTS, EditFormat
from memedit.transfer.lines import scan_facts, scan_lines
from memedit.transfer.records import RecordError
from memedit.transfer.table import scan_table

if TYPE_CHECKING:  # the memory loads its index, which a reader of files does not need
    from memedit.memory import EditMemory
    from memedit.memory.contradictions import OnContradiction

_LONGEST_REASON = 300
_SHOWN_ROWS = 3


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row of a file that is no edit.

    Attributes:
        line: Line of the file on which it begins, from 1.
        reason: What was expected and what came.
    """

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class EditFile:
    """What a file holds.

    Attributes:
        path: The file.
        edits: The good rows in the order of the file, without ids and revisions.
        bad: The other ones in the order of the file.
        left_out: Number of records without an edit, by reason: zsRE holds such whose new answer is
            blank or the true one.
    """

    path: Path
    edits: Sequence[Edit]
    bad: Sequence[BadRow] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did.

    Attributes:
        stored: The edits as stored, in the order of the file.
        bad: The rows that were skipped.
        left_out: See `EditFile`.
    """

    stored: Sequence[Edit]
    bad: Sequence[BadRow] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)


class BadRowsError(DatasetError):
    """A file that was to be imported has bad rows; nothing was stored.

    Attributes:
        bad: All of them.
    """

    def __init__(self, path: Path, bad: Sequence[BadRow]) -> None:
        listed = "; ".join(f"line {row.line}: {row.reason}" for row in bad[:_SHOWN_ROWS])
        more = f"; and {len(bad) - _SHOWN_ROWS} more" if len(bad) > _SHOWN_ROWS else ""
        super().__init__(f"{path}: {len(bad)} bad {'row' if len(bad) == 1 else 'rows'}: {listed}{more}")
        self.bad = bad


def read_edits(path: str | Path, *, format: str | None = None) -> EditFile:
    """Read and check a whole file of edits without storing any.

    Args:
        path: The file, in UTF-8.
        format: One of `EditFormat`; None for CSV if the file is named `….csv`, else JSONL.

    Returns:
        Its edits, and every row that is none with its line.

    Raises:
        DatasetError: The file cannot be read, is of another format or a newer version, breaks off
            so that its rows cannot be told apart, or is empty.
    """
    file = Path(path)
    form = EditFormat.of(format, file)
    scan = {EditFormat.JSONL: scan_lines, EditFormat.CSV: scan_table}.get(form)
    edits: list[Edit] = []
    bad: list[BadRow] = []
    left_out: Counter[str] = Counter()
    is_empty = True
    for found in scan_facts(file, form) if scan is None else scan(file):
        is_empty = False
        if isinstance(found, RecordError):
            bad.append(BadRow(found.line, _short(found.reason)))
        elif isinstance(found, str):
            left_out[found] += 1
        elif found is not None:
            edits.append(found[1])
    if is_empty and form is not EditFormat.CSV:
        raise DatasetError(f"{file} is empty: it holds no edits")
    return EditFile(file, edits, bad, dict(left_out))


def import_edits(
    memory: EditMemory,
    path: str | Path,
    *,
    format: str | None = None,
    skip_bad: bool = False,
    namespace: str | None = None,
    on_contradiction: OnContradiction = "newest",
    progress: bool = False,
) -> ImportReport:
    """Store the edits of a file, in one transaction, after all of them were checked.

    An edit whose prompt its namespace holds already takes that edit's place, as with
    `EditMemory.add`; of two such rows of one file the later one counts.

    Args:
        memory: Where to store them.
        path: The file.
        format: See `read_edits`.
        skip_bad: Whether to store the good rows of a file that has bad ones.
        namespace: Where to store every edit; None for the namespaces that the file names.
        on_contradiction: What to do with an edit that gives another answer than a stored one; see
            `EditMemory.add`. With "refuse" nothing at all is stored.
        progress: Whether to show a progress bar on stderr.

    Returns:
        The edits as stored, and the rows that were skipped.

    Raises:
        BadRowsError: The file has bad rows and `skip_bad` is False; nothing was stored.
        DatasetError: The file cannot be read (see `read_edits`); nothing was stored.
        InvalidEditError: `namespace` is invalid, or the memory refused an edit; nothing was stored.
        MemoryFileError: The memory could not be written; nothing was stored.
    """
    found = read_edits(path, format=format)
    return store_edits(
        memory, found, skip_bad=skip_bad, namespace=namespace, on_contradiction=on_contradiction, progress=progress
    )


def store_edits(
    memory: EditMemory,
    found: EditFile,
    *,
    skip_bad: bool = False,
    namespace: str | None = None,
    on_contradiction: OnContradiction = "newest",
    progress: bool = False,
) -> ImportReport:
    """The second half of `import_edits`: store what `read_edits` gave.

    Raises:
        BadRowsError: See `import_edits`, also for the others.
        InvalidEditError: See there.
        MemoryFileError: See there.
    """
    if found.bad and not skip_bad:
        raise BadRowsError(found.path, found.bad)
    edits = found.edits if namespace is None else [replace(edit, namespace=namespace) for edit in found.edits]
    items = [{name: getattr(edit, name) for name in DEFAULTS} for edit in edits]
    stored = memory.add_many(items, progress=progress, on_contradiction=on_contradiction)
    return ImportReport(stored, found.bad, found.left_out)


def _short(reason: str) -> str:
    return reason if len(reason) <= _LONGEST_REASON else reason[: _LONGEST_REASON - 1] + "…"
