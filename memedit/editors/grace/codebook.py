"""A codebook: keys, values and radii beside a layer (GRACE, Hartvigsen et al. 2023, section 3)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import torch
from torch import Tensor

from memedit.edits import Edit

_APART = 1 - 1e-5
"""Balls that share the way between two keys do not touch."""


@dataclass(frozen=True)
class Entry:
    """What one edit has in the codebook.

    Attributes:
        edit_id: The edit.
        revision: The edit's revision it was fitted for.
        target: Its target, which is also the label that the rules of Algorithm 1 compare.
        layer: The block beside which it stands.
        values: What stands in place of the layer's output: a vector for each token of the answer,
            or a single one; float32, shape (k, size), k = 0 while only the key was placed.
        key: The layer's output at the prompt's last token; float32, shape (size,).
        radius: The entry is meant by activations at most this far from the key (epsilon).
        subject_key: The layer's output at the subject's last token, or None.
        subject_radius: The same for the subject's key.
    """

    edit_id: str
    revision: int
    target: str
    layer: int
    values: Tensor
    key: Tensor
    radius: float
    subject_key: Tensor | None = None
    subject_radius: float = 0.0

    def fits(self, edit: Edit) -> bool:
        """Whether this is the edit in the very state it was fitted for."""
        return (self.edit_id, self.revision, self.target) == (edit.id, edit.revision, edit.target)


class Rule(StrEnum):
    """What Algorithm 1 does with a new edit."""

    NEW = "new"
    """No key is near: the edit has a key of its own."""
    EXPANDED = "expanded"
    """The nearest key has the same label: its radius grows to reach the edit."""
    SPLIT = "split"
    """The nearest key has another label: both keys share the way between them."""
    REPLACED = "replaced"
    """Another label stands at the very same place: the newer edit wins."""


@dataclass(frozen=True)
class Placement:
    """Where Algorithm 1 puts a new edit.

    Attributes:
        rule: The rule that applies.
        radius: The radius that the edit's own entry is to have.
        shared: The edit whose expanded entry serves the new one too, which needs none of its own.
    """

    rule: Rule
    radius: float
    shared: str | None = None


class Codebook:
    """Entries by their edit's id, found again by their keys with one matrix product.

    An edit has one entry: that of the state which was fitted last. Not safe for threads that write at once; the
    editor holds a lock.
    """

    def __init__(self, entries: Collection[Entry] = ()) -> None:
        self._entries = {entry.edit_id: entry for entry in entries}
        self._stacked: _Keys | None = None

    def __len__(self) -> int:
        """The number of entries."""
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        """The entries, the oldest first."""
        return iter(tuple(self._entries.values()))

    def get(self, edit: Edit) -> Entry | None:
        """The entry that was fitted for this edit in this state; one that was only placed is none."""
        entry = self._entries.get(edit.id)
        return entry if entry is not None and len(entry.values) and entry.fits(edit) else None

    def put(self, *entries: Entry) -> None:
        """Store entries, each in place of that of another state of its edit."""
        # Also of a newer one: a memory may have been restored from a backup.
        self._entries, self._stacked = {**self._entries, **{entry.edit_id: entry for entry in entries}}, None

    def of(self, edit_id: str) -> Entry | None:
        """The entry of an edit, whatever the state it was made for."""
        return self._entries.get(edit_id)

    def fill(self, edit: Edit, values: Tensor) -> None:
        """Give the entry of an edit its vectors, or others."""
        self._entries = {**self._entries, edit.id: replace(self._entries[edit.id], values=values)}
        self._stacked = None

    def prune(self, live: Collection[str]) -> int:
        """Drop the entries of all edits but `live` ones; returns how many were dropped."""
        kept = {name: entry for name, entry in self._entries.items() if name in live}
        dropped = len(self._entries) - len(kept)
        self._entries, self._stacked = kept, None
        return dropped

    def nearest(self, activations: Sequence[Tensor]) -> list[tuple[Entry, float]]:
        """For each query the entry whose key is nearest.

        Args:
            activations: For each query the layer's output at all of its tokens, shape (length, size).

        Returns:
            The entry, and its distance as a share of the radius: at most 1 means that it answers. An
            entry that has a subject's key too is as far as the farther of the two, the subject
            being looked for at every token. Nothing at all if the codebook is empty.
        """
        entries = tuple(self._entries.values())
        if not entries:
            return []
        keys = self._stacked = self._stacked or _Keys.of(entries)
        found = []
        for states in activations:
            away = _distances(states[-1:], keys.last)[0]
            shares = away / keys.radii
            if keys.with_subject.any():
                beside = _distances(states, keys.subjects).amin(dim=0) / keys.subject_radii
                away = shares = torch.where(keys.with_subject, torch.maximum(shares, beside), shares)
            best = int(away.argmin())
            found.append((entries[best], float(shares[best])))
        return found

    def place(self, key: Tensor, target: str, radius: float) -> Placement:
        """Make room for a new edit as Algorithm 1 does; the nearest entry's radius may change.

        Args:
            key: The new edit's key, float32, shape (size,).
            target: Its label.
            radius: The radius of a key that stands alone (epsilon).
        """
        entries = tuple(self._entries.values())
        if not entries:
            return Placement(Rule.NEW, radius)
        away = torch.linalg.vector_norm(torch.stack([entry.key for entry in entries]) - key, dim=1)
        best = int(away.argmin())
        near, distance = entries[best], float(away[best])
        if distance > near.radius + radius:
            return Placement(Rule.NEW, radius)
        if near.target == target:
            self._change(near, max(near.radius, distance))
            return Placement(Rule.EXPANDED, near.radius, near.edit_id)
        if distance == 0:
            self.prune([entry.edit_id for entry in entries if entry is not near])
            return Placement(Rule.REPLACED, near.radius)
        self._change(near, distance / 2 * _APART)
        return Placement(Rule.SPLIT, distance / 2 * _APART)

    def _change(self, entry: Entry, radius: float) -> None:
        self._entries = {**self._entries, entry.edit_id: replace(entry, radius=radius)}
        self._stacked = None


@dataclass(frozen=True)
class _Keys:
    """The keys of all entries, stacked: (m, size) and (m,)."""

    last: Tensor
    radii: Tensor
    with_subject: Tensor
    subjects: Tensor
    subject_radii: Tensor

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> _Keys:
        least = torch.finfo(torch.float32).tiny
        return cls(
            torch.stack([entry.key for entry in entries]),
            torch.tensor([max(entry.radius, least) for entry in entries]),
            torch.tensor([entry.subject_key is not None for entry in entries]),
            torch.stack([entry.key if entry.subject_key is None else entry.subject_key for entry in entries]),
            torch.tensor([max(entry.subject_radius, least) for entry in entries]),
        )


def _distances(states: Tensor, keys: Tensor) -> Tensor:
    """Euclidean distances, (n, m), by one matrix product."""
    squares = states.square().sum(1)[:, None] + keys.square().sum(1) - 2 * states @ keys.T
    return squares.clamp_min(0).sqrt()
