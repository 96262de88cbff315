"""Edits as JSON Lines, memedit's own format, and as the records of benchmarks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from memedit.edits import Edit
from memedit.errors import DatasetError, InvalidEditError
from memedit.transfer.facts import Fact, read_fact
from memedit.transfer.formats import EditFormat, content, read_content
from memedit.transfer.records import FORMAT_NAME, VERSION, Record, RecordError, is_header, scan_records, shown


def write_lines(edits: Iterable[Edit]) -> str:
    """A line that names format and version, then one JSON object per edit."""
    values = [{"format": FORMAT_NAME, "version": VERSION}, *map(content, edits)]
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


def scan_lines(path: Path) -> Iterator[tuple[int, Edit] | RecordError | None]:
    """The edits of a JSON Lines file or a JSON list with the lines on which they begin.

    A file without the line that names the format is taken for version 1: so wrote memedit before
    it had versions. The line may come again, so that files can be put behind each other.

    Yields:
        An edit, the error of a bad record, or None for a line that names the format.

    Raises:
        DatasetError: The file cannot be read, or is of another format or a newer version.
    """
    for found in scan_records(path):
        if isinstance(found, RecordError):
            yield found
        elif is_header(found):
            yield None
        elif "format" in found.values and "prompt" not in found.values:
            name = shown(found.values["format"])
            raise DatasetError(f"{path}, line {found.line}: expected format {FORMAT_NAME!r}, got {name}")
        else:
            yield _edit(found)


def scan_facts(path: Path, form: EditFormat) -> Iterator[tuple[int, Edit] | RecordError | str]:
    """The edits of a benchmark's file with the lines on which they begin.

    Yields:
        An edit, the error of a bad record, or in a word why a good record is of no use.

    Raises:
        DatasetError: The file cannot be read.
    """
    for found in scan_records(path):
        if isinstance(found, RecordError):
            yield found
            continue
        try:
            fact = read_fact(found, form)
        except RecordError as error:
            yield error
            continue
        if isinstance(fact, Fact):
            values = {"prompt": fact.prompt, "target": fact.target, "subject": fact.subject}
            yield _edit(Record(found.path, found.row, values, line=found.line))
        else:
            yield fact


def _edit(record: Record) -> tuple[int, Edit] | RecordError:
    try:
        return record.line, read_content(record.values)
    except InvalidEditError as error:
        return record.error(str(error))
    except RecursionError:
        return record.error("its values are nested too deeply")
