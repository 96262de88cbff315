"""JSON and JSON Lines files read record by record, with errors that name the record."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memedit.errors import DatasetError

FORMAT_NAME = "memedit-edits"
"""Names memedit's own format in the line with which its files begin."""
VERSION = 1
"""Version of that format; a reader takes this one and all before it."""

_DEEPEST_LIST = 20
_LINE_END = re.compile(r"\r\n|\r|\n")
_NO_UTF8 = re.compile("[\ud800-\udfff]")
"""What `surrogateescape` leaves where bytes are no UTF-8; decoded text never holds it otherwise."""
_SPACES = re.compile(r"[ \t\r\n]*")
_TOO_DEEP = "its values are nested too deeply"


class RecordError(DatasetError):
    """One record of a data file does not have the form that was named.

    Attributes:
        line: Line of the file on which the record begins, from 1.
        reason: What was expected and what came, without the place.
    """

    def __init__(self, place: str, line: int, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a data file.

    Attributes:
        path: The file.
        row: Number of the record in it, from 1.
        values: Its fields.
        where: Names of the fields that enclose it, with a final dot; empty at the top.
        line: Line of the file on which it begins, from 1.
    """

    path: Path
    row: int
    values: Mapping[str, Any]
    where: str = ""
    line: int = 1

    def text(self, name: str) -> str:
        """The field as a string that is not blank.

        Raises:
            RecordError: The field is missing, blank or no string.
        """
        value = self.values.get(name)
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"{self.where}{name} must be a text, got {shown(value)}")
        return value.strip()

    def texts(self, name: str) -> tuple[str, ...]:
        """The field as strings, whether it is missing, one string or a list; blank ones go.

        Raises:
            RecordError: The field, or something in its lists, is neither text nor number.
        """
        return self._flat(name, self.values.get(name))

    def answers(self, name: str) -> tuple[str, ...]:
        """The field as distinct accepted answers, however its lists are nested."""
        return tuple(dict.fromkeys(self.texts(name)))

    def part(self, name: str) -> Record:
        """The field as a record of its own.

        Raises:
            RecordError: The field is missing or no object.
        """
        value = self.values.get(name)
        if not isinstance(value, Mapping):
            raise self.error(f"{self.where}{name} must be an object, got {shown(value)}")
        return Record(self.path, self.row, value, f"{self.where}{name}.", self.line)

    def parts(self, name: str) -> tuple[Record, ...]:
        """The field as records of their own, whether it is missing, one object or a list of them.

        Raises:
            RecordError: The field holds something that is no object.
        """
        value = self.values.get(name)
        entries = value if isinstance(value, list) else [] if value is None else [value]
        for entry in entries:
            if not isinstance(entry, Mapping):
                raise self.error(f"{self.where}{name} must hold objects, got {shown(entry)}")
        return tuple(
            Record(self.path, self.row, entry, f"{self.where}{name}{_nth(number, entries)}.", self.line)
            for number, entry in enumerate(entries, start=1)
        )

    def error(self, reason: str) -> RecordError:
        """An error that says where in the file the trouble is."""
        return RecordError(f"{self.path}, record {self.row}", self.line, reason)

    def _flat(self, name: str, value: object, depth: int = 0) -> tuple[str, ...]:
        if value is None:
            return ()
        if isinstance(value, str):
            return (value.strip(),) if value.strip() else ()
        if isinstance(value, int | float) and not isinstance(value, bool):
            return (str(value),)
        if not isinstance(value, list):
            raise self.error(f"{self.where}{name} must be a text or a list, got {shown(value)}")
        if depth == _DEEPEST_LIST:
            raise self.error(f"{self.where}{name}: {_TOO_DEEP}")
        return tuple(text for item in value for text in self._flat(name, item, depth + 1))


def read_records(path: Path) -> Iterator[Record]:
    """All records of a JSON file (a list of objects) or a JSON Lines file.

    The line with which memedit's own files begin is no record.

    Raises:
        DatasetError: The file cannot be read, is no JSON, or a record is no object.
    """
    for found in scan_records(path):
        if isinstance(found, RecordError):
            raise found
        if not is_header(found):
            yield found


def scan_records(path: Path) -> Iterator[Record | RecordError]:
    """As `read_records`, but a bad record is yielded as its error and the next ones follow.

    Raises:
        DatasetError: The file cannot be read, or a JSON list breaks off or has a syntax error:
            where its later records begin cannot be known.
    """
    text = read_text(path)
    values = _of_list(path, text) if text.lstrip().startswith("[") else _of_lines(path, text)
    for row, (line, value) in enumerate(values, start=1):
        if isinstance(value, RecordError):
            yield value
        elif isinstance(value, Mapping):
            yield Record(path, row, value, line=line)
        else:
            yield RecordError(f"{path}, record {row}", line, f"expected an object, got {shown(value)}")


def is_header(record: Record) -> bool:
    """Whether this is the line that names memedit's own format.

    Raises:
        DatasetError: It is, and the file was written by a newer memedit.
    """
    if record.values.get("format") != FORMAT_NAME or "prompt" in record.values:
        return False
    version = record.values.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DatasetError(f"{record.path}, line {record.line}: version must be an integer, got {shown(version)}")
    if version > VERSION:
        raise DatasetError(
            f"{record.path} was written by a newer memedit (format version {version}, this one reads up to "
            f"{VERSION}); install a newer memedit"
        )
    return True


def read_text(path: Path) -> str:
    """The file as text; bytes that are no UTF-8 become lone surrogates (see `no_utf8`).

    Raises:
        DatasetError: The file cannot be read, or is UTF-16.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise DatasetError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DatasetError(f"{path} is UTF-16; expected UTF-8 text")
    return data.decode("utf-8-sig", errors="surrogateescape")


def no_utf8(text: str) -> bool:
    """Whether this part of a file was no UTF-8."""
    return _NO_UTF8.search(text) is not None


def shown(value: object) -> str:
    """A value for an error message: short, whatever its size and depth."""
    return "nothing" if value is None else _SHORT.repr(value)


def _nth(number: int, entries: list[Any]) -> str:
    return f"[{number}]" if len(entries) > 1 else ""


def _of_lines(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    # Not splitlines(): a string in JSON may hold U+2028 and its kin unescaped.
    for number, line in enumerate(_LINE_END.split(text), start=1):
        if not line.strip():
            continue
        try:
            yield number, _no_utf8_error(path, number, line) or json.loads(line)
        except RecursionError:
            yield number, RecordError(f"{path}, line {number}", number, _TOO_DEEP)
        except ValueError as error:  # also a number of more digits than Python converts
            reason = f"expected a JSON list or one JSON object per line, {error}"
            yield number, RecordError(f"{path}, line {number}", number, reason)


def _of_list(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    """The items of a JSON list with the lines on which they begin."""
    decode = json.JSONDecoder().raw_decode
    position = _after_spaces(text, text.index("[") + 1)
    line, counted = 1, 0
    while not text.startswith("]", position):
        line, counted = line + text.count("\n", counted, position), position
        try:
            value, end = decode(text, position)
        except (ValueError, RecursionError) as error:
            reason = _TOO_DEEP if isinstance(error, RecursionError) else str(error)
            raise DatasetError(f"{path}, line {line} is not valid JSON: {reason}") from None
        yield line, _no_utf8_error(path, line, text[position:end]) or value
        position = _after_spaces(text, end)
        if text.startswith(",", position):
            position = _after_spaces(text, position + 1)
        elif not text.startswith("]", position):
            raise DatasetError(f"{path} is not valid JSON: expected a comma or ] after the item of line {line}")
    if _after_spaces(text, position + 1) != len(text):
        raise DatasetError(f"{path} is not valid JSON: expected nothing after the list")


def _after_spaces(text: str, position: int) -> int:
    match = _SPACES.match(text, position)
    return match.end() if match else position


def _no_utf8_error(path: Path, line: int, text: str) -> RecordError | None:
    return RecordError(f"{path}, line {line}", line, "is not UTF-8 text") if no_utf8(text) else None


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60
