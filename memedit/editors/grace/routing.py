"""GRACE's own decision: the entry whose key is near answers, outside of every radius the layer itself does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from memedit.editors.grace.editor import GraceEditor
from memedit.edits import DEFAULT_NAMESPACE, Edit
from memedit.errors import UnknownEditError
from memedit.memory import EditMemory

THRESHOLD = 0.5


@dataclass(frozen=True)
class Nearest:
    """The entry whose key is nearest to a query.

    Attributes:
        edit: Its edit.
        probability: As in `Deferral`.
        share: The distance as a share of the key's radius.
    """

    edit: Edit
    probability: float
    share: float


@dataclass(frozen=True)
class Deferral:
    """What became of one query, in the form of a route.

    Attributes:
        query: The text.
        edit: The edit whose entry answers, None if the layer defers to the base.
        probability: One half at the edge of the nearest key's radius, 1 at the key itself; no probability
            that was calibrated.
        candidates: The nearest entry, in scope or not; none beside an empty codebook.
        seconds: The query's share of the time the decision took.
    """

    states_probability: ClassVar[bool] = False

    query: str
    edit: Edit | None
    probability: float
    candidates: tuple[Nearest, ...]
    seconds: float
    threshold: float = THRESHOLD

    @property
    def in_scope(self) -> bool:
        """Whether an edit answers."""
        return self.edit is not None

    @property
    def reason(self) -> str:
        """The decision in a few words."""
        return "inside a key's radius" if self.in_scope else "outside of every key's radius"


class GraceDeferral:
    """Stands in for the scope router: decides by distances in the hooked layer, as published.

    Args:
        editor: Its codebook is asked.
        memory: Where the edits are.
    """

    def __init__(self, editor: GraceEditor, memory: EditMemory) -> None:
        self._editor = editor
        self._memory = memory

    def route(self, queries: Sequence[str], namespace: str = DEFAULT_NAMESPACE) -> list[Deferral]:
        """One decision for each query; an entry whose edit is removed or of another namespace is passed over."""
        began = time.perf_counter()
        found = self._editor.nearest(queries)
        seconds = (time.perf_counter() - began) / max(len(queries), 1)
        if not found:
            return [Deferral(query, None, 0.0, (), seconds) for query in queries]
        routes = []
        for query, (entry, share) in zip(queries, found, strict=True):
            edit = self._live(entry.edit_id, namespace)
            nearest = () if edit is None else (Nearest(edit, THRESHOLD**share, share),)
            chosen = edit if share <= 1 else None
            routes.append(Deferral(query, chosen, nearest[0].probability if nearest else 0.0, nearest, seconds))
        return routes

    def _live(self, edit_id: str, namespace: str) -> Edit | None:
        try:
            edit = self._memory.get(edit_id)
        except UnknownEditError:
            return None
        return edit if edit.namespace == namespace else None
