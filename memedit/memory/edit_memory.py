"""`EditMemory`: the edits, kept in a journal and found by meaning."""

from __future__ import annotations

import builtins
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from memedit.edits import DEFAULT_NAMESPACE, MAX_REVISION, Edit, EditKind
from memedit.errors import InvalidEditError
from memedit.memory.comparing import Comparison
from memedit.memory.contradictions import (
    Contradiction,
    OnContradiction,
    SameFact,
    check_policy,
    differ,
    fact_key,
    is_over,
    settled,
)
from memedit.memory.drafts import changed_edit, draft_edit
from memedit.memory.encoding import TextEncoder, Vectors, checked_vectors, encode_texts
from memedit.memory.journal import Journal, checked_instant
from memedit.memory.opening import check_encoder, prepare
from memedit.memory.searching import Hit, Searcher
from memedit.memory.sqlite import SQLiteStore
from memedit.memory.store import Action, EditStore, Event
from memedit.memory.writing import Writer

__all__ = ["EditMemory", "Hit"]

logger = logging.getLogger(__name__)


class EditMemory(Journal):
    """Edits that outlive the process, and a search among them by meaning.

    Every change is one event in a journal, on the disk before the call returns. The search index
    is derived from it. The object may be used from several threads; several processes may open
    one file: each sees the others' changes at its next call, and writers take turns.

    Args:
        path: The memory file, made if it does not exist; None or ":memory:" for one in RAM.
        encoder: Turns wordings into vectors; queries must be encoded with it as well.
        reencode: Whether to compute all vectors again when they were made with another encoder.
        store: Another place for the journal than a file, with `path` None; the memory closes it.
        same_fact: Tells for a wording which of several others ask for the same fact. With it,
            `add` finds edits that it contradicts though their prompts are in other words.

    Attributes:
        encoder: As given.
        path: As given, None for a memory in RAM.
        same_fact: As given; may be set later.

    Raises:
        MemoryFileError: The file is foreign, newer, damaged, locked or cannot be written.
        EncoderMismatchError: The stored vectors are another encoder's, and `reencode` is False.
        ValueError: Both a path and a store are given.

    Example:
        >>> with EditMemory("edits.db", encoder) as memory:  # doctest: +SKIP
        ...     edit = memory.add("Who is the chief executive of Acme?", "Dana Reyes")
        ...     memory.search(encoder.encode(["Who runs Acme?"]), k=1)[0][0].edit.target
        'Dana Reyes'
    """

    def __init__(
        self,
        path: str | Path | None,
        encoder: TextEncoder,
        *,
        reencode: bool = False,
        store: EditStore | None = None,
        same_fact: SameFact | None = None,
    ) -> None:
        """Open the memory, putting right what does not agree with its journal."""
        if store is not None and path is not None:
            raise ValueError(f"expected a path or a store, got both: {str(path)!r} and a {type(store).__name__}")
        self.encoder = encoder
        self.path = None if path is None or str(path) == ":memory:" else Path(path)
        self.same_fact = same_fact
        super().__init__(SQLiteStore(self.path) if store is None else store)
        self._searcher = Searcher(self._store, encoder)
        self._writer = Writer(self._store, encoder)
        with ExitStack() as on_error:
            on_error.callback(self._store.close)
            prepare(self._store, encoder, reencode=reencode)
            self._searcher.fill()
            on_error.pop_all()

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
        tags: Iterable[str] = (),
        priority: int = 0,
        editor: str | None = None,
        on_contradiction: OnContradiction = "newest",
    ) -> Edit:
        """Store one edit; it is durable when this returns.

        If the namespace holds the same prompt already (up to case, white space and final
        punctuation), that edit takes the new content and keeps its id and `created_at`.

        An edit contradicts another if it gives a different answer to the same question: the same
        prompt or, where the memory has `same_fact`, one of the nearest that it holds to be the
        same fact, among those valid when the new edit begins to be. What then happens is
        the policy's choice (an edit that has expired contradicts none):

        * "newest": the new edit is to answer. It is stored with the highest priority of those it
          contradicts, if that is higher than its own; they stay.
        * "refuse": nothing is stored.
        * "keep": both stay as they are; the one of higher priority is to answer.

        Of one prompt there is only one edit: with "newest" and "keep" it is updated.

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
            tags: Labels to find it by.
            priority: Its rank among edits of one fact.
            editor: Who is to answer.
            on_contradiction: A policy, or a function that is told of each `Contradiction` and
                returns the policy for it.

        Returns:
            The edit as stored.

        Raises:
            InvalidEditError: A field is invalid; nothing was stored.
            ContradictionError: The policy is "refuse"; nothing was stored.
            MemoryFileError: The file could not be written; nothing was stored.
            ValueError: There is no such policy.
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
            "tags": tags,
            "priority": priority,
            "editor": editor,
        }
        return self._add_drafts([draft_edit(item)], on_contradiction, progress=False)[0]

    def add_many(
        self,
        items: Iterable[Mapping[str, Any]],
        *,
        progress: bool = False,
        on_contradiction: OnContradiction = "newest",
    ) -> builtins.list[Edit]:
        """Store several edits, all or none; each is one event, as if added one after the other.

        So an item may contradict an earlier one, or update it.

        Args:
            items: One mapping per edit, its keys the parameters of `add`.
            progress: Whether to show a progress bar.
            on_contradiction: As for `add`.

        Returns:
            The edit each item became, in the same order.

        Raises:
            InvalidEditError: An item is invalid (the message gives its number, from 1).
            ContradictionError: An item was refused.
            MemoryFileError: The file could not be written.
            ValueError: There is no such policy.
        """
        drafts = []
        for number, item in enumerate(items, start=1):
            try:
                drafts.append(draft_edit(item))
            except InvalidEditError as error:
                raise InvalidEditError(f"item {number}: {error}") from None
        return self._add_drafts(drafts, on_contradiction, progress=progress)

    def update(self, edit_id: str, **changes: Any) -> Edit:
        """Change some fields of an edit; only wordings that are new are encoded.

        Args:
            edit_id: The edit.
            **changes: Fields as in `add`; a field that is given replaces the old one as a whole.

        Returns:
            The edit as it is now.

        Raises:
            UnknownEditError: There is no such edit.
            InvalidEditError: A field is unknown or invalid, another edit of the namespace has
                this prompt already, or an edit that is to erase got no refusal; nothing was changed.
        """
        checked = changed_edit(self.get(edit_id), changes)
        known = self._new_vectors([checked])
        # Read from the edit, since what was given may be an iterator that is used up by now.
        changes = {name: getattr(checked, name) for name in changes}
        with self._writing():
            changed = changed_edit(self.get(edit_id), changes)
            return self._writer.write(Action.UPDATED, changed, known).edit

    def remove(self, edit_id: str) -> Edit:
        """Remove an edit with all its wordings; `restore` and `undo` bring it back.

        Returns:
            The edit as it was.

        Raises:
            UnknownEditError: There is no such edit.
        """
        with self._writing():
            return self._writer.write(Action.REMOVED, self.get(edit_id), {}).edit

    def restore(self, edit_id: str) -> Edit:
        """Bring a removed edit back as it was, in its old place.

        Returns:
            The edit as it is now.

        Raises:
            UnknownEditError: There never was such an edit, or it was purged.
            InvalidEditError: It is not removed, or another edit has its prompt by now.
        """
        known = self._new_vectors([self._removed(edit_id)])
        with self._writing():
            return self._writer.write(Action.RESTORED, self._removed(edit_id), known).edit

    def clear(self, namespace: str | None = None) -> int:
        """Remove all edits of a namespace, or of all; each is one event.

        Returns:
            How many were removed; `undo` of as many brings them back.
        """
        with self._writing():
            edits = self._store.edits(namespace)
            for edit in edits:
                self._writer.write(Action.REMOVED, edit, {})
        return len(edits)

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
        n = min(n, MAX_REVISION)
        with self._lock:
            states = [self._store.state_before(event) for event in self._store.undoable(n)]
        known = self._new_vectors([state for state in states if state is not None])
        with self._writing():
            return [self._writer.revert(event, known) for event in self._store.undoable(n)]

    def contradictions(self, edit_id: str) -> builtins.list[Contradiction]:
        """The edits that answer the same fact differently, by `same_fact`, nearest first.

        Raises:
            UnknownEditError: There is no such edit.
            ValueError: The memory has no `same_fact`.
        """
        if self.same_fact is None:
            raise ValueError("expected a memory with same_fact, got one without: it cannot compare other words")
        edit = self.get(edit_id)
        known = encode_texts(self.encoder, edit.wordings)
        comparison = Comparison(self._store, self._searcher, [edit], known, self.same_fact)
        with self._lock, self._store.snapshot():
            comparison.look()
        return comparison.contradictions()[0]

    def search(
        self,
        vectors: ArrayLike,
        k: int,
        namespace: str = DEFAULT_NAMESPACE,
        at: datetime | None = None,
        *,
        floor: float | None = None,
    ) -> builtins.list[builtins.list[Hit]]:
        """The edits nearest to each query; exactly, unless a namespace is large (see `VectorIndex`).

        Args:
            vectors: The queries' vectors, (n, dimension) of unit norm, made by `encoder`.
            k: How many edits to find per query.
            namespace: Only edits of this namespace are found.
            at: Only edits valid at this instant (timezone-aware) are found; None for now.
            floor: Of a query to which no edit is as similar as this, only the nearest edits are read, those that tie
                for the first place; None for no such limit.

        Returns:
            For each query up to k hits, best first, one per edit whatever its number of wordings;
            where scores are equal the edit of higher priority first, then the newer.

        Raises:
            EncoderMismatchError: The vectors do not have the encoder's form, or another process
                has re-encoded the memory with another encoder.
            ValueError: k is less than 1, or `at` has no time zone.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        instant = checked_instant(at)
        queries = checked_vectors(vectors, self.encoder.dimension)
        with self._lock, self._store.snapshot():
            return self._searcher.search(queries, k, namespace, instant, floor=floor)

    def next_change(self, namespace: str = DEFAULT_NAMESPACE, after: datetime | None = None) -> datetime | None:
        """The next instant at which an edit of a namespace begins or ends to be valid.

        Until then, and while `revision` stays the same, a search finds the same.

        Args:
            namespace: Where to look.
            after: The instant (timezone-aware) to look from; None for now.

        Returns:
            An instant later than `after`; None if there is none.

        Raises:
            EncoderMismatchError, ValueError: As for `search`.
        """
        instant = checked_instant(after)
        with self._lock, self._store.snapshot():
            return self._searcher.next_change(namespace, instant)

    def _add_drafts(self, drafts: Sequence[Edit], policy: OnContradiction, *, progress: bool) -> builtins.list[Edit]:
        if not callable(policy):
            check_policy(policy)
        # Encoded and compared before the transaction, which would keep other writers waiting.
        wordings = (wording for draft in drafts for wording in draft.wordings)
        known = encode_texts(self.encoder, wordings, progress=progress)
        comparison = Comparison(self._store, self._searcher, drafts, known, self.same_fact)
        with self._lock, self._store.snapshot():
            comparison.look()
        found = comparison.contradictions()
        edits, stored = [], dict[tuple[str, str], Edit]()
        with self._writing():
            if not comparison.is_up_to_date():
                comparison.look()
                found = comparison.contradictions()
            for draft, others in zip(drafts, found, strict=True):
                # What came before in the call is stored by now.
                others = [replace(each, other=stored.get(fact_key(each.other), each.other)) for each in others]
                edit = stored[fact_key(draft)] = self._put(draft, others, policy, known)
                edits.append(edit)
        return edits

    def _put(
        self, draft: Edit, found: Sequence[Contradiction], policy: OnContradiction, known: dict[str, Vectors]
    ) -> Edit:
        same = self._store.find(*fact_key(draft))
        others = [each.other.id for each in found]
        if same is not None and differ(draft, same) and not is_over(same):
            found = [Contradiction(draft, same, same_prompt=True), *found]
        edit = self._writer.put(settled(draft, found, policy), same, known)
        for other in others:
            logger.info("edit %s contradicts edit %s", edit.id, other)
        return edit

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction to which vectors of this memory's encoder may be added.

        Raises:
            EncoderMismatchError: The stored vectors are another encoder's.
        """
        with self._lock, self._store.transaction():
            check_encoder(self._store, self.encoder)
            yield

    def _new_vectors(self, edits: Sequence[Edit]) -> dict[str, Vectors]:
        """Vectors of the wordings that are not stored; made before a transaction begins."""
        with self._lock:
            missing = self._writer.missing(edits)
        return encode_texts(self.encoder, missing)
