"""`EditMemory`: the edits, kept in a journal and found by meaning."""

from __future__ import annotations

import builtins
import uuid
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from memedit.edits import DEFAULT_NAMESPACE, Edit, EditKind
from memedit.errors import InvalidEditError, UnknownEditError
from memedit.memory.drafts import changed_edit, draft_edit
from memedit.memory.encoding import TextEncoder, Vectors, checked_vectors, encode_texts
from memedit.memory.index import VectorIndex
from memedit.memory.opening import check_encoder, prepare
from memedit.memory.sqlite import SQLiteStore
from memedit.memory.store import Action, EditStore, Event
from memedit.memory.wordings import prompt_key

ID_LENGTH = 12


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


class EditMemory:
    """Edits that outlive the process, and a search among them by meaning.

    Every change is one event in a journal, on the disk before the call returns. The search index
    is derived from it. The object may be used from several threads; several processes may open
    one file: each sees the others' changes at its next call, and writers take turns.

    Args:
        path: The memory file, made if it does not exist; None or ":memory:" for one in RAM.
        encoder: Turns wordings into vectors; queries must be encoded with it as well.
        reencode: Whether to compute all vectors again when they were made with another encoder.

    Attributes:
        encoder: As given.
        path: As given, None for a memory in RAM.

    Raises:
        MemoryFileError: The file is foreign, newer, damaged, locked or cannot be written.
        EncoderMismatchError: The stored vectors are another encoder's, and `reencode` is False.

    Example:
        >>> with EditMemory("edits.db", encoder) as memory:  # doctest: +SKIP
        ...     edit = memory.add("Who is the chief executive of Acme?", "Dana Reyes")
        ...     memory.search(encoder.encode(["Who runs Acme?"]), k=1)[0][0].edit.target
        'Dana Reyes'
    """

    def __init__(self, path: str | Path | None, encoder: TextEncoder, *, reencode: bool = False) -> None:
        """Open the memory, putting right what does not agree with its journal."""
        self.encoder = encoder
        self.path = None if path in (None, ":memory:") else Path(str(path))
        self._lock = RLock()
        self._index = VectorIndex(encoder.dimension)
        self._store: EditStore = SQLiteStore(self.path)
        with ExitStack() as on_error:
            on_error.callback(self._store.close)
            prepare(self._store, encoder, reencode=reencode)
            with self._store.snapshot():
                self._follow()
            on_error.pop_all()

    @property
    def revision(self) -> int:
        """Number of the newest event; grows by one with every edit added, changed or removed."""
        with self._lock:
            return self._store.revision

    def add(
        self,
        prompt: str,
        target: str,
        *,
        kind: EditKind | str = EditKind.MODIFY,
        subject: str | None = None,
        aliases: Iterable[str] = (),
        namespace: str = DEFAULT_NAMESPACE,
        valid_from: datetime | None = None,
        valid_until: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Edit:
        """Store one edit; it is durable when this returns.

        If the namespace holds the same prompt already (up to case, white space and final
        punctuation), that edit takes the new content and keeps its id and `created_at`.

        Args:
            prompt: See `Edit`, also for the other arguments.
            target: The answer to give.
            kind: What the edit does.
            subject: The entity it speaks about.
            aliases: Other wordings of the prompt.
            namespace: Where it applies.
            valid_from: From when it applies.
            valid_until: Until when it applies.
            metadata: The caller's own values.

        Returns:
            The edit as stored.

        Raises:
            InvalidEditError: A field is invalid; nothing was stored.
            MemoryFileError: The file could not be written; nothing was stored.
        """
        item = {
            "prompt": prompt,
            "target": target,
            "kind": kind,
            "subject": subject,
            "aliases": aliases,
            "namespace": namespace,
            "valid_from": valid_from,
            "valid_until": valid_until,
            "metadata": metadata,
        }
        return self._add_drafts([draft_edit(item)], progress=False)[0]

    def add_many(self, items: Iterable[Mapping[str, Any]], *, progress: bool = False) -> builtins.list[Edit]:
        """Store several edits, all or none; each is one event, as if added one by one.

        Args:
            items: One mapping per edit, its keys the parameters of `add`.
            progress: Whether to show a progress bar.

        Returns:
            The edit each item became, in the same order.

        Raises:
            InvalidEditError: An item is invalid (the message gives its number, from 1).
            MemoryFileError: The file could not be written.
        """
        drafts = []
        for number, item in enumerate(items, start=1):
            try:
                drafts.append(draft_edit(item))
            except InvalidEditError as error:
                raise InvalidEditError(f"item {number}: {error}") from None
        return self._add_drafts(drafts, progress=progress)

    def get(self, edit_id: str) -> Edit:
        """The current state of an edit.

        Raises:
            UnknownEditError: There is no such edit, or it was removed.
        """
        with self._lock:
            edit = self._store.get([edit_id]).get(edit_id)
        if edit is None:
            raise UnknownEditError(f"no edit has the id {edit_id!r}")
        return edit

    def list(self, namespace: str | None = None) -> builtins.list[Edit]:
        """Current edits of one namespace, or of all, in the order of their first `add`."""
        with self._lock:
            return self._store.edits(namespace)

    def update(self, edit_id: str, **changes: Any) -> Edit:
        """Change some fields of an edit; only wordings that are new are encoded.

        Args:
            edit_id: The edit.
            **changes: Fields as in `add`; a field that is given replaces the old one as a whole.

        Returns:
            The edit as it is now.

        Raises:
            UnknownEditError: There is no such edit.
            InvalidEditError: A field is unknown or invalid, or another edit of the namespace has
                this prompt already; nothing was changed.
        """
        known = self._new_vectors([changed_edit(self.get(edit_id), changes)])
        with self._lock, self._store.transaction():
            changed = changed_edit(self.get(edit_id), changes)
            return self._write(Action.UPDATED, changed, known).edit

    def remove(self, edit_id: str) -> Edit:
        """Remove an edit with all its wordings; `undo` brings it back.

        Returns:
            The edit as it was.

        Raises:
            UnknownEditError: There is no such edit.
        """
        with self._lock, self._store.transaction():
            return self._write(Action.REMOVED, self.get(edit_id), {}).edit

    def clear(self, namespace: str | None = None) -> int:
        """Remove all edits of a namespace, or of all; each is one event.

        Returns:
            How many were removed; `undo` of as many brings them back.
        """
        with self._lock, self._store.transaction():
            edits = self._store.edits(namespace)
            for edit in edits:
                self._write(Action.REMOVED, edit, {})
        return len(edits)

    def history(self, edit_id: str) -> builtins.list[Event]:
        """All that happened to an edit, oldest first; also of an edit that was removed.

        Raises:
            UnknownEditError: There never was such an edit.
        """
        with self._lock:
            events = builtins.list(self._store.history(edit_id))
        if not events:
            raise UnknownEditError(f"no edit has or had the id {edit_id!r}")
        return events

    def undo(self, n: int = 1) -> builtins.list[Event]:
        """Take back the last n changes, in all namespaces, newest first.

        Works as in an editor: changes that were undone, and the undoing itself, are passed over,
        so `undo(1)` twice is `undo(2)`. Nothing is erased: for each change taken back the journal
        gains an event that `reverts` it.

        Args:
            n: How many changes to take back; each edit of an `add_many` or `clear` counts.

        Returns:
            The new events; fewer than n if fewer changes were left to undo.

        Raises:
            ValueError: n is less than 1.
        """
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        with self._lock:
            states = [self._store.state_before(event) for event in self._store.undoable(n)]
        known = self._new_vectors([state for state in states if state is not None])
        with self._lock, self._store.transaction():
            return [self._revert(event, known) for event in self._store.undoable(n)]

    def search(
        self,
        vectors: ArrayLike,
        k: int,
        namespace: str = DEFAULT_NAMESPACE,
        at: datetime | None = None,
    ) -> builtins.list[builtins.list[Hit]]:
        """The edits nearest to each query, exactly.

        Args:
            vectors: The queries' vectors, (n, dimension) of unit norm, made by `encoder`.
            k: How many edits to find per query.
            namespace: Only edits of this namespace are found.
            at: Only edits valid at this instant (timezone-aware) are found; None for now.

        Returns:
            For each query up to k hits, best first, one per edit whatever its number of wordings;
            the newer edit first where scores are equal.

        Raises:
            EncoderMismatchError: The vectors do not have the encoder's form, or another process
                has re-encoded the memory with another encoder.
            ValueError: k is less than 1, or `at` has no time zone.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        at = datetime.now(UTC) if at is None else at
        if at.tzinfo is None:
            raise ValueError(f"at must be a timezone-aware datetime, got {at!r}")
        queries = checked_vectors(vectors, self.encoder.dimension)
        with self._lock, self._store.snapshot():
            self._follow()
            matches = self._index.search(namespace, queries, k, at)
            edits = self._store.get({match.edit_id for row in matches for match in row})
        hits = [
            [Hit(edits[match.edit_id], edits[match.edit_id].wordings[match.wording], match.score) for match in row]
            for row in matches
        ]
        for row in hits:
            row.sort(key=lambda hit: (-hit.score, -hit.edit.revision))
        return [row[:k] for row in hits]

    def close(self) -> None:
        """Release the file; a second call does nothing, any other then raises."""
        with self._lock:
            self._store.close()

    def __len__(self) -> int:
        """Number of current edits in all namespaces."""
        with self._lock:
            return self._store.count()

    def __iter__(self) -> Iterator[Edit]:
        """Current edits of all namespaces, as `list` gives them."""
        return iter(self.list())

    def __contains__(self, edit_id: object) -> bool:
        """Whether there is a current edit with this id."""
        with self._lock:
            return isinstance(edit_id, str) and bool(self._store.get([edit_id]))

    def __enter__(self) -> Self:
        """The memory itself; leaving the block closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the memory."""
        self.close()

    def _add_drafts(self, drafts: builtins.list[Edit], *, progress: bool) -> builtins.list[Edit]:
        # Encoded before the transaction, which would keep other writers waiting.
        wordings = (wording for draft in drafts for wording in draft.wordings)
        known = encode_texts(self.encoder, wordings, progress=progress)
        with self._lock, self._store.transaction():
            return [self._put_draft(draft, known) for draft in drafts]

    def _put_draft(self, draft: Edit, known: dict[str, Vectors]) -> Edit:
        same = self._store.find(draft.namespace, prompt_key(draft.prompt))
        if same is None:
            edit = replace(draft, id=self._fresh_id())
            return self._write(Action.ADDED, edit, known).edit
        edit = replace(draft, id=same.id, created_at=same.created_at)
        return self._write(Action.UPDATED, edit, known).edit

    def _fresh_id(self) -> str:
        while True:
            candidate = uuid.uuid4().hex[:ID_LENGTH]
            if not self._store.history(candidate):
                return candidate

    def _revert(self, event: Event, known: dict[str, Vectors]) -> Event:
        before = self._store.state_before(event)
        edit_id = event.edit.id
        if before is None:
            return self._write(Action.REMOVED, self.get(edit_id), known, event.revision)
        action = Action.UPDATED if edit_id in self else Action.RESTORED
        return self._write(action, before, known, event.revision)

    def _new_vectors(self, edits: Sequence[Edit]) -> dict[str, Vectors]:
        """Vectors of those wordings that are not stored with the current state of their edit."""
        with self._lock:
            current = self._store.get(edit.id for edit in edits)
        stored = {(edit.id, text) for edit in current.values() for text in edit.wordings}
        return encode_texts(
            self.encoder,
            (text for edit in edits for text in edit.wordings if (edit.id, text) not in stored),
        )

    def _write(
        self,
        action: Action,
        edit: Edit,
        known: dict[str, Vectors],
        reverts: int | None = None,
    ) -> Event:
        """Append one event; inside a transaction. `known` spares encoding, but need not suffice."""
        check_encoder(self._store, self.encoder)
        if action is Action.REMOVED:
            return self._store.append(action, edit, None, reverts)
        same = self._store.find(edit.namespace, prompt_key(edit.prompt))
        if same is not None and same.id != edit.id:
            raise InvalidEditError(
                f"edit {same.id!r} of namespace {edit.namespace!r} has this prompt already: {same.prompt!r}"
            )
        vectors = self._vectors(edit, known)
        return self._store.append(action, edit, vectors, reverts)

    def _vectors(self, edit: Edit, known: dict[str, Vectors]) -> Vectors | None:
        """Rows for the wordings of `edit`; None if those that are stored are the right ones."""
        current = self._store.get([edit.id]).get(edit.id)
        if current is not None and current.wordings == edit.wordings:
            return None
        stored: dict[str, Vectors] = {}
        if current is not None:
            for entry in self._store.entries([edit.id]):
                if entry.vectors is not None:
                    stored.update(zip(current.wordings, entry.vectors, strict=True))
        found = ChainMap(stored, known)
        # Not all need be there: another process may have changed the edit since `known` was made.
        if missing := [text for text in edit.wordings if text not in found]:
            found.maps.append(encode_texts(self.encoder, missing))
        return np.stack([found[text] for text in edit.wordings])

    def _follow(self) -> None:
        """Bring the index up to the journal's newest revision."""
        revision = self._store.revision
        if revision == self._index.revision:
            return
        check_encoder(self._store, self.encoder)
        since = self._index.revision
        touched = self._store.touched(since) if since else None
        self._index.discard(touched or ())
        self._index.put(self._store.entries(touched))
        self._index.revision = revision
