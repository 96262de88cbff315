"""Things that people store edits about, and what they ask about them, each in several ways.

The facts of public data are about some ninety relations. Here are many more, of everyday things too, and beside each
one that is easily taken for it: opens and closes, founder and owner, height and weight. The kinds of things are TOML
files in the folder `aspects` beside this module, written for this project. Each holds `[[kind]]` tables:

    kind = "gym"
    subjects = ["Corvel Gym", "Corbel Gym", …]    # those that look alike beside each other
    aspects = [                                   # those that are alike beside each other
        ["When does {} open on weekdays?", "On weekdays, {} opens at", …],    # all ask for the same thing
        ["When does {} close on weekdays?", …],
    ]
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memedit.scope.augment import Augmenter
from training.scope_data.pairs import Pair
from training.scope_data.tables import as_texts, known_keys, load_tables

TRAINING = ("places", "people", "organisations", "services", "products", "works", "private")
"""The files to train on."""

HELD_OUT = ("held_out",)
"""The files that are only measured on; their kinds are in no other."""

_FOLDER = Path(__file__).with_name("aspects")


@dataclass(frozen=True)
class Kind:
    """A kind of things.

    Attributes:
        name: What they are.
        subjects: Names of some of them.
        aspects: For each thing that is asked about them, templates that ask for it; `{}` stands for the name.
    """

    name: str
    subjects: tuple[str, ...]
    aspects: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class AspectEdit:
    """An edit about one aspect of one thing, and what may be asked beside it.

    Attributes:
        wording: Its prompt.
        queries: Other ways to ask for the same.
        misses: Queries about other aspects of the thing.
        other: A query about the same aspect of another thing of the kind.
    """

    wording: str
    queries: tuple[str, ...]
    misses: tuple[str, ...]
    other: str


def load_kinds(*names: str, folder: Path = _FOLDER) -> list[Kind]:
    """Read and check the files `names`.

    Args:
        names: File names without ".toml", such as those in `TRAINING`.
        folder: Where the files are.

    Raises:
        ValueError: If a file is not as the module says; names file, kind and fault.
        FileNotFoundError: If there is no such file.
    """
    return load_tables(names, folder, "kind", title="kind", make=_kind, faults=_faults)


def draw_edits(kind: Kind, rng: random.Random, *, without: Collection[str] = ()) -> Iterator[AspectEdit]:
    """Edits about half of the aspects of half of the things; what misses and the other ask for is in none of them.

    Args:
        kind: The kind of things.
        rng: Chooses aspects and templates.
        without: Names to leave out.
    """
    subjects = [subject for subject in kind.subjects if subject not in without]
    places = range(len(kind.aspects))
    for subject, other in zip(subjects[0::2], subjects[1::2], strict=False):
        if rng.random() < 0.5:
            subject, other = other, subject
        stored = rng.sample(places, len(places) // 2)
        free = [place for place in places if place not in stored]
        for place in stored:
            wording, *queries = (text.replace("{}", subject) for text in _shuffled(kind.aspects[place], rng))
            nearest = min(free, key=lambda candidate: abs(candidate - place))
            misses = (rng.choice(kind.aspects[missed]) for missed in (nearest, rng.choice(free)))
            near = _shuffled(kind.aspects[place], rng)[0].replace("{}", other)
            yield AspectEdit(wording, tuple(queries), tuple(text.replace("{}", subject) for text in misses), near)


def aspect_pairs(edits: Iterable[AspectEdit], augment: Augmenter) -> Iterator[Pair]:
    """Labelled pairs: of each edit two queries that mean it, two about another aspect and one about another thing."""
    for edit in edits:
        for query in edit.queries[:2]:
            yield Pair(edit.wording, augment(query), in_scope=True, family="aspect")
        for query in edit.misses:
            yield Pair(edit.wording, augment(query), in_scope=False, family="other_aspect")
        yield Pair(edit.wording, augment(edit.other), in_scope=False, family="other_thing")


def _kind(table: Mapping[str, Any]) -> Kind:
    known_keys(table, {"kind", "subjects", "aspects"})
    aspects = tuple(as_texts(aspect, "aspects") for aspect in table["aspects"])
    return Kind(table["kind"], as_texts(table["subjects"], "subjects"), aspects)


def _shuffled(templates: Sequence[str], rng: random.Random) -> list[str]:
    return rng.sample(templates, len(templates))


def _faults(kind: Kind) -> Iterator[str]:
    if len(kind.subjects) < 4 or len(kind.aspects) < 4:
        yield f"expected 4 subjects and 4 aspects at least, got {len(kind.subjects)} and {len(kind.aspects)}"
    if len(set(kind.subjects)) < len(kind.subjects):
        yield "a subject stands twice"
    templates = [text for aspect in kind.aspects for text in aspect]
    for text in templates:
        if text.count("{}") != 1 or text.count("{") != 1:
            yield f"each template must have exactly one {{}} and no other field, not {text!r}"
        if templates.count(text) > 1:
            yield f"{text!r} cannot ask for two things"
    for aspect in kind.aspects:
        if len(aspect) < 3:
            yield f"expected 3 ways to ask at least, got {len(aspect)}: {aspect}"
