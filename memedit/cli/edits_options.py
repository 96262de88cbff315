"""Options that several of the `memedit edits` commands have, and their values as edits take them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from memedit.cli.console import note
from memedit.edits import EditKind

if TYPE_CHECKING:
    from memedit.memory import Contradiction

EditId = Annotated[str, typer.Argument(help="Id of the edit.")]
Target = Annotated[str | None, typer.Option(help="The answer to give.")]
Kind = Annotated[EditKind | None, typer.Option(help="What the edit does.")]
Subject = Annotated[str | None, typer.Option(help="The entity it speaks about.")]
Aliases = Annotated[list[str] | None, typer.Option("--alias", help="Another wording of the prompt; repeatable.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="A label to find it by; repeatable.")]
Instant = Annotated[datetime | None, typer.Option(help="Local time, as 2026-01-31T12:00:00.")]
Metadata = Annotated[str | None, typer.Option(help="A JSON object with values of your own.")]
Priority = Annotated[int | None, typer.Option(help="Of two edits of one fact the higher one answers.")]
Editor = Annotated[str | None, typer.Option(help="Name of the editor that is to answer, such as grace.")]
AtRevision = Annotated[int | None, typer.Option("--at", help="As it was at this revision of the memory.")]
OnlyNamespace = Annotated[str | None, typer.Option("--namespace", help="Only this namespace.")]


class Policy(StrEnum):
    """What becomes of an edit that contradicts another."""

    NEWEST = "newest"
    REFUSE = "refuse"
    KEEP = "keep"


OnContradiction = Annotated[
    Policy, typer.Option(help="What to do with an edit that gives another answer than a stored one.")
]


def instant(value: datetime | None) -> datetime | None:
    """A time typed without a zone is meant in the zone of this machine."""
    if value is None:
        return None
    try:
        return value.astimezone(UTC)
    except (OverflowError, ValueError):  # the last instant there is, which some write for "never"
        return value.replace(tzinfo=UTC)


def json_object(text: str | None) -> dict[str, Any] | None:
    """Metadata as it was typed.

    Raises:
        typer.BadParameter: It is no JSON object.
    """
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"metadata must be a JSON object: {error}") from None
    if not isinstance(value, dict):
        raise typer.BadParameter(f"metadata must be a JSON object, got {text}")
    return value


def reported(policy: Policy) -> Callable[[Contradiction], Literal["newest", "refuse", "keep"]]:
    """The policy, with a line on stderr for each contradiction that it settles."""

    def settle(found: Contradiction) -> Literal["newest", "refuse", "keep"]:
        if policy is not Policy.REFUSE:  # the error tells of those
            note(f"{found.edit.prompt!r} had another answer in edit {found.other.id} ({policy.value})")
        return policy.value

    return settle
