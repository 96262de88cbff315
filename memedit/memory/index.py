"""`VectorIndex`: which stored wordings are nearest, by inner product of unit vectors.

The index lives in RAM and is derived from the store, so it can always be built again. Each
namespace has an index of its own: what another tenant stores can neither be found nor push
anything out of the nearest k. A small one compares a query with every vector; a large one finds
candidates by inverted lists, and compares with those.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import numpy as np

from memedit.errors import MemoryFileError
from memedit.memory.encoding import Vectors
from memedit.memory.ivf import InvertedLists, build
from memedit.memory.store import IndexEntry
from memedit.memory.table import Rows, VectorTable

EXACT_UP_TO = 50_000
"""Wordings of a namespace that are all compared with a query: from here on that takes over 4 ms."""
_GROWTH = 4
"""How much larger a namespace is when its lists are made anew."""
_UNLISTED = 1024
"""New wordings that are compared one by one before they go into the lists, which then are laid out anew."""
_WASTE = 1.5
"""Rows, removed ones included, for each that is in use, when a namespace's index is made anew."""
_BATCH_EDITS = 512
"""So few that their vectors stay in the processor's cache until they are in the table."""
_SCORED_AGAIN = 4
"""For each edit that is wanted, how many rows are scored in double precision, if they turn out to be enough."""
_ROUNDING = 1e-5
"""More than FAISS's scores of one pair differ between its single-query and its batch kernels."""


@dataclass(frozen=True, slots=True)
class Match:
    """One edit near a query: its nearest wording (0 is the prompt) and their inner product."""

    edit_id: str
    wording: int
    score: float


class VectorIndex:
    """The vectors of all current edits; not thread-safe.

    Args:
        dimension: Components of a vector.

    Attributes:
        dimension: Components of a vector.
        revision: Revision of the journal that the index reflects; kept by its owner.
    """

    def __init__(self, dimension: int) -> None:
        """Make an empty index, at revision 0."""
        self.dimension = dimension
        self.revision = 0
        self._shards: dict[str, _Shard] = {}
        self._namespaces: dict[str, str] = {}

    def __len__(self) -> int:
        """Number of vectors."""
        return sum(map(len, self._shards.values()))

    def put(self, entries: Iterable[IndexEntry]) -> None:
        """Add edits that are not in the index yet.

        Raises:
            MemoryFileError: An entry has no usable vectors; nothing was added. An edit that
                cannot be found must not pass for one that is out of scope.
        """
        remaining = iter(entries)
        added: list[str] = []
        touched: set[str] = set()
        try:
            while batch := list(islice(remaining, _BATCH_EDITS)):
                touched.update(self._put_batch(batch))
                added.extend(entry.edit_id for entry in batch)
        except BaseException:
            self.discard(added)
            raise
        for namespace in touched:
            self._shards[namespace].settle()

    def discard(self, edit_ids: Iterable[str]) -> None:
        """Remove edits with all their wordings; ids that are not in the index are ignored."""
        touched = set()
        for edit_id in edit_ids:
            namespace = self._namespaces.pop(edit_id, None)
            if namespace is not None:
                self._shards[namespace].discard(edit_id)
                touched.add(namespace)
        for namespace in touched:
            shard = self._shards[namespace]
            if not shard:
                del self._shards[namespace]
            elif shard.is_wasteful:
                self._shards[namespace] = shard.without_waste()

    def search(
        self, namespace: str, vectors: Vectors, k: int, at: datetime, without: Set[str] = frozenset()
    ) -> list[list[Match]]:
        """The nearest edits of a namespace that are valid at an instant.

        Exact for up to `EXACT_UP_TO` wordings in the namespace; beyond, on average at least 99 of
        100 of the edits that an exact search finds. A score always is the true one.

        Args:
            namespace: Where to look.
            vectors: Queries, float32 array (n, dimension) of unit norm.
            k: How many edits are wanted.
            at: The instant (timezone-aware).
            without: Ids of edits to pass over.

        Returns:
            For each query, best first, the k best edits and any that tie with the last of them;
            fewer if the namespace holds fewer. Each edit once, by its best wording.
        """
        shard = self._shards.get(namespace)
        if shard is None:
            return [[] for _ in vectors]
        return shard.search(vectors, k, at, without)

    def next_change(self, namespace: str, after: datetime) -> datetime | None:
        """The next instant at which an edit of a namespace begins or ends to be valid."""
        shard = self._shards.get(namespace)
        return shard.next_change(after) if shard else None

    def _put_batch(self, entries: Sequence[IndexEntry]) -> set[str]:
        """Add edits, and tell their namespaces."""
        by_namespace: dict[str, list[IndexEntry]] = defaultdict(list)
        for entry in entries:
            if entry.vectors is None:
                raise MemoryFileError(
                    f"the stored vectors of edit {entry.edit_id!r} are missing or damaged; open the memory again "
                    "to have them computed again, and if that does not help, use `memedit doctor --repair`"
                )
            by_namespace[entry.namespace].append(entry)
        for namespace, several in by_namespace.items():
            if namespace not in self._shards:
                self._shards[namespace] = _Shard(self.dimension)
            self._shards[namespace].put(several)
            self._namespaces.update(dict.fromkeys((entry.edit_id for entry in several), namespace))
        return set(by_namespace)


