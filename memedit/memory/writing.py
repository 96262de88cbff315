"""`Writer`: what a change of the memory writes, with the vectors it needs."""

from __future__ import annotations

import secrets
from collections import ChainMap
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from memedit.edits import Edit
from memedit.errors import InvalidEditError
from memedit.memory.drafts import check_refusal
from memedit.memory.encoding import TextEncoder, Vectors, encode_texts
from memedit.memory.store import GONE, Action, EditStore, Event
from memedit.memory.wordings import prompt_key

ID_BYTES = 6


class Writer:
    """Writes events to a store.

    Its owner holds the lock and, where noted, a transaction in which it has seen to it that the
    stored vectors are this encoder's.
    """

    def __init__(self, store: EditStore, encoder: TextEncoder) -> None:
        """Write to `store` with vectors of `encoder`."""
        self._store, self._encoder = store, encoder

    def missing(self, edits: Sequence[Edit]) -> list[str]:
        """Those wordings whose vectors are not stored with the current state of their edit."""
        current = self._store.get(edit.id for edit in edits)
        stored = {(edit.id, text) for edit in current.values() for text in edit.wordings}
        return [text for edit in edits for text in edit.wordings if (edit.id, text) not in stored]

    def put(self, draft: Edit, same: Edit | None, known: dict[str, Vectors]) -> Edit:
        """Store a draft as a new edit, or as the new state of the edit with its prompt; in a transaction.

        Args:
            draft: What is to be stored.
            same: The current edit with its prompt.
            known: Vectors of its wordings.

        Raises:
            InvalidEditError: It is to erase an answer, and names that answer as the refusal.
        """
        if same is None:
            edit = replace(draft, id=self._fresh_id())
            return self._append(Action.ADDED, edit, None, known).edit
        check_refusal(same, draft)
        edit = replace(draft, id=same.id, created_at=same.created_at)
        return self._append(Action.UPDATED, edit, same, known).edit

    def revert(self, event: Event, known: dict[str, Vectors]) -> Event:
        """Take back one event of `EditStore.undoable`, newest first; in a transaction."""
        before = self._store.state_before(event)
        current = self._store.get([event.edit.id])
        if before is None:
            return self.write(Action.REMOVED, current[event.edit.id], known, event.revision)
        action = Action.UPDATED if current else Action.RESTORED
        return self.write(action, before, known, event.revision)

    def write(
        self,
        action: Action,
        edit: Edit,
        known: dict[str, Vectors],
        reverts: int | None = None,
    ) -> Event:
        """Append one event; in a transaction. `known` spares encoding, but need not suffice.

        Raises:
            InvalidEditError: Another edit of the namespace has this prompt.
        """
        if action in GONE:
            return self._store.append(action, edit, None, reverts)
        same = self._store.find(edit.namespace, prompt_key(edit.prompt))
        if same is not None and same.id != edit.id:
            raise InvalidEditError(
                f"edit {same.id!r} of namespace {edit.namespace!r} has this prompt already: {same.prompt!r}"
            )
        return self._append(action, edit, self._store.get([edit.id]).get(edit.id), known, reverts)

    def _append(
        self,
        action: Action,
        edit: Edit,
        current: Edit | None,
        known: dict[str, Vectors],
        reverts: int | None = None,
    ) -> Event:
        """Append one event with the vectors that the edit needs, if those of its `current` state will not do."""
        if current is not None and current.wordings == edit.wordings:
            return self._store.append(action, edit, None, reverts)
        stored: dict[str, Vectors] = {}
        if current is not None:
            for entry in self._store.entries([edit.id]):
                if entry.vectors is not None:
                    stored.update(zip(current.wordings, entry.vectors, strict=True))
        found = ChainMap(stored, known)
        # Not all need be there: another process may have changed the edit since `known` was made.
        if missing := [text for text in edit.wordings if text not in found]:
            found.maps.append(encode_texts(self._encoder, missing))
        vectors = np.stack([found[text] for text in edit.wordings])
        return self._store.append(action, edit, vectors, reverts)

    def _fresh_id(self) -> str:
        while True:
            candidate = secrets.token_hex(ID_BYTES)
            if not self._store.history(candidate):
                return candidate
