"""From what a caller gives to a checked `Edit` that is not stored yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from memedit.edits import Edit, EditKind
from memedit.errors import InvalidEditError
from memedit.memory.wordings import prompt_key

_GIVEN_BY_MEMORY = ("id", "created_at", "revision")
WRITABLE = tuple(item.name for item in fields(Edit) if item.name not in _GIVEN_BY_MEMORY)
"""The fields of an edit that a caller may set."""


def draft_edit(values: Mapping[str, Any]) -> Edit:
    """An edit made of a caller's fields, still without id and revision.

    Args:
        values: `prompt`, `target`, and any other of `WRITABLE`; `metadata` may be None.

    Raises:
        InvalidEditError: A field is missing, unknown or invalid.
    """
    if not isinstance(values, Mapping):
        raise InvalidEditError(f"expected a mapping with prompt and target, got {type(values).__name__}")
    _check_names(values)
    for name in ("prompt", "target"):
        if name not in values:
            raise InvalidEditError(f"an edit needs the field {name!r}")
    return Edit(id="", **_with_metadata(values))


def changed_edit(edit: Edit, changes: Mapping[str, Any]) -> Edit:
    """`edit` with some fields replaced.

    Raises:
        InvalidEditError: A field is unknown or invalid, or the refusal is the answer (see `check_refusal`).
    """
    _check_names(changes)
    changed = replace(edit, **_with_metadata(changes))
    check_refusal(edit, changed)
    return changed


def check_refusal(before: Edit, after: Edit) -> None:
    """Check that an edit which begins to erase does not give the old answer as its refusal.

    Raises:
        InvalidEditError: It does, for instance because only the kind was changed.
    """
    begins = after.kind is EditKind.ERASE and before.kind is not EditKind.ERASE
    if begins and prompt_key(after.target) == prompt_key(before.target):
        raise InvalidEditError("an edit that is to erase needs a refusal as its target, got the answer it held")


def _check_names(values: Mapping[str, Any]) -> None:
    for name in values:
        if name not in WRITABLE:
            raise InvalidEditError(f"{name!r} is not a field that can be set; these are: {', '.join(WRITABLE)}")


def _with_metadata(values: Mapping[str, Any]) -> dict[str, Any]:
    is_none = "metadata" in values and values["metadata"] is None
    return {**values, "metadata": {}} if is_none else dict(values)
