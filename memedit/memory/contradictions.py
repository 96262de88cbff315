"""When two edits answer the same question differently, and what is done about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, get_args

from memedit.edits import Edit
from memedit.errors import InvalidEditError
from memedit.memory.wordings import prompt_key

SameFact = Callable[[str, list[str]], Iterable[bool]]
"""Tells for a wording which of several others ask for the same fact; one truth value for each."""

Policy = Literal["newest", "refuse", "keep"]
"""What becomes of an edit that contradicts another; see `EditMemory.add`."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two edits of one fact with different answers.

    Attributes:
        edit: The edit that is being added; it has no id yet.
        other: The edit that it contradicts: one that is stored, or came before in the same call.
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


def is_over(edit: Edit) -> bool:
    """Whether an edit has expired, so that its answer contradicts none."""
    return edit.valid_until is not None and edit.valid_until <= datetime.now(UTC)


def fact_key(edit: Edit) -> tuple[str, str]:
    """What two edits have in common of which the later one updates the earlier one."""
    return edit.namespace, prompt_key(edit.prompt)


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
