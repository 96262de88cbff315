"""Labelled pairs from a user's own edits, with near-misses that are hard to tell from the real thing."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import faiss
import numpy as np

from memedit.edits import Edit
from memedit.memory.encoding import TextEncoder, encode_texts
from memedit.memory.wordings import prompt_key
from memedit.scope.augment import CONTEXTS, Augmenter
from memedit.scope.pairing import Pair

SEARCHED_PER_PAIR = 4
"""Neighbours to look at for each one taken: some may be the same fact in other words."""
BLOCK = 4096
"""Edits searched for at once: memory grows with this and not with the square of the edits."""


def pairs_from_edits(
    edits: Sequence[Edit],
    encoder: TextEncoder,
    *,
    near: int = 4,
    seed: int = 0,
    among: Sequence[Edit] | None = None,
    progress: bool = False,
) -> tuple[list[Pair], list[int]]:
    """Labelled pairs from a user's own edits: other wordings are positives, near-misses negatives.

    In scope is every wording of an edit. Out of scope are the nearest other edits that ask for
    something else and, where the edit names its `subject`, its own words about another edit's
    subject. Every query comes twice, as it stands and as people write: in lower case, without
    punctuation, with a slip, with courtesies, behind another sentence. Both labels get the same
    changes, so that these say nothing.

    Edits that may be the same fact make no pair: those with the same target, unless both name a
    subject and the subjects differ.

    Args:
        edits: The edits; those with aliases and subject teach most.
        encoder: Finds the nearest other edits.
        near: How many of them to take for each edit.
        seed: Chooses wordings, subjects and changes; the same seed gives the same pairs.
        among: Edits to take the near-misses from; None for `edits`.
        progress: Whether to show a progress bar while the edits are encoded.

    Returns:
        Pairs of (edit wording, query) and a label for each, 1 where in scope; no pair twice.

    Raises:
        ValueError: `near` is negative.
    """
    if near < 0:
        raise ValueError(f"near must not be negative, got {near}")
    rng = random.Random(seed)
    change = Augmenter(rng, CONTEXTS, rate=1.0)
    labelled: dict[Pair, int] = {}
    for edit in edits:
        pairs = [(edit.prompt, query) for query in edit.wordings]
        pairs += [(alias, edit.prompt) for alias in edit.aliases]
        _put(labelled, pairs, 1, change)
    others = edits if among is None else among
    subjects = list(dict.fromkeys(other.subject for other in others if other.subject))
    for edit, neighbours in _neighbours(edits, others, encoder, near * SEARCHED_PER_PAIR, progress=progress):
        different = [other for other in neighbours if asks_something_else(edit, other)]
        pairs = [(rng.choice(edit.wordings), rng.choice(other.wordings)) for other in different[:near]]
        pairs += _about_others(edit, different, subjects, rng)
        _put(labelled, pairs, 0, change)
    return list(labelled), list(labelled.values())


def asks_something_else(edit: Edit, other: Edit) -> bool:
    """Whether it is safe to say that two edits are different facts.

    Not for two with a wording in common, nor for two with the same target, unless both name a
    subject and these differ: "capital of France" and "birthplace of Corot" may both be Paris.
    """
    if {prompt_key(text) for text in edit.wordings} & {prompt_key(text) for text in other.wordings}:
        return False
    if prompt_key(edit.target) != prompt_key(other.target):
        return True
    return bool(edit.subject and other.subject and prompt_key(edit.subject) != prompt_key(other.subject))


def _neighbours(
    edits: Sequence[Edit], others: Sequence[Edit], encoder: TextEncoder, k: int, *, progress: bool
) -> Iterator[tuple[Edit, list[Edit]]]:
    """For each edit the `k` others nearest to its prompt, nearest first, itself left out by its words."""
    if not edits or not others:
        return
    found = encode_texts(encoder, (edit.prompt for edit in [*others, *edits]), progress=progress)
    index = faiss.IndexFlatIP(encoder.dimension)
    index.add(np.stack([found[other.prompt] for other in others]))
    for start in range(0, len(edits), BLOCK):
        block = edits[start : start + BLOCK]
        wanted = min(k + 1, len(others))
        _, places = index.search(np.stack([found[edit.prompt] for edit in block]), wanted)
        for edit, row in zip(block, places.tolist(), strict=True):
            near = [others[place] for place in row if place >= 0]
            yield edit, [other for other in near if other.id != edit.id or other.prompt != edit.prompt]


def _about_others(edit: Edit, near: Sequence[Edit], subjects: Sequence[str], rng: random.Random) -> list[Pair]:
    """The edit's own words about another subject: that of the nearest edit with another one, and any."""
    spoken = [text for text in edit.wordings if edit.subject and edit.subject in text]
    if not edit.subject or not spoken:
        return []
    candidates = [other.subject for other in near if other.subject], rng.sample(subjects, min(2, len(subjects)))
    own = prompt_key(edit.subject)
    names = [next((name for name in some if prompt_key(name) != own), None) for some in candidates]
    return [
        (rng.choice(edit.wordings), rng.choice(spoken).replace(edit.subject, name))
        for name in dict.fromkeys(names)
        if name is not None
    ]


def _put(labelled: dict[Pair, int], pairs: Sequence[Pair], label: int, change: Augmenter) -> None:
    """Add pairs and their changed twins; what has a label already keeps it."""
    for wording, query in pairs:
        labelled.setdefault((wording, query), label)
        if changed := change(query).strip():
            labelled.setdefault((wording, changed), label)
