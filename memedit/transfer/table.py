"""Edits as a CSV table: its cells, and the fields of an edit in them.

A reader and a writer of our own for RFC 4180, since those of the standard library refuse cells of
128 KiB unless a setting of the whole process is changed, and quietly accept broken quotation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from memedit.edits import Edit
from memedit.errors import DatasetError, InvalidEditError
from memedit.transfer.formats import DEFAULTS, GIVEN_BY_MEMORY, content, read_content
from memedit.transfer.records import Record, RecordError, no_utf8, read_text

SEPARATOR = "|"
"""Stands between the items of a list in one cell; a backslash before it makes it part of an item."""

_QUOTED = re.compile(r'"([^"]*(?:""[^"]*)*)"')
_PLAIN = re.compile(r'[^",\r\n]*')
_LINE_END = re.compile(r"\r\n|\r|\n|\Z")
_NEEDS_QUOTES = re.compile(r'[",\r\n]|^\s|\s\Z')
_ITEM = re.compile(r"(?:[^|\\]+|\\[|\\]|\\)*")


def write_table(edits: Iterable[Edit]) -> str:
    """A table with a row for the names of the fields and one for each edit."""
    rows = [list(DEFAULTS)]
    for edit in edits:
        values = content(edit)
        rows.append([_cell(values[name]) if name in values else "" for name in DEFAULTS])
    return "".join(",".join(map(_quoted, row)) + "\n" for row in rows)


def scan_table(path: Path) -> Iterator[tuple[int, Edit] | RecordError]:
    """The edits of a table with the lines on which their rows begin; bad rows as their errors.

    Raises:
        DatasetError: The file cannot be read, the row of names is missing or wrong, or quotation
            marks are not in pairs: where later rows begin cannot be known.
    """
    rows = _rows(path, read_text(path))
    names = _checked_names(path, next(rows, (1, []))[1])
    for line, cells in rows:
        try:
            yield line, _edit(names, cells)
        except InvalidEditError as error:
            yield RecordError(f"{path}, line {line}", line, str(error))


def read_table(path: Path) -> Iterator[Record]:
    """The rows of any table as records, with the names in its first row; every value is a text.

    Raises:
        DatasetError: The file cannot be read, quotation marks are not in pairs, or a row has not as
            many cells as there are names or is no UTF-8.
    """
    rows = _rows(path, read_text(path))
    names = next(rows, (1, []))[1]
    for number, (line, cells) in enumerate(rows, start=1):
        record = Record(path, number, dict(zip(names, cells, strict=False)), line=line)
        if len(cells) != len(names):
            raise record.error(f"expected {len(names)} cells, got {len(cells)}")
        if any(map(no_utf8, cells)):
            raise record.error("is not UTF-8 text")
        yield record


def _checked_names(path: Path, names: list[str]) -> list[str]:
    known = (*DEFAULTS, *GIVEN_BY_MEMORY)
    found = [name.strip() for name in names]
    wrong = [name for name in found if name not in known or found.count(name) > 1]
    if wrong or not {"prompt", "target"} <= set(found):
        detail = f"{wrong[0][:60]!r} is unknown or there twice" if wrong else "prompt and target are needed"
        raise DatasetError(
            f"{path}, line 1: expected the names of columns, separated by commas, among {', '.join(DEFAULTS)}; {detail}"
        )
    return found


def _edit(names: list[str], cells: list[str]) -> Edit:
    if len(cells) != len(names):
        raise InvalidEditError(f"expected {len(names)} cells, got {len(cells)}")
    if any(map(no_utf8, cells)):
        raise InvalidEditError("is not UTF-8 text")
    pairs = zip(names, cells, strict=True)
    return read_content({name: _value(name, cell) for name, cell in pairs if cell and name in DEFAULTS})


def _value(name: str, cell: str) -> Any:
    """A cell as the JSON value of its field."""
    default = DEFAULTS[name]
    if isinstance(default, list):
        return _items(cell)
    if not isinstance(default, Mapping | int | float):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidEditError(f"{name} must be JSON: {reason}") from None


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return SEPARATOR.join(item.replace("\\", "\\\\").replace(SEPARATOR, "\\" + SEPARATOR) for item in value)
    return json.dumps(value, ensure_ascii=False)


def _items(cell: str) -> list[str]:
    found, position = [], 0
    while position <= len(cell):
        match = _ITEM.match(cell, position)
        assert match is not None  # it matches nothing, too
        found.append(re.sub(r"\\([|\\])", r"\1", match.group()))
        position = match.end() + len(SEPARATOR)
    return found


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if _NEEDS_QUOTES.search(cell) else cell


def _rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row that is not blank, with the line on which it begins."""
    position, line = 0, 1
    while position < len(text):
        start, cells = position, []
        while True:
            cell, position = _next_cell(path, line, text, position)
            cells.append(cell)
            if not text.startswith(",", position):
                break
            position += 1
        end = _LINE_END.match(text, position)
        if end is None:
            raise DatasetError(f"{path}, row of line {line}: expected a comma or the line's end beside quotation marks")
        position = end.end()
        if cells != [""]:
            yield line, cells
        row = text[start:position]
        line += row.count("\n") + len(re.findall("\r(?!\n)", row))


def _next_cell(path: Path, line: int, text: str, position: int) -> tuple[str, int]:
    if text.startswith('"', position):
        match = _QUOTED.match(text, position)
        if match is None:
            raise DatasetError(f"{path}, row of line {line}: a quotation mark is opened and never closed")
        return match.group(1).replace('""', '"'), match.end()
    match = _PLAIN.match(text, position)
    assert match is not None  # it matches nothing, too
    return match.group(), match.end()
