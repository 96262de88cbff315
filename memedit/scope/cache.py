"""`RouteCache`: decisions on queries that were asked before, for as long as they hold."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from memedit.scope.route import Route

Basis = tuple[object, ...]
"""All that decisions rest on besides query, namespace and time; another one voids them."""


@dataclass(frozen=True, slots=True)
class _Entry:
    route: Route
    basis: Basis
    since: datetime
    until: datetime | None


class RouteCache:
    """Keeps the decisions on the queries that were asked last; may be used from several threads.

    Each entry carries what it rests on, so that a decision that was overtaken while it was taken
    is never handed out.

    Args:
        size: How many decisions to keep, those used last; 0 keeps none.

    Raises:
        ValueError: The size is negative.
    """

    def __init__(self, size: int) -> None:
        """Begin empty."""
        if size < 0:
            raise ValueError(f"cache_size must be at least 0, got {size}")
        self.size = size
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        """Number of decisions kept, those that no longer hold included."""
        return len(self._entries)

    def find(self, namespace: str, queries: Iterable[str], basis: Basis, at: datetime) -> dict[str, Route]:
        """The decisions that hold at `at` on this basis, by query."""
        found = {}
        with self._lock:
            for query in queries:
                entry = self._entries.get((namespace, query))
                if entry is None or entry.basis != basis or at < entry.since:
                    continue
                if entry.until is None or at < entry.until:
                    self._entries.move_to_end((namespace, query))
                    found[query] = entry.route
        return found

    def put(
        self, namespace: str, routes: Iterable[Route], basis: Basis, since: datetime, until: datetime | None
    ) -> None:
        """Keep decisions.

        Args:
            namespace: Where they were taken.
            routes: The decisions.
            basis: What they rest on.
            since: The instant for which they were taken.
            until: The next instant at which an edit of the namespace begins or ends to apply.
        """
        with self._lock:
            for route in routes:
                self._entries[namespace, route.query] = _Entry(route, basis, since, until)
                self._entries.move_to_end((namespace, route.query))
            while len(self._entries) > self.size:
                self._entries.popitem(last=False)