class _Shard:
    """The vectors of one namespace. A row is one wording of one edit, and is never reused."""

    def __init__(self, dimension: int) -> None:
        self._owners: list[str | None] = []
        self._used = 0
        self._dimension = dimension
        self._rows: dict[str, range] = {}
        self._limited: dict[str, IndexEntry] = {}
        self._instants: list[datetime] | None = None
        self._table = VectorTable(dimension)
        self._lists: InvertedLists | None = None
        self._listed = 0
        self._settled_up_to = EXACT_UP_TO

    def __len__(self) -> int:
        return self._used

    def put(self, entries: Sequence[IndexEntry]) -> None:
        blocks = [entry.vectors for entry in entries if entry.vectors is not None]
        start = len(self._table)
        for entry, block in zip(entries, blocks, strict=True):
            rows = range(start, start + len(block))
            start = rows.stop
            self._rows[entry.edit_id] = rows
            self._owners.extend([entry.edit_id] * len(block))
            if entry.valid_from is not None or entry.valid_until is not None:
                self._limited[entry.edit_id] = entry._replace(vectors=None)
        self._instants = None
        vectors = np.concatenate(blocks)
        self._used += len(vectors)
        self._table.append(vectors)
        if self._lists is not None and len(self._unlisted()) > _UNLISTED:
            self._lists.add(self._listed, self._table.take(self._unlisted()))
            self._listed = len(self._table)

    def settle(self) -> None:
        """Make the lists, or make them anew, if the namespace has grown enough."""
        if len(self._table) > self._settled_up_to:
            self._settled_up_to = _GROWTH * len(self._table)
            self._lists = build(self._table)
            self._listed = len(self._table)

    def discard(self, edit_id: str) -> None:
        # The row stays where it is and belongs to nobody: moving the others would take long.
        rows = self._rows.pop(edit_id)
        self._used -= len(rows)
        for row in rows:
            self._owners[row] = None
        if self._limited.pop(edit_id, None):
            self._instants = None

    @property
    def is_wasteful(self) -> bool:
        """Whether so many rows belong to nobody that they cost too much room and time."""
        return len(self._table) > max(_WASTE * len(self), 64)

    def without_waste(self) -> _Shard:
        """A shard with the same edits and no other rows."""
        fresh = _Shard(self._dimension)
        entries = self._entries()
        while batch := list(islice(entries, _BATCH_EDITS)):
            fresh.put(batch)
        fresh.settle()
        return fresh

    def search(self, vectors: Vectors, k: int, at: datetime, without: Set[str]) -> list[list[Match]]:
        # Several wordings of one edit, and edits that are removed or not valid now, take places
        # among the nearest rows: fetch more until k edits stand clear of what was not fetched.
        total = len(self._table)
        found: dict[int, list[Match]] = {}
        pending = list(range(len(vectors)))
        fetch = min(total, 2 * k if self._lists is None else self._lists.fetch_for(k))
        while pending:
            rows = self._nearest(vectors[pending], fetch)
            for place, query in enumerate(pending):
                fetched = rows[place][rows[place] >= 0]
                matches, unseen = self._ranked(vectors[query], fetched, k, at, without)
                if fetch == total or (len(matches) >= k and matches[-1].score > unseen + _ROUNDING):
                    found[query] = matches
            pending = [query for query in pending if query not in found]
            fetch = min(total, 4 * fetch)
        return [found[query] for query in range(len(vectors))]

    def next_change(self, after: datetime) -> datetime | None:
        if self._instants is None:
            limits = [limit for entry in self._limited.values() for limit in (entry.valid_from, entry.valid_until)]
            self._instants = sorted(limit for limit in limits if limit is not None)
        place = bisect_right(self._instants, after)
        return self._instants[place] if place < len(self._instants) else None

    def _unlisted(self) -> Rows:
        """The rows that came after the lists were made and are in none yet."""
        return np.arange(self._listed if self._lists else len(self._table), len(self._table), dtype=np.int64)

    def _nearest(self, vectors: Vectors, fetch: int) -> Rows:
        # So large a part of the lists may have to be read that nothing is won by them.
        if self._lists is None or fetch > len(self._table) // 4:
            return self._table.nearest(vectors, fetch)
        return self._lists.nearest(vectors, fetch)

    def _ranked(self, query: Vectors, rows: Rows, k: int, at: datetime, without: Set[str]) -> tuple[list[Match], float]:
        """The best k valid edits and those that tie with the last, and the lowest score of what was looked up.

        Args:
            query: float32 array (dimension,).
            rows: What was looked up; rows in no list come on top.
            k: How many edits are wanted.
            at: When they are to be valid.
            without: Ids of edits to pass over.
        """
        looked_up = len(rows)
        rows = np.concatenate((rows, self._unlisted()))
        rough = self._table.scores(rows, query)
        unseen = float(rough[:looked_up].min(initial=1.0))
        count = _SCORED_AGAIN * k
        while True:
            lowest = np.partition(rough, -count)[-count] if count < len(rows) else -np.inf
            ranked = self._best(query, rows[rough >= lowest], k, at, without)
            if count >= len(rows) or (len(ranked) >= k and ranked[-1].score > lowest + _ROUNDING):
                return ranked, unseen
            count *= _SCORED_AGAIN

    def _best(self, query: Vectors, rows: Rows, k: int, at: datetime, without: Set[str]) -> list[Match]:
        """The best k valid edits among `rows` and those that tie with the last."""
        # Scored again in double precision, because FAISS rounds a pair differently in another
        # batch or at another place: a result must not depend on what else is stored or asked.
        scores = (self._table.take(rows).astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
        best: dict[str, Match] = {}
        worst = 0.0
        # Of an edit's wordings that score the same, the first one stands for it.
        for place in np.lexsort((rows, -scores)).tolist():
            score = float(scores[place])
            if len(best) >= k and score < worst:
                break
            row = int(rows[place])
            edit_id = self._owners[row]
            if edit_id and edit_id not in best and edit_id not in without and self._is_valid(edit_id, at):
                best[edit_id] = Match(edit_id, row - self._rows[edit_id].start, score)
                worst = score
        return sorted(best.values(), key=lambda match: (-match.score, match.edit_id))

    def _entries(self) -> Iterator[IndexEntry]:
        for edit_id, rows in self._rows.items():
            limits = self._limited.get(edit_id) or IndexEntry(edit_id, "", None, None, None)
            yield limits._replace(vectors=self._table.take(np.arange(rows.start, rows.stop, dtype=np.int64)))

    def _is_valid(self, edit_id: str, at: datetime) -> bool:
        limits = self._limited.get(edit_id)
        if limits is None:
            return True
        if limits.valid_from is not None and at < limits.valid_from:
            return False
        return limits.valid_until is None or at < limits.valid_until
