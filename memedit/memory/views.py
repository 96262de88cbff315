"""Past states of a memory: `MemoryView`, and the `Difference` between two of them."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice

from memedit.edits import Edit
from memedit.memory.reading import EditCollection
from memedit.memory.selection import Selection


class MemoryView(EditCollection):
    """The edits that a memory held at one revision; whatever happens to the memory, it stays.

    It lists, counts and looks up as the memory does; it is not searched.

    Attributes:
        revision: The revision it shows.
    """

    def __init__(self, revision: int, edits: Iterable[Edit]) -> None:
        """Show `edits`, which are in the order of their first event."""
        self.revision = revision
        self._edits = {edit.id: edit for edit in edits}

    def _find(self, edit_id: str) -> Edit | None:
        return self._edits.get(edit_id)

    def _select(
        self, namespace: str | None, selection: Selection, limit: int | None, offset: int
    ) -> builtins.list[Edit]:
        wanted = (
            edit for edit in self._edits.values() if namespace in (None, edit.namespace) and selection.matches(edit)
        )
        return list(islice(wanted, offset, None if limit is None else offset + limit))

    def _count(self, namespace: str | None, selection: Selection) -> int:
        return len(self._select(namespace, selection, None, 0))


@dataclass(frozen=True, slots=True)
class Difference:
    """What has to be done to come from one revision to another.

    Attributes:
        added: Edits that only the second one holds.
        changed: Edits that both hold with different content: the former and the latter state.
        removed: Edits that only the first one holds.
    """

    added: tuple[Edit, ...]
    changed: tuple[tuple[Edit, Edit], ...]
    removed: tuple[Edit, ...]

    def __bool__(self) -> bool:
        """Whether there is any difference."""
        return bool(self.added or self.changed or self.removed)


def difference(first: Iterable[Edit], second: Iterable[Edit]) -> Difference:
    """Compare two states; an edit that was changed and changed back is the same."""
    before, after = ({edit.id: edit for edit in edits} for edits in (first, second))
    both = [(edit, after[edit.id]) for edit in before.values() if edit.id in after]
    return Difference(
        added=tuple(edit for edit in after.values() if edit.id not in before),
        changed=tuple((old, new) for old, new in both if replace(old, revision=new.revision) != new),
        removed=tuple(edit for edit in before.values() if edit.id not in after),
    )
