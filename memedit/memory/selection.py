"""`Selection`: which edits a list is to hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from memedit.edits import Edit, EditKind, checked_metadata
from memedit.errors import InvalidEditError


@dataclass(frozen=True, slots=True)
class Selection:
    """A condition on edits; what is left out is not asked for.

    Attributes:
        tags: Tags that an edit must all have.
        metadata: Keys and values that its metadata must hold; values are compared as a whole.
        kind: The kind it must be of.
        text: What its prompt, target, subject or one of its aliases must contain; case does not
            count.
    """

    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    kind: EditKind | None = None
    text: str | None = None

    @classmethod
    def of(
        cls,
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        kind: EditKind | str | None = None,
        text: str | None = None,
    ) -> Self:
        """The selection that a caller's arguments ask for.

        Raises:
            InvalidEditError: An argument is of the wrong type or names no kind.
        """
        if isinstance(tags, str) or not isinstance(tags, Iterable):
            raise InvalidEditError(f"tags must be several strings, got {type(tags).__name__}")
        tags = tuple(tags)
        if not all(isinstance(tag, str) for tag in tags):
            raise InvalidEditError(f"tags must be strings, got {tags!r}")
        if text is not None and not isinstance(text, str):
            raise InvalidEditError(f"text must be a string, got {type(text).__name__}")
        try:
            wanted = None if kind is None else EditKind(kind)
        except ValueError:
            kinds = ", ".join(each.value for each in EditKind)
            raise InvalidEditError(f"kind must be one of {kinds}, got {kind!r}") from None
        # Metadata in the form in which an edit keeps it.
        values = {} if metadata is None else checked_metadata(metadata)
        return cls(tags, values, wanted, None if text is None else text.casefold())

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.tags or self.metadata or self.kind or self.text)

    def matches(self, edit: Edit) -> bool:
        """Whether an edit is wanted."""
        if self.kind is not None and edit.kind is not self.kind:
            return False
        if not set(self.tags) <= set(edit.tags):
            return False
        if any(key not in edit.metadata or edit.metadata[key] != value for key, value in self.metadata.items()):
            return False
        if not self.text:
            return True
        texts = (*edit.wordings, edit.target, edit.subject or "")
        return any(self.text in text.casefold() for text in texts)


EVERYTHING = Selection()
