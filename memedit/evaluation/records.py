"""JSON and JSON Lines files read record by record, with errors that name the record."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memedit.errors import DatasetError
from memedit.evaluation.cases import Probe


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a data file.

    Attributes:
        path: The file.
        row: Number of the record in it, from 1.
        values: Its fields.
        where: Names of the fields that enclose it, with a final dot; empty at the top.
    """

    path: Path
    row: int
    values: Mapping[str, Any]
    where: str = ""

    def text(self, name: str) -> str:
        """The field as a string that is not blank.

        Raises:
            DatasetError: The field is missing, blank or no string.
        """
        value = self.values.get(name)
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"{self.where}{name} must be a text, got {_shown(value)}")
        return value.strip()

    def texts(self, name: str) -> tuple[str, ...]:
        """The field as strings, whether it is missing, one string or a list; blank ones go."""
        return _flat(self.values.get(name), self, name)

    def answers(self, name: str) -> tuple[str, ...]:
        """The field as distinct accepted answers, however deeply its lists are nested."""
        return tuple(dict.fromkeys(self.texts(name)))

    def part(self, name: str) -> Record:
        """The field as a record of its own.

        Raises:
            DatasetError: The field is missing or no object.
        """
        value = self.values.get(name)
        if not isinstance(value, Mapping):
            raise self.error(f"{self.where}{name} must be an object, got {_shown(value)}")
        return Record(self.path, self.row, value, f"{self.where}{name}.")

    def probes(self, name: str) -> list[tuple[str, Probe]]:
        """The field as (kind, probe) pairs.

        Each kind holds one object with `prompt` and `ground_truth`, or a list of them. A list of
        prompts in one object takes its answers from the list of the same length beside it.

        Raises:
            DatasetError: The field is present but has another form.
        """
        if self.values.get(name) is None:
            return []
        found = []
        kinds = self.part(name)
        for kind, entries in kinds.values.items():
            for entry in entries if isinstance(entries, list) else [entries]:
                if not isinstance(entry, Mapping):
                    raise self.error(f"{name}.{kind} must hold objects, got {_shown(entry)}")
                record = Record(self.path, self.row, entry, f"{name}.{kind}.")
                found += [(kind, probe) for probe in record._entry_probes(kind)]
        return found

    def error(self, message: str) -> DatasetError:
        """A `DatasetError` that says where in the file the trouble is."""
        return DatasetError(f"{self.path}, record {self.row}: {message}")

    def _entry_probes(self, kind: str) -> list[Probe]:
        prompts, truth = self.values.get("prompt"), self.values.get("ground_truth")
        if not isinstance(prompts, list):
            return [Probe(self.text("prompt"), self.answers("ground_truth"), kind)]
        texts = self.texts("prompt")
        truths = [truth] * len(texts)
        if isinstance(truth, list) and len(truth) == len(texts):
            truths = truth
        return [
            Probe(text, _flat(answers, self, "ground_truth"), kind) for text, answers in zip(texts, truths, strict=True)
        ]


def read_records(path: Path) -> Iterator[Record]:
    """All records of a JSON file (a list of objects) or a JSON Lines file.

    Raises:
        DatasetError: The file cannot be read, is no JSON, or a record is no object.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not UTF-8 text: {error}") from None
    for row, values in enumerate(_parsed(path, text), start=1):
        if not isinstance(values, Mapping):
            raise DatasetError(f"{path}, record {row}: expected an object, got {_shown(values)}")
        yield Record(path, row, values)


def _parsed(path: Path, text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        try:
            values: list[Any] = json.loads(text)
        except json.JSONDecodeError as error:
            raise DatasetError(f"{path} is not valid JSON: {error}") from None
        return values
    lines = []
    # Not splitlines(): a string in JSON may hold U+2028 and its kin unescaped.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise DatasetError(
                f"{path}, line {number}: expected a JSON list or one JSON object per line, {error}"
            ) from None
    return lines


def _flat(value: object, record: Record, name: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value.strip(),) if value.strip() else ()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (str(value),)
    if isinstance(value, list):
        return tuple(text for item in value for text in _flat(item, record, name))
    raise record.error(f"{record.where}{name} must be a text or a list, got {_shown(value)}")


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
