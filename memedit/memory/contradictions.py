"""When two edits answer the same question differently, and what is done about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, get_args

import numpy as np

from memedit.edits import Edit
from memedit.errors import InvalidEditError
from memedit.memory.encoding import Vectors
from memedit.memory.searching import Hit, Searcher
from memedit.memory.wordings import prompt_key

NEAREST = 8
"""How many of the nearest edits are looked at."""

SameFact = Callable[[str, list[str]], Iterable[bool]]
"""Tells for a wording which of several others ask for the same fact; one truth value for each."""

Policy = Literal["newest", "refuse", "keep"]
"""What becomes of an edit that contradicts another; see `EditMemory.add`."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two edits of one fact with different answers.

    Attributes:
        edit: The edit that is being added; it has no id yet.
        other: The stored edit that it contradicts.
        same_prompt: Whether their prompts are the same words, so that `other` is to be updated.
    """

    edit: Edit
    other: Edit
    same_prompt: bool


OnContradiction = Policy | Callable[[Contradiction], Policy]
"""A policy for all contradictions, or what chooses one for each."""


class ContradictionError(InvalidEditError):
    """An edit was refused because it contradicts others.

    Attributes:
        contradictions: Each of them, at least one.
    """

    def __init__(self, contradictions: Sequence[Contradiction]) -> None:
        """Name the contradicted edits, but not their answers."""
        self.contradictions = tuple(contradictions)
        others = ", ".join(f"{each.other.id!r} ({each.other.prompt!r})" for each in contradictions)
        super().__init__(
            f"another answer is stored for what {contradictions[0].edit.prompt!r} asks, by edit {others}; "
            "update or remove that one, or add with another policy than 'refuse'"
        )


def differ(edit: Edit, other: Edit) -> bool:
    """Whether two edits of one fact contradict each other: their targets are not the same words."""
    return prompt_key(edit.target) != prompt_key(other.target)


def rivals(searcher: Searcher, edit: Edit, known: Mapping[str, Vectors]) -> list[Hit]:
    """The edits nearest to any wording of an edit when it begins to be valid, nearest first.

    Args:
        searcher: Finds them; its owner holds a snapshot.
        edit: The edit, stored or not.
        known: Vectors of its wordings.
    """
    queries = np.stack([known[text] for text in edit.wordings])
    instant = max(datetime.now(UTC), edit.valid_from or edit.created_at)
    best: dict[str, Hit] = {}
    for hits in searcher.search(queries, NEAREST, edit.namespace, instant):
        for hit in hits:
            if hit.edit.id not in best or hit.score > best[hit.edit.id].score:
                best[hit.edit.id] = hit
    return sorted(best.values(), key=lambda hit: -hit.score)[:NEAREST]


def contradicted(edit: Edit, hits: Sequence[Hit], same_fact: SameFact) -> list[Contradiction]:
    """The contradictions between an edit and those that were found near it.

    Raises:
        ValueError: `same_fact` gave another number of values than it was asked for.
    """
    key = prompt_key(edit.prompt)
    rivals = [
        hit for hit in hits if hit.edit.id != edit.id and prompt_key(hit.edit.prompt) != key and differ(edit, hit.edit)
    ]
    if not rivals:
        return []
    verdicts = list(same_fact(edit.prompt, [hit.wording for hit in rivals]))
    if len(verdicts) != len(rivals):
        raise ValueError(f"same_fact must give one value for each of {len(rivals)} wordings, got {len(verdicts)}")
    return [
        Contradiction(edit, hit.edit, same_prompt=False) for hit, same in zip(rivals, verdicts, strict=True) if same
    ]


def settled(draft: Edit, found: Sequence[Contradiction], policy: OnContradiction) -> Edit:
    """The edit that is to be stored where a draft contradicts others.

    Args:
        draft: What the caller wants to add.
        found: What it contradicts.
        policy: What to do about it.

    Returns:
        The draft, its priority raised to that of the edits over which it is to win.

    Raises:
        ContradictionError: It is refused.
        ValueError: The policy is none.
    """
    chosen = [(each, policy(each) if callable(policy) else policy) for each in found]
    for _, choice in chosen:
        check_policy(choice)
    if refused := [each for each, choice in chosen if choice == "refuse"]:
        raise ContradictionError(refused)
    beaten = [each.other.priority for each, choice in chosen if choice == "newest" and not each.same_prompt]
    return replace(draft, priority=max(draft.priority, *beaten)) if beaten else draft


def check_policy(policy: object) -> None:
    """Check that a caller named a policy.

    Raises:
        ValueError: It is none.
    """
    if policy not in get_args(Policy):
        raise ValueError(f"on_contradiction must be one of {', '.join(get_args(Policy))}, got {policy!r}")
