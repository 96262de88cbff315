"""`Edit`: one thing the model is to answer differently, as a value that never changes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self, cast

from memedit.errors import InvalidEditError

MAX_TEXT_LENGTH = 8_192
MAX_ALIASES = 256
MAX_TAGS = 32
MAX_TAG_LENGTH = 64
MAX_METADATA_BYTES = 65_536
"""Size of an edit's metadata as JSON."""
MAX_METADATA_DEPTH = 20
MAX_INTEGER_BITS = 1024
"""Integers in metadata beyond this cannot be written as JSON numbers that others read."""
MAX_PRIORITY = 1_000_000
MAX_EDITOR_LENGTH = 64
MAX_REVISION = 2**63 - 1
DEFAULT_NAMESPACE = "default"
_SURROGATES = re.compile("[\ud800-\udfff]")
_EDITOR_NAME = re.compile("[a-z][a-z0-9_-]*")
_LONGEST_SHOWN = 60
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
        aliases: Other wordings of `prompt`, also searched; at most `MAX_ALIASES`.
        namespace: Edits of one namespace never answer queries of another.
        valid_from: First instant (timezone-aware) at which the edit applies; None for always.
        valid_until: Instant from which it no longer applies; None for never.
        metadata: JSON-compatible values that belong to the user; finite numbers only, at most
            `MAX_METADATA_BYTES` as JSON.
        created_at: When the edit was first stored (UTC).
        revision: The memory's revision at which this state of the edit was written; 0 before.
        tags: Short labels to find edits by; each once, at most `MAX_TAGS`.
        priority: Of two edits of one fact the one with the higher priority is to answer, of equal
            ones the newer; between minus and plus `MAX_PRIORITY`.
        editor: Name of the editor that is to answer; None for the model's own. A lower-case letter,
            then such letters, digits, `-` or `_`: at most `MAX_EDITOR_LENGTH` characters. Which names
            there are is for the model to know.
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
    tags: tuple[str, ...] = ()
    priority: int = 0
    editor: str | None = None

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            InvalidEditError: A field is blank, too long, of the wrong type or contradicts another.
        """
        _check_text("prompt", self.prompt)
        _check_text("target", self.target)
        if self.subject is not None:
            _check_text("subject", self.subject)
        object.__setattr__(self, "aliases", _texts("aliases", "alias", self.aliases, MAX_ALIASES, MAX_TEXT_LENGTH))
        tags = _texts("tags", "tag", self.tags, MAX_TAGS, MAX_TAG_LENGTH)
        object.__setattr__(self, "tags", tuple(dict.fromkeys(tags)))
        _check_text("namespace", self.namespace)
        try:
            object.__setattr__(self, "kind", EditKind(self.kind))
        except ValueError:
            kinds = ", ".join(kind.value for kind in EditKind)
            raise InvalidEditError(f"kind must be one of {kinds}, got {_shown(self.kind)}") from None
        for name in _INSTANTS:
            _check_instant(name, getattr(self, name), optional=name != "created_at")
        if self.valid_from and self.valid_until and self.valid_from >= self.valid_until:
            raise InvalidEditError(
                f"valid_from must be before valid_until, got {self.valid_from} and {self.valid_until}"
            )
        object.__setattr__(self, "metadata", checked_metadata(self.metadata))
        _check_integer("priority", self.priority, -MAX_PRIORITY, MAX_PRIORITY)
        _check_integer("revision", self.revision, 0, MAX_REVISION)
        if self.editor is not None:
            check_editor_name(self.editor)
        if not isinstance(self.id, str):
            raise InvalidEditError(f"id must be a string, got {type(self.id).__name__}")
        _check_unicode("id", self.id)

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
        values = {name: getattr(self, name) for name in _FIELDS}
        values["kind"] = self.kind.value
        values["aliases"], values["tags"] = list(self.aliases), list(self.tags)
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
        names = set(values)
        if unknown := sorted(names.difference(_FIELDS)):
            raise InvalidEditError(f"an edit has no field {_shown(unknown[0])}")
        if missing := sorted({"id", "prompt", "target"} - names):
            raise InvalidEditError(f"an edit needs the field {missing[0]!r}")
        # By names of our own, which Python finds among the parameters faster than others that are equal.
        read = {name: values[name] for name in _FIELDS if name in names}
        for name in _INSTANTS:
            if read.get(name) is not None:
                read[name] = _read_instant(name, read[name])
        return cls(**read)

    def is_valid_at(self, instant: datetime) -> bool:
        """Whether the edit applies at `instant` (timezone-aware)."""
        if self.valid_from is not None and instant < self.valid_from:
            return False
        return self.valid_until is None or instant < self.valid_until


_FIELDS = tuple(item.name for item in fields(Edit))


def _shown(value: object) -> str:
    """A value for a message, cut off where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _check_text(name: str, value: object, longest: int = MAX_TEXT_LENGTH) -> None:
    if not isinstance(value, str):
        raise InvalidEditError(f"{name} must be a string, got {type(value).__name__}")
    # Before anything that puts the value into a message.
    if len(value) > longest:
        raise InvalidEditError(f"{name} may have {longest} characters, got {len(value)}")
    if not value.strip():
        raise InvalidEditError(f"{name} must not be empty, got {_shown(value)}")
    if "\x00" in value:
        raise InvalidEditError(f"{name} must not contain null characters")
    _check_unicode(name, value)


