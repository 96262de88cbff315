"""`VectorIndex`: which stored wordings are nearest, exactly, by inner product of unit vectors.

The index lives in RAM and is derived from the store, so it can always be built again. Each
namespace has a FAISS index of its own: what another tenant stores can neither be found nor push
anything out of the nearest k.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import faiss
import numpy as np
from numpy.typing import NDArray

from memedit.errors import MemoryFileError
from memedit.memory.encoding import Vectors
from memedit.memory.store import IndexEntry

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
        return sum(len(shard.owners) for shard in self._shards.values())

    def put(self, entries: Iterable[IndexEntry]) -> None:
        """Add edits that are not in the index yet.

        Raises:
            MemoryFileError: An entry has no usable vectors; nothing was added. An edit that
                cannot be found must not pass for one that is out of scope.
        """
        by_namespace: dict[str, list[IndexEntry]] = defaultdict(list)
        for entry in entries:
            if entry.vectors is None:
                raise MemoryFileError(
                    f"the stored vectors of edit {entry.edit_id!r} are missing or damaged; open "
                    "the memory again to have them computed again"
                )
            by_namespace[entry.namespace].append(entry)
        for namespace, several in by_namespace.items():
            if namespace not in self._shards:
                self._shards[namespace] = _Shard(self.dimension)
            self._shards[namespace].put(several)
            self._namespaces.update((entry.edit_id, namespace) for entry in several)

    def discard(self, edit_ids: Iterable[str]) -> None:
        """Remove edits with all their wordings; ids that are not in the index are ignored."""
        by_namespace: dict[str, list[str]] = defaultdict(list)
        for edit_id in edit_ids:
            if edit_id in self._namespaces:
                by_namespace[self._namespaces.pop(edit_id)].append(edit_id)
        for namespace, several in by_namespace.items():
            self._shards[namespace].discard(several)
            if not self._shards[namespace].owners:
                del self._shards[namespace]

    def search(self, namespace: str, vectors: Vectors, k: int, at: datetime) -> list[list[Match]]:
        """The nearest edits of a namespace that are valid at an instant.

        Args:
            namespace: Where to look.
            vectors: Queries, float32 array (n, dimension) of unit norm.
            k: How many edits are wanted.
            at: The instant (timezone-aware).

        Returns:
            For each query, best first, the k best edits and any that tie with the last of them;
            fewer if the namespace holds fewer. Each edit once, by its best wording.
        """
        shard = self._shards.get(namespace)
        if shard is None:
            return [[] for _ in vectors]
        return shard.search(vectors, k, at)


class _Shard:
    """The vectors of one namespace. A label is one wording of one edit, and is never reused."""

    def __init__(self, dimension: int) -> None:
        self.owners: dict[int, tuple[str, int]] = {}
        self._labels: dict[str, range] = {}
        self._limited: dict[str, IndexEntry] = {}
        self._next_label = 0
        self._faiss = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))

    def put(self, entries: Sequence[IndexEntry]) -> None:
        blocks = [entry.vectors for entry in entries if entry.vectors is not None]
        first = self._next_label
        for entry, block in zip(entries, blocks, strict=True):
            labels = range(self._next_label, self._next_label + len(block))
            self._next_label = labels.stop
            self._labels[entry.edit_id] = labels
            self.owners.update((label, (entry.edit_id, label - labels.start)) for label in labels)
            if entry.valid_from is not None or entry.valid_until is not None:
                self._limited[entry.edit_id] = replace(entry, vectors=None)
        added = np.arange(first, self._next_label, dtype=np.int64)
        self._faiss.add_with_ids(np.concatenate(blocks), added)

    def discard(self, edit_ids: Iterable[str]) -> None:
        labels = [label for edit_id in edit_ids for label in self._labels.pop(edit_id, ())]
        for label in labels:
            self._limited.pop(self.owners.pop(label)[0], None)
        self._faiss.remove_ids(faiss.IDSelectorBatch(np.array(labels, dtype=np.int64)))

    def search(self, vectors: Vectors, k: int, at: datetime) -> list[list[Match]]:
        # Several wordings of one edit, and edits that are not valid now, take places among the
        # nearest labels: fetch more until k edits stand clear of what was not fetched.
        total = len(self.owners)
        found: dict[int, list[Match]] = {}
        pending = list(range(len(vectors)))
        fetch = min(total, 2 * k)
        while pending:
            scores, labels = self._faiss.search(vectors[pending], fetch)
            for place, row in enumerate(pending):
                matches = self._ranked(vectors[row], labels[place], at)
                unseen = float(scores[place, -1]) + _ROUNDING
                if fetch == total or (len(matches) >= k and matches[k - 1].score > unseen):
                    worst = matches[min(k, len(matches)) - 1].score if matches else 0.0
                    found[row] = [match for match in matches if match.score >= worst]
            pending = [row for row in pending if row not in found]
            fetch = min(total, 4 * fetch)
        return [found[row] for row in range(len(vectors))]

    def _ranked(self, query: Vectors, labels: NDArray[np.int64], at: datetime) -> list[Match]:
        """Valid edits among `labels`, best first, one match per edit."""
        # Scored again in double precision, because FAISS rounds a pair differently in another
        # batch or at another place: a result must not depend on what else is stored or asked.
        vectors = self._faiss.reconstruct_batch(labels).astype(np.float64)
        scores = (vectors @ query.astype(np.float64)).astype(np.float32).tolist()
        best: dict[str, Match] = {}
        for label, score in zip(labels.tolist(), scores, strict=True):
            edit_id, wording = self.owners[label]
            known = best.get(edit_id)
            is_better = known is None or (score, -wording) > (known.score, -known.wording)
            if is_better and self._is_valid(edit_id, at):
                best[edit_id] = Match(edit_id, wording, score)
        return sorted(best.values(), key=lambda match: (-match.score, match.edit_id))

    def _is_valid(self, edit_id: str, at: datetime) -> bool:
        limits = self._limited.get(edit_id)
        if limits is None:
            return True
        if limits.valid_from is not None and at < limits.valid_from:
            return False
        return limits.valid_until is None or at < limits.valid_until
