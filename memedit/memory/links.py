"""The graph of facts: edits whose subject is another edit's target.

Where "The head of Acme is" is edited to "Dana Reyes", an edit of "Dana Reyes lives in" follows
from it: a question about the head of Acme may need both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from memedit.edits import Edit, EditKind
from memedit.memory.store import EditStore
from memedit.memory.wordings import prompt_key

_SHORTEST_NAME_BYTES = 3
"""Shorter texts, such as "a" and "no", are found in prompts that do not speak of them."""
_FIRST_IDEOGRAPH = "\u2e80"
"""From here on Unicode has scripts that put no space between words."""


@dataclass(frozen=True, slots=True)
class Links:
    """The edits that one edit is linked with, nearest first; itself is never among them.

    Attributes:
        onward: Edits that speak about its target.
        back: Edits whose target it speaks about.
    """

    onward: tuple[Edit, ...]
    back: tuple[Edit, ...]


def find_links(store: EditStore, edit: Edit, depth: int, at: datetime) -> Links:
    """The edits of its namespace that an edit is linked with.

    Args:
        store: Where to look.
        edit: The edit.
        depth: How many links may lie between it and another.
        at: Only edits that are valid at this instant are found.
    """

    def walk(step: Callable[[EditStore, Edit], Iterable[Edit]]) -> tuple[Edit, ...]:
        seen, ring = {edit.id: edit}, [edit]
        for _ in range(depth):
            reached = {other.id: other for each in ring for other in step(store, each) if other.is_valid_at(at)}
            ring = [other for other in reached.values() if other.id not in seen]
            seen.update((other.id, other) for other in ring)
            if not ring:
                break
        return tuple(seen.values())[1:]

    return Links(walk(_onward), walk(_back))


def _onward(store: EditStore, edit: Edit) -> list[Edit]:
    if edit.kind is EditKind.ERASE:
        return []
    key = prompt_key(edit.target)
    return [
        other
        for other in store.about(edit.namespace, key)
        if other.subject is not None or _names(prompt_key(other.prompt), key)
    ]


def _back(store: EditStore, edit: Edit) -> list[Edit]:
    if edit.subject is not None:
        return store.answering(edit.namespace, prompt_key(edit.subject), exactly=True)
    text = prompt_key(edit.prompt)
    found = store.answering(edit.namespace, text, exactly=False)
    return [other for other in found if _names(text, prompt_key(other.target))]


def _names(text: str, name: str) -> bool:
    """Whether `name` occurs in `text` as whole words; both are keys."""
    if len(name.encode()) < _SHORTEST_NAME_BYTES:
        return False
    start = text.find(name)
    while start >= 0:
        end = start + len(name)
        if not _joined(text[start - 1 : start + 1]) and not _joined(text[end - 1 : end + 1]):
            return True
        start = text.find(name, start + 1)
    return False


def _joined(pair: str) -> bool:
    """Whether two neighbouring characters belong to one word; at an end of the text there is one only."""
    return len(pair) == 2 and all(character.isalnum() and character < _FIRST_IDEOGRAPH for character in pair)
