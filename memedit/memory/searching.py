"""`Searcher`: the index of a memory, kept up with the journal."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from memedit.edits import Edit
from memedit.errors import MemoryFileError
from memedit.memory.encoding import TextEncoder, Vectors
from memedit.memory.index import Match, VectorIndex
from memedit.memory.opening import check_encoder, complete_vectors
from memedit.memory.store import EditStore, IndexEntry


@dataclass(frozen=True, slots=True)
class Hit:
    """An edit found near a query.

    Attributes:
        edit: The edit.
        wording: Which of its wordings is nearest: the prompt or an alias.
        score: Inner product of that wording's vector and the query's (their cosine), at
            most 1 up to rounding.
    """

    edit: Edit
    wording: str
    score: float


class Searcher:
    """Finds edits by meaning. Its owner holds the lock, and a snapshot or transaction of the store.

    In a transaction it may be asked only before anything is written: what is rolled back would
    stay in the index.
    """

    def __init__(self, store: EditStore, encoder: TextEncoder) -> None:
        """Make an empty index; `fill` it once."""
        self._store, self._encoder = store, encoder
        self.dimension = encoder.dimension
        self._index = VectorIndex(encoder.dimension)

    def fill(self) -> None:
        """Index what is stored, computing vectors that are missing; outside transactions and snapshots.

        Raises:
            EncoderMismatchError: Another process has re-encoded the memory with another encoder.
        """
        lacking: list[str] = []

        def usable() -> Iterator[IndexEntry]:
            for entry in self._store.entries():
                if entry.vectors is None:
                    lacking.append(entry.edit_id)
                else:
                    yield entry

        # The vectors are read once: they are most of what opening a large memory takes.
        with self._store.snapshot():
            check_encoder(self._store, self._encoder)
            self._index.put(usable())
            self._index.revision = self._store.revision
        if lacking:
            complete_vectors(self._store, self._encoder, lacking)
            with self._store.snapshot():
                self.follow()
                self._index.discard(lacking)
                self._index.put(self._store.entries(lacking))

    def follow(self) -> None:
        """Bring the index up to the journal's newest revision.

        Raises:
            EncoderMismatchError: Another process has re-encoded the memory with another encoder.
        """
        revision = self._store.revision
        if revision == self._index.revision:
            return
        check_encoder(self._store, self._encoder)
        touched = self._store.touched(self._index.revision)
        self._index.discard(touched)
        self._index.put(self._store.entries(touched))
        self._index.revision = revision

    def search(
        self,
        queries: Vectors,
        k: int,
        namespace: str,
        at: datetime,
        without: Set[str] = frozenset(),
        floor: float | None = None,
    ) -> list[list[Hit]]:
        """For each query up to k hits, best first, but for some edits; see `EditMemory.search`.

        Raises:
            EncoderMismatchError: Another process has re-encoded the memory with another encoder.
            MemoryFileError: An edit would be found that the journal has in another namespace or at
                another time.
        """
        self.follow()
        matches = [_worth_reading(row, floor) for row in self._index.search(namespace, queries, k, at, without)]
        edits = self._store.get({match.edit_id for row in matches for match in row})
        for match in chain.from_iterable(matches):
            # What an edit is found by may be damaged, and then must not give it to another tenant. Nothing
            # else explains it: index and journal are of one revision, because this runs in one snapshot.
            edit = edits.get(match.edit_id)
            is_here = edit is not None and edit.namespace == namespace and match.wording < len(edit.wordings)
            if edit is None or not is_here or not edit.is_valid_at(at):
                raise MemoryFileError(
                    f"the memory is damaged: edit {match.edit_id!r} is found where the journal does not have it; "
                    "`memedit doctor --repair` puts that right, then open it again"
                )
        hits = [
            [Hit(edits[match.edit_id], edits[match.edit_id].wordings[match.wording], match.score) for match in row]
            for row in matches
        ]
        for row in hits:
            row.sort(key=lambda hit: (-hit.score, -hit.edit.priority, -hit.edit.revision))
        return [row[:k] for row in hits]

    def next_change(self, namespace: str, after: datetime) -> datetime | None:
        """The next instant at which an edit of a namespace begins or ends to be valid."""
        self.follow()
        return self._index.next_change(namespace, after)


def _worth_reading(matches: list[Match], floor: float | None) -> list[Match]:
    """All of `matches`, the best first; where none reaches the floor those that tie for the first place."""
    if not matches or floor is None or matches[0].score >= floor:
        return matches
    return [match for match in matches if match.score == matches[0].score]
