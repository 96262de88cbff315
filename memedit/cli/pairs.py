"""Files of labelled pairs, and of edits to make them from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from memedit.errors import DatasetError

if TYPE_CHECKING:
    from memedit.edits import Edit

FEWEST = 5
"""Pairs of each class without which nothing can be said."""

LabelledPairs = list[tuple[tuple[str, str], int]]


def read_pairs(path: Path) -> LabelledPairs:
    """Pairs of (edit wording, query) with their labels.

    Args:
        path: JSON or JSON Lines of `{"edit": wording, "query": …, "in_scope": true or false}`.

    Raises:
        DatasetError: The file cannot be read, or a record has another form.
    """
    from memedit.transfer.records import read_records

    found: LabelledPairs = []
    for record in read_records(path):
        label = record.values.get("in_scope")
        if label not in (True, False):
            raise record.error(f"in_scope must be true or false, got {label!r}")
        found.append(((record.text("edit"), record.text("query")), int(label)))
    return found


def read_edits(path: Path) -> list[Edit]:
    """Edits with prompt, target, and aliases and subject where these are given.

    Raises:
        DatasetError: The file cannot be read, a record has another form, or there are none.
    """
    from memedit.edits import Edit
    from memedit.transfer.records import read_records

    found = [
        Edit(
            id=str(record.row),
            prompt=record.text("prompt"),
            target=record.text("target"),
            subject=None if record.values.get("subject") is None else record.text("subject"),
            aliases=record.texts("aliases"),
        )
        for record in read_records(path)
    ]
    if not found:
        raise DatasetError(f"{path} holds no edits")
    return found


def without_own_words(labelled: LabelledPairs) -> LabelledPairs:
    """Without queries that repeat the edit's wording: these are in scope whatever the classifier says."""
    from memedit.memory.wordings import prompt_key

    return [item for item in labelled if prompt_key(item[0][0]) != prompt_key(item[0][1])]


def counts(labelled: LabelledPairs) -> tuple[int, int]:
    """How many are in scope, and how many are not."""
    inside = sum(label for _, label in labelled)
    return inside, len(labelled) - inside


def unzip(labelled: LabelledPairs) -> tuple[list[tuple[str, str]], list[int]]:
    """Pairs and labels apart."""
    return [pair for pair, _ in labelled], [label for _, label in labelled]