def _check_unicode(name: str, value: str) -> None:
    if _SURROGATES.search(value):
        raise InvalidEditError(f"{name} must be valid Unicode, got a lone surrogate")


def _texts(name: str, singular: str, values: object, most: int, longest: int) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidEditError(f"{name} must be several strings, got {type(values).__name__}")
    texts = tuple(values)
    if len(texts) > most:
        raise InvalidEditError(f"an edit may have {most} {name}, got {len(texts)}")
    for text in texts:
        _check_text(singular, text, longest)
    return texts


def _check_integer(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidEditError(f"{name} must be an integer, got {type(value).__name__}")
    if not least <= value <= most:
        raise InvalidEditError(f"{name} must be between {least} and {most}, got one beyond")


def check_editor_name(value: object) -> None:
    """Refuse what cannot name an editor.

    Raises:
        InvalidEditError: See `Edit.editor` for what can.
    """
    _check_text("editor", value, MAX_EDITOR_LENGTH)
    if not _EDITOR_NAME.fullmatch(str(value)):
        raise InvalidEditError(
            f"editor must be a name of lower-case letters, digits, - and _, a letter first, got {_shown(value)}"
        )


def _check_instant(name: str, value: object, *, optional: bool) -> None:
    if value is None and optional:
        return
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidEditError(f"{name} must be a timezone-aware datetime, got {_shown(value)}")


def _read_instant(name: str, value: object) -> datetime:
    if not isinstance(value, str):
        raise InvalidEditError(f"{name} must be an ISO 8601 string, got {_shown(value)}")
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise InvalidEditError(f"{name} must be an ISO 8601 string, got {_shown(value)}") from None


def checked_metadata(metadata: object) -> dict[str, Any]:
    """A copy of metadata made of plain dicts and lists, as an edit keeps it.

    Raises:
        InvalidEditError: It is no mapping of strings to JSON-compatible values, or too large or deep.
    """
    if not isinstance(metadata, Mapping):
        raise InvalidEditError(f"metadata must be a mapping, got {type(metadata).__name__}")
    copy = cast(dict[str, Any], _json_copy("metadata", metadata))
    # Most edits have none, and a dump costs more than all other checks.
    size = len(json.dumps(copy, ensure_ascii=False).encode()) if copy else 0
    if size > MAX_METADATA_BYTES:
        raise InvalidEditError(f"metadata may take {MAX_METADATA_BYTES} bytes as JSON, got {size}")
    return copy


def _json_copy(name: str, value: object, depth: int = 0) -> object:
    """Copy of `value` made of plain dicts and lists, equal to what JSON would give back."""
    if depth > MAX_METADATA_DEPTH:
        raise InvalidEditError(f"metadata may be nested {MAX_METADATA_DEPTH} levels deep, got more")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise InvalidEditError(f"{name} keys must be strings, got {_shown(key)}")
            _check_unicode(f"{name} keys", key)
        return {key: _json_copy(f"{name}[{_shown(key)}]", item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_copy(name, item, depth + 1) for item in value]
    if not isinstance(value, str | int | float | bool | None):
        raise InvalidEditError(f"{name} must be JSON-compatible, got {type(value).__name__}")
    _check_scalar(name, value)
    return value


def _check_scalar(name: str, value: str | float | bool | None) -> None:
    if isinstance(value, str):
        _check_unicode(name, value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidEditError(f"{name} may hold finite numbers only, got {value}")
    elif isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        raise InvalidEditError(f"{name} may hold integers of {MAX_INTEGER_BITS} bits, got {value.bit_length()}")
