"""`Edit`: one thing the model is to answer differently, as a value that never changes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from memedit.errors import InvalidEditError

MAX_TEXT_LENGTH = 8_192
MAX_METADATA_DEPTH = 20
DEFAULT_NAMESPACE = "default"
_INSTANTS = ("valid_from", "valid_until", "created_at")


class EditKind(StrEnum):
    """What an edit does to the answer of an in-scope query."""

    MODIFY = "modify"
    """The base has an answer; another one is to be given."""
    INSERT = "insert"
    """The base knows nothing; an answer is supplied."""
    ERASE = "erase"
    """The base's answer is not to be given; `target` holds the refusal."""


@dataclass(frozen=True, slots=True)
class Edit:
    """To `prompt`, and to everything that means the same, answer `target`.

    Edits are values: to change one, store a new revision with `EditMemory.update`. They compare
    by all fields and hash by all but `metadata`, of which they keep a copy of their own.

    Attributes:
        id: Identifier given by the memory; never derived from the text.
        prompt: The query in the user's words; not blank, at most `MAX_TEXT_LENGTH` characters.
        target: The answer to give (for `EditKind.ERASE`: the refusal); same limits as `prompt`.
        kind: Whether the edit modifies, inserts or erases.
        subject: The entity the edit speaks about, where the user named it.
        aliases: Other wordings of `prompt`, also searched.
        namespace: Edits of one namespace never answer queries of another.
        valid_from: First instant (timezone-aware) at which the edit applies; None for always.
        valid_until: Instant from which it no longer applies; None for never.
        metadata: JSON-compatible values that belong to the user; finite numbers only.
        created_at: When the edit was first stored (UTC).
        revision: The memory's revision at which this state of the edit was written; 0 before.
    """

    id: str
    prompt: str
    target: str
    kind: EditKind = EditKind.MODIFY
    subject: str | None = None
    aliases: tuple[str, ...] = ()
    namespace: str = DEFAULT_NAMESPACE
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    revision: int = 0

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            InvalidEditError: A field is blank, too long, of the wrong type or contradicts another.
        """
        _check_text("prompt", self.prompt)
        _check_text("target", self.target)
        if self.subject is not None:
            _check_text("subject", self.subject)
        aliases: object = self.aliases
        if isinstance(aliases, str) or not isinstance(aliases, Iterable):
            raise InvalidEditError(f"aliases must be several strings, got {aliases!r}")
        object.__setattr__(self, "aliases", tuple(self.aliases))
        for alias in self.aliases:
            _check_text("alias", alias)
        _check_text("namespace", self.namespace)
        try:
            object.__setattr__(self, "kind", EditKind(self.kind))
        except ValueError:
            kinds = ", ".join(kind.value for kind in EditKind)
            raise InvalidEditError(f"kind must be one of {kinds}, got {self.kind!r}") from None
        for name in _INSTANTS:
            _check_instant(name, getattr(self, name), optional=name != "created_at")
        if self.valid_from and self.valid_until and self.valid_from >= self.valid_until:
            raise InvalidEditError(
                f"valid_from must be before valid_until, got {self.valid_from} and {self.valid_until}"
            )
        if not isinstance(self.metadata, Mapping):
            raise InvalidEditError(f"metadata must be a mapping, got {type(self.metadata).__name__}")
        object.__setattr__(self, "metadata", _json_copy("metadata", self.metadata))

    @property
    def wordings(self) -> tuple[str, ...]:
        """The prompt and its aliases: every text under which the edit can be found."""
        return (self.prompt, *self.aliases)

    @property
    def statement(self) -> str:
        """Prompt and target as one line of text, the form in which a model reads the edit."""
        return f"{self.prompt.strip()} {self.target.strip()}"

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values, instants in ISO 8601; `from_dict` gives back an equal edit."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        values["kind"] = self.kind.value
        values["aliases"] = list(self.aliases)
        values["metadata"] = _json_copy("metadata", self.metadata)
        for name in _INSTANTS:
            values[name] = values[name] and values[name].isoformat()
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Edit from the JSON form that `to_dict` gives.

        Args:
            values: At least `id`, `prompt` and `target`; instants as ISO 8601 strings.

        Raises:
            InvalidEditError: A field is missing, unknown or invalid.
        """
        names = {item.name for item in fields(cls)}
        if unknown := sorted(set(values) - names):
            raise InvalidEditError(f"an edit has no field {unknown[0]!r}")
        if missing := sorted({"id", "prompt", "target"} - set(values)):
            raise InvalidEditError(f"an edit needs the field {missing[0]!r}")
        read = dict(values)
        for name in _INSTANTS:
            if read.get(name) is not None:
                read[name] = _read_instant(name, read[name])
        return cls(**read)

    def is_valid_at(self, instant: datetime) -> bool:
        """Whether the edit applies at `instant` (timezone-aware)."""
        if self.valid_from is not None and instant < self.valid_from:
            return False
        return self.valid_until is None or instant < self.valid_until


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidEditError(f"{name} must be a string, got {type(value).__name__}")
    if not value.strip():
        raise InvalidEditError(f"{name} must not be empty, got {value!r}")
    if len(value) > MAX_TEXT_LENGTH:
        raise InvalidEditError(f"{name} may have {MAX_TEXT_LENGTH} characters, got {len(value)}")
    if "\x00" in value:
        raise InvalidEditError(f"{name} must not contain null characters")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidEditError(f"{name} must be valid Unicode, got a lone surrogate")


def _check_instant(name: str, value: object, *, optional: bool) -> None:
    if value is None and optional:
        return
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InvalidEditError(f"{name} must be a timezone-aware datetime, got {value!r}")


def _read_instant(name: str, value: object) -> datetime:
    if not isinstance(value, str):
        raise InvalidEditError(f"{name} must be an ISO 8601 string, got {value!r}")
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise InvalidEditError(f"{name} must be an ISO 8601 string, got {value!r}") from None


def _json_copy(name: str, value: object, depth: int = 0) -> object:
    """Copy of `value` made of plain dicts and lists, equal to what JSON would give back."""
    if depth > MAX_METADATA_DEPTH:
        raise InvalidEditError(f"metadata may be nested {MAX_METADATA_DEPTH} levels deep, got more")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidEditError(f"{name} may hold finite numbers only, got {value}")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise InvalidEditError(f"{name} keys must be strings, got {key!r}")
        return {key: _json_copy(f"{name}[{key!r}]", item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_copy(name, item, depth + 1) for item in value]
    if not isinstance(value, str | int | float | bool | None):
        raise InvalidEditError(f"{name} must be JSON-compatible, got {type(value).__name__}")
    return value
