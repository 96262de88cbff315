"""Edits written as free statements, and the questions about them, filled from templates.

The templates are TOML files in the folder `statements` beside this module. Each holds `[[event]]` tables:

    topic = "club moves to another stadium"
    key = ["club"]                # the slots that say what the statement is about
    slots = { club = "club", venue = "venue", old = "venue", day = ["Monday", "Friday"] }
    statements = ["{club} will play at {venue} …", …]
    misses = ["Who coaches {club}?", …]    # questions about the same key that it does not answer
    [[event.part]]                # one for each thing that every statement tells
    answer = "{venue}"
    questions = ["Where does {club} play?", …]

A slot is of one of the kinds in `values.KINDS` or a list of strings to choose from. Articles before a
slot are made to fit its value, and a lower-case value that begins a sentence is capitalised.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.scope_data.tables import as_texts, known_keys, load_tables
from training.scope_data.values import KINDS, draw_value, similar_value

TRAINING = (
    "business", "policy", "culture", "science", "civic", "sport", "everyday", "technical", "society", "workplace",
    "press", "travel", "nature", "state", "wellbeing", "learning", "industry",
)  # fmt: skip
"""The files to train on."""

HELD_OUT = ("held_out",)
"""The files that are only measured on."""

_FOLDER = Path(__file__).with_name("statements")
_SLOT = re.compile(r"\{(\w+)\}")
_FILLED = re.compile(r"(?P<start>^|[.!?]\s+)?(?:\b(?P<article>[Aa]n?|[Tt]he) )?\{(?P<slot>\w+)\}")
_VOWEL_SOUND = re.compile(r"[AEIOUaeiou]|8|1[18]\b|[FHLMNRSX](?=[A-Z]{0,2}-?\d)")
_CONSONANT_SOUND = re.compile(r"eu|one\b|uni|us[ae]|u[A-Z]{0,2}-?\d", re.IGNORECASE)
_FRESH_TRIES = 20
_SIMILAR = 0.5
"""Share of near-misses whose other name is nearly the same."""


@dataclass(frozen=True)
class Part:
    """One thing a statement tells.

    Attributes:
        answer: Template of the answer.
        questions: Templates that ask for it.
    """

    answer: str
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Event:
    """Templates for one topic.

    Attributes:
        topic: What the statements are about, in a few words.
        key: The slots that name it.
        slots: The kind of each slot, or the strings it is chosen from.
        statements: Forms of the statement, each of which tells all parts.
        misses: Questions about the key that no statement answers.
        parts: What the statements tell.
    """

    topic: str
    key: tuple[str, ...]
    slots: Mapping[str, str | tuple[str, ...]]
    statements: tuple[str, ...]
    misses: tuple[str, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Statement:
    """One filled statement and what may be asked beside it.

    Attributes:
        topic: The topic of its event.
        wording: The statement, as an edit's prompt.
        questions: For each part, the questions that it answers.
        misses: Questions about the same thing that it does not answer.
        others: Its questions asked of other things, many with nearly the same name.
    """

    topic: str
    wording: str
    questions: tuple[tuple[str, ...], ...]
    misses: tuple[str, ...]
    others: tuple[str, ...]


def load_events(*names: str, folder: Path = _FOLDER) -> list[Event]:
    """Read and check the template files `names`.

    Args:
        names: File names without ".toml", such as those in `TRAINING`.
        folder: Where the files are.

    Raises:
        ValueError: If a file is not as the module says; names file, topic and fault.
        FileNotFoundError: If there is no such file.
    """
    return load_tables(names, folder, "event", title="topic", make=_event, faults=_faults)


def draw_statements(events: Iterable[Event], rng: random.Random, count: int) -> list[Statement]:
    """Fill `count` statements, each of a random event; what they are about seldom repeats.

    Args:
        events: The templates to choose from.
        rng: Decides everything: the same state gives the same statements.
        count: How many to fill.

    Raises:
        ValueError: If there are no events.
    """
    pool, used = tuple(events), set[tuple[str, ...]]()
    if not pool:
        raise ValueError("expected at least one event to fill, got none")
    return [_draw_one(rng.choice(pool), rng, used) for _ in range(count)]


def _event(table: Mapping[str, Any]) -> Event:
    known_keys(table, {"topic", "key", "slots", "statements", "misses", "part"})
    parts = []
    for part in table["part"]:
        known_keys(part, {"answer", "questions"})
        parts.append(Part(part["answer"], as_texts(part["questions"], "questions")))
    return Event(
        table["topic"],
        as_texts(table["key"], "key"),
        {name: kind if isinstance(kind, str) else as_texts(kind, name) for name, kind in table["slots"].items()},
        as_texts(table["statements"], "statements"),
        as_texts(table["misses"], "misses"),
        tuple(parts),
    )


def _faults(event: Event) -> Iterable[str]:
    questions = [text for part in event.parts for text in part.questions]
    texts = [*event.statements, *questions, *event.misses, *(part.answer for part in event.parts)]
    yield from _slot_faults(event, texts)
    told = set(event.key).union(*(_slots_of(part.answer) for part in event.parts))
    for text in event.statements:
        if missing := told - _slots_of(text):
            yield f"the statement {text!r} lacks the slots {sorted(missing)}"
    for text in (*questions, *event.misses):
        if not _slots_of(text) & set(event.key):
            yield f"{text!r} names no key slot (one of {list(event.key)})"
        if (questions + list(event.misses)).count(text) > 1:
            yield f"{text!r} is there twice"
    counts = [
        ("statements", len(event.statements), 3),
        ("parts", len(event.parts), 2),
        ("misses", len(event.misses), 5),
    ]
    counts += [(f"questions for {part.answer!r}", len(part.questions), 4) for part in event.parts]
    for name, count, least in counts:
        if count < least:
            yield f"expected at least {least} {name}, got {count}"


def _slot_faults(event: Event, texts: Iterable[str]) -> Iterable[str]:
    for name, kind in event.slots.items():
        if isinstance(kind, str) and kind not in KINDS:
            yield f"the slot {name!r} is of the unknown kind {kind!r}; known are {sorted(KINDS)}"
        if name in event.key and not isinstance(kind, str) and len(set(kind)) < 2:
            yield f"the key slot {name!r} needs two values or more, so that others can be asked about"
    for name in event.key:
        if name not in event.slots:
            yield f"the key slot {name!r} is not declared"
    for text in texts:
        for name in sorted(_slots_of(text) - set(event.slots)):
            yield f"the slot {name!r} of {text!r} is not declared"
        if "{" in (rest := _SLOT.sub("", text)) or "}" in rest:
            yield f"{text!r} has braces that are no slot"


def _slots_of(text: str) -> set[str]:
    return set(_SLOT.findall(text))


def _draw_one(event: Event, rng: random.Random, used: set[tuple[str, ...]]) -> Statement:
    for _ in range(_FRESH_TRIES):
        values = _draw_values(event, rng)
        key = tuple(values[name] for name in event.key)
        if key not in used:
            break
    used.add(key)
    form = rng.choice(event.statements)
    questions = tuple(tuple(_fill(text, values) for text in part.questions) for part in event.parts)
    others = (_other(event, values, text, rng) for part in event.parts for text in part.questions)
    asked = {text for part in questions for text in part}
    return Statement(
        event.topic,
        _fill(form, values),
        questions,
        tuple(_fill(text, values) for text in event.misses),
        tuple(dict.fromkeys(text for text in others if text is not None and text not in asked)),
    )


def _draw_values(event: Event, rng: random.Random) -> dict[str, str]:
    """A value for each slot, no two of them equal where the choice allows it."""
    values: dict[str, str] = {}
    for name, kind in event.slots.items():
        for _ in range(_FRESH_TRIES):
            values[name] = draw_value(kind, rng) if isinstance(kind, str) else rng.choice(kind)
            if list(values.values()).count(values[name]) == 1:
                break
    return values


def _other(event: Event, values: Mapping[str, str], text: str, rng: random.Random) -> str | None:
    """`text` asked of something else: one of the key slots it names, or all, get another value."""
    named = [name for name in event.key if name in _slots_of(text)]
    changed = dict(values)
    for name in named if rng.random() < 0.5 else [rng.choice(named)]:
        kind, value = event.slots[name], values[name]
        for _ in range(_FRESH_TRIES):
            if not isinstance(kind, str):
                changed[name] = rng.choice(kind)
            elif rng.random() < _SIMILAR:
                changed[name] = similar_value(kind, value, rng)
            else:
                changed[name] = draw_value(kind, rng)
            if changed[name] not in values.values():
                break
        else:
            return None
    return _fill(text, changed)


def _fill(text: str, values: Mapping[str, str]) -> str:
    def filled(match: re.Match[str]) -> str:
        value, start, article = values[match["slot"]], match["start"], match["article"]
        if article:
            value = _with_article(article, value)
        elif start is not None and value.split()[0].islower():
            value = value[0].upper() + value[1:]
        return (start or "") + value

    return _FILLED.sub(filled, text)


def _with_article(article: str, value: str) -> str:
    """`value` after `article`: "a" or "an" by its sound, and never "the The Hague"."""
    if article.lower() == "the":
        return f"{article} {value.removeprefix('The ')}"
    vowel = _VOWEL_SOUND.match(value) and not _CONSONANT_SOUND.match(value)
    return f"{article[0]}{'n' if vowel else ''} {value}"
