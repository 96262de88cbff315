"""`Comparison`: which edits contradict others, each as if those before it in the call were stored already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain

import numpy as np

from memedit.edits import Edit
from memedit.memory.contradictions import Contradiction, SameFact, differ, fact_key
from memedit.memory.encoding import Vectors
from memedit.memory.index import VectorIndex
from memedit.memory.searching import Hit, Searcher
from memedit.memory.store import EditStore, IndexEntry

NEAREST = 8
"""How many of the nearest edits are looked at."""


class Comparison:
    """The edits of one call beside those that are stored.

    Looking for what is near and judging it are two steps, because a judge takes long and must not
    keep others from the memory meanwhile.

    Args:
        store: The journal.
        searcher: Finds what is stored there.
        edits: The edits, stored or not, in the order of the call.
        known: Vectors of all their wordings.
        same_fact: Tells for a wording which of several others ask for the same fact; None if
            nobody can tell, so that nothing is found.
    """

    def __init__(
        self,
        store: EditStore,
        searcher: Searcher,
        edits: Sequence[Edit],
        known: Mapping[str, Vectors],
        same_fact: SameFact | None,
    ) -> None:
        """Compare nothing yet."""
        self._store, self._searcher, self._edits, self._known = store, searcher, edits, known
        self._judge = None if same_fact is None else _Judge(same_fact)
        self._near: list[list[Hit]] = []
        self._revision = -1

    def is_up_to_date(self) -> bool:
        """Whether nothing was changed since the last look."""
        return self._store.revision == self._revision

    def look(self) -> None:
        """Find what is near each edit; in a snapshot, or in a transaction before anything is written."""
        self._revision = self._store.revision
        if self._judge is not None:
            rivals = _Rivals(self._store, self._searcher, self._known)
            self._near = [rivals.of(edit) for edit in self._edits]

    def contradictions(self) -> list[list[Contradiction]]:
        """For each edit those that it contradicts, the nearest first; asks what was not asked before.

        Raises:
            ValueError: `same_fact` gave another number of values than it was asked for.
        """
        if self._judge is None:
            return [[] for _ in self._edits]
        return [_contradicted(edit, near, self._judge) for edit, near in zip(self._edits, self._near, strict=True)]


class _Judge:
    """Asks a `SameFact`, and each question only once."""

    def __init__(self, same_fact: SameFact) -> None:
        self._same_fact = same_fact
        self._said: dict[tuple[str, str], bool] = {}

    def __call__(self, wording: str, others: Sequence[str]) -> list[bool]:
        """Which of several wordings ask for the same fact as one does.

        Raises:
            ValueError: It gave another number of values than it was asked for.
        """
        new = [other for other in others if (wording, other) not in self._said]
        verdicts = list(self._same_fact(wording, new)) if new else []
        if len(verdicts) != len(new):
            raise ValueError(f"same_fact must give one value for each of {len(new)} wordings, got {len(verdicts)}")
        self._said.update(zip(((wording, other) for other in new), map(bool, verdicts), strict=True))
        return [self._said[wording, other] for other in others]


class _Rivals:
    """Finds what is near the edits of one call: stored edits, and those that came before in the call.

    One that came before stands for the stored edit that it is going to update.
    """

    def __init__(self, store: EditStore, searcher: Searcher, known: Mapping[str, Vectors]) -> None:
        self._store, self._searcher, self._known = store, searcher, known
        self._index = VectorIndex(searcher.dimension)
        self._earlier: dict[str, Edit] = {}
        self._updated: set[str] = set()

    def of(self, edit: Edit) -> list[Hit]:
        """The edits nearest to any wording of an edit when it begins to be valid, nearest first.

        From then on it is one that came before.
        """
        queries = np.stack([self._known[text] for text in edit.wordings])
        instant = max(datetime.now(UTC), edit.valid_from or edit.created_at)
        hits = chain.from_iterable(self._searcher.search(queries, NEAREST, edit.namespace, instant, self._updated))
        matches = chain.from_iterable(self._index.search(edit.namespace, queries, NEAREST, instant))
        earlier = ((self._earlier[match.edit_id], match) for match in matches)
        more = (Hit(other, other.wordings[match.wording], match.score) for other, match in earlier)
        best: dict[Edit, Hit] = {}
        for hit in chain(hits, more):
            if hit.edit not in best or hit.score > best[hit.edit].score:
                best[hit.edit] = hit
        self._add(edit, queries)
        return sorted(best.values(), key=lambda hit: -hit.score)[:NEAREST]

    def _add(self, edit: Edit, vectors: Vectors) -> None:
        namespace, key = fact_key(edit)
        if updated := self._store.find(namespace, key):
            self._updated.add(updated.id)
        name = f"{namespace}\0{key}"  # no text of an edit holds a null character
        self._index.discard([name])
        self._index.put([IndexEntry(name, namespace, edit.valid_from, edit.valid_until, vectors)])
        self._earlier[name] = edit


def _contradicted(edit: Edit, near: Sequence[Hit], judge: _Judge) -> list[Contradiction]:
    """The contradictions between an edit and those that were found near it."""
    others = [hit for hit in near if fact_key(hit.edit) != fact_key(edit) and differ(edit, hit.edit)]
    verdicts = judge(edit.prompt, [hit.wording for hit in others])
    return [
        Contradiction(edit, hit.edit, same_prompt=False) for hit, same in zip(others, verdicts, strict=True) if same
    ]
