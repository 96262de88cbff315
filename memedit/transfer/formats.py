"""The formats of edit files, and an edit's fields as they stand in them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from memedit.edits import Edit
from memedit.errors import DatasetError, InvalidEditError


class EditFormat(StrEnum):
    """How a file holds edits."""

    JSONL = "jsonl"
    """memedit's own: a line that names format and version, then one edit per line."""
    CSV = "csv"
    """A table with one column per field."""
    COUNTERFACT = "counterfact"
    """CounterFact's records, in the authors' form or EasyEdit's reduced one; read only."""
    ZSRE = "zsre"
    """zsRE's records; read only."""
    KNOWEDIT = "knowedit"
    """KnowEdit's records, WikiBio's included; read only."""

    @classmethod
    def of(cls, name: str | None, path: Path) -> EditFormat:
        """The format of that name; without a name CSV for a file named `….csv`, else JSONL.

        Raises:
            DatasetError: There is no such format.
        """
        if name is None:
            return cls.CSV if path.suffix.lower() == ".csv" else cls.JSONL
        try:
            return cls(name)
        except ValueError:
            raise DatasetError(f"format must be one of {', '.join(cls)}, got {name!r}") from None


GIVEN_BY_MEMORY = ("id", "created_at", "revision")
"""Fields of an edit that a memory gives it: not written, and passed over when they are read."""

DEFAULTS: Mapping[str, Any] = {
    name: None if name in ("prompt", "target") else value
    for name, value in Edit(id="", prompt="-", target="-").to_dict().items()
    if name not in GIVEN_BY_MEMORY
}
"""The fields that a file holds, in their order, with the JSON values that need not be written."""


def content(edit: Edit) -> dict[str, Any]:
    """What a file holds of an edit: the JSON values of its fields that are not at their default."""
    values = edit.to_dict()
    return {name: _ordered(values[name]) for name, default in DEFAULTS.items() if values[name] != default}


def read_content(values: Mapping[str, Any]) -> Edit:
    """An edit, without id and revision, from the JSON values of its fields.

    A field that is null counts as not given.

    Raises:
        InvalidEditError: A field is missing, unknown or invalid.
    """
    given = {name: value for name, value in values.items() if name not in GIVEN_BY_MEMORY and value is not None}
    for name, value in given.items():
        if name not in DEFAULTS:
            raise InvalidEditError(f"an edit has no field {name!r}; these are: {', '.join(DEFAULTS)}")
        if isinstance(DEFAULTS[name], list) and not isinstance(value, list):
            raise InvalidEditError(f"{name} must be a list of strings, got {type(value).__name__}")
    return Edit.from_dict({**given, "id": ""})


def _ordered(value: Any) -> Any:
    """The value with the keys of its objects in alphabetical order: equal edits give equal bytes."""
    if isinstance(value, Mapping):
        return {name: _ordered(value[name]) for name in sorted(value)}
    return [_ordered(item) for item in value] if isinstance(value, list) else value
