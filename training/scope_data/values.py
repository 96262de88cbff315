"""Values for the slots of statements: real names, and names composed so that few repeat.

Values stand without an article. Those that need one in running text ("the Netherlands") are left out.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from training.world import load_world

_REAL = 0.25
"""Share of real names among those that can also be composed."""

_WITH_ARTICLE = {
    "Czech Republic", "Dominican Republic", "Ivory Coast", "Netherlands", "Philippines", "United Arab Emirates",
    "United Kingdom", "United States",
}  # fmt: skip
_PARTED = {"person", "company", "club", "university", "organisation", "product", "title", "venue", "street", "region"}
"""Kinds whose names may be put together from parts of two others."""
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def draw_value(kind: str, rng: random.Random) -> str:
    """A random value of `kind` (one of `KINDS`)."""
    return KINDS[kind](rng)


def similar_value(kind: str, value: str, rng: random.Random) -> str:
    """A value of `kind` easily confused with `value`: another number, first name, surname or ending.

    Falls back to any value of the kind where nothing similar can be made; never returns `value`.
    """
    numbers = list(re.finditer(r"\d+", value)) if kind != "time" else []
    if numbers:
        number = numbers[-1] if kind == "date" else rng.choice(numbers)
        changed = max(1, int(number[0]) + rng.choice((-3, -2, -1, 1, 2, 3, 10)))
        width = len(number[0]) if number[0].startswith("0") or "," in value[: number.start()] else 0
        swapped = value[: number.start()] + str(changed).zfill(width) + value[number.end() :]
        return swapped if swapped != value else _another(kind, value, rng)
    if kind in {"city", "region"} and " " not in value:
        return f"{rng.choice(('New', 'East', 'West', 'Upper', 'South'))} {value}"
    if kind in _PARTED:
        words = _parted(kind, value)
        for _ in range(10 if len(words) > 1 else 0):
            other = _parted(kind, _another(kind, value, rng))
            if len(other) == len(words):
                # A title may begin with an article, which the rest has to fit.
                last = kind == "title" or rng.random() < 0.6
                near = [*words[:-1], other[-1]] if last else [other[0], *words[1:]]
                if near != words and len(set(near)) == len(near):
                    return " ".join(near)
    return _another(kind, value, rng)


def _parted(kind: str, value: str) -> list[str]:
    return value.split(maxsplit=1) if kind == "person" else value.split()


def _another(kind: str, value: str, rng: random.Random) -> str:
    while True:
        other = draw_value(kind, rng)
        if other != value:
            return other


@cache
def _words() -> dict[str, list[str]]:
    return tomllib.loads(Path(__file__).with_name("values.toml").read_text(encoding="utf-8"))


@cache
def _known(relation: str) -> list[str]:
    """The subjects of `relation` in the world of true facts, such as every city."""
    subjects = {fact.subject for fact in load_world() if fact.relation.name == relation}
    return sorted(subjects - _WITH_ARTICLE)


def _pick(rng: random.Random, name: str) -> str:
    return rng.choice(_words()[name])


def _listed(name: str) -> Callable[[random.Random], str]:
    return lambda rng: _pick(rng, name)


def _joined(start: str, end: str) -> Callable[[random.Random], str]:
    return lambda rng: f"{_pick(rng, start)} {_pick(rng, end)}"


def _person(rng: random.Random) -> str:
    if rng.random() < 0.02:
        return rng.choice(_known("citizenship"))
    return f"{_pick(rng, 'first_names')} {_pick(rng, 'surnames')}"


def _city(rng: random.Random) -> str:
    if rng.random() < 2 * _REAL:
        return rng.choice(_known("city_country"))
    return _pick(rng, "town_starts") + _pick(rng, "town_ends")


def _region(rng: random.Random) -> str:
    region = _pick(rng, "regions")
    if " " in region or rng.random() < 0.5:
        return region
    return f"{rng.choice(('Upper', 'Lower', 'North', 'South', 'East', 'West', 'Central'))} {region}"


def _company(rng: random.Random) -> str:
    shape = rng.random()
    if shape < _REAL:
        return rng.choice(_known("headquarters"))
    if shape < 0.4:
        return f"{_pick(rng, 'surnames')} & {rng.choice(('Co', 'Sons', 'Partners', _pick(rng, 'surnames')))}"
    start = _pick(rng, "company_words") if shape < 0.8 else _pick(rng, "surnames")
    return f"{start} {_pick(rng, 'company_ends')}"


def _club(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return f"{_pick(rng, 'club_starts')} {_city(rng)}"
    return f"{_city(rng)} {_pick(rng, 'club_ends')}"


def _university(rng: random.Random) -> str:
    shape = rng.random()
    if shape < 0.6:
        return f"{_city(rng)} University"
    if shape < 0.75:
        return f"University of {_city(rng)}"
    return f"{_city(rng)} {rng.choice(('Institute of Technology', 'College', 'Business School', 'School of Art'))}"


def _product(rng: random.Random) -> str:
    shape = rng.random()
    word = _pick(rng, "product_words")
    if shape < 0.4:
        return f"{word} {rng.choice((*range(2, 16), 100, 200, 250, 300, 400, 500, 700, 900, 1000, 2000))}"
    if shape < 0.5:
        return f"{word} {rng.choice('ABCEGKMQRSTVXZ')}{rng.randint(1, 90)}"
    return f"{word} {_pick(rng, 'product_ends')}"


def _title(rng: random.Random) -> str:
    adjective = _pick(rng, "title_adjectives")
    noun, other = rng.sample(_words()["title_nouns"], 2)
    shapes = (
        f"The {adjective} {noun}", f"The {adjective} {noun}", f"{adjective} {noun}", f"The {noun} and the {other}",
        f"The {noun} of {_city(rng)}", f"{noun} Without {other}", f"A {adjective} {noun}",
        f"{_pick(rng, 'first_names')} and the {noun}", f"Beyond the {noun}", f"Under a {adjective} {noun}",
    )  # fmt: skip
    return re.sub(r"\b([Aa]) (?=[AEIOU])", r"\1n ", rng.choice(shapes))


def _street(rng: random.Random) -> str:
    if rng.random() < 0.15:
        return _pick(rng, "real_streets")
    return f"{_pick(rng, 'streets')} {_pick(rng, 'street_ends')}"


def _date(rng: random.Random) -> str:
    return f"{rng.randint(1, 28)} {rng.choice(_MONTHS)} {rng.randint(2018, 2035)}"


def _year(rng: random.Random) -> str:
    return str(rng.randint(1960, 2040))


def _time(rng: random.Random) -> str:
    shape = rng.random()
    hour, minute = rng.randint(7, 22), rng.choice((0, 0, 15, 30, 30, 45))
    if shape < 0.3:
        return f"{hour:02d}:{minute:02d}"
    half = "am" if hour < 12 else "pm"
    return f"{(hour - 1) % 12 + 1}{f':{minute:02d}' if minute else ''} {half}"


def _number(rng: random.Random) -> str:
    number = round(10 ** rng.uniform(1.1, 4.6))
    if number > 200 and rng.random() < 0.7:
        number = number // 50 * 50
    return f"{number:,}"


def _money(rng: random.Random) -> str:
    sign, shape = rng.choice("$$€€£"), rng.random()
    if shape < 0.1:
        return f"{sign}{round(10 ** rng.uniform(2.0, 3.9)) * 100:,}"
    if shape < 0.14:
        return f"{sign}{rng.uniform(1, 30):.1f} billion"
    amount = 10 ** rng.uniform(0.1, 2.7)
    return f"{sign}{amount:.{1 if amount < 20 else 0}f} million"


def _percent(rng: random.Random) -> str:
    figure = str(rng.randint(2, 95)) if rng.random() < 0.65 else f"{rng.uniform(0.3, 40):.1f}"
    return f"{figure}{rng.choice(('%', '%', ' percent'))}"


def _duration(rng: random.Random) -> str:
    unit = rng.choice(("days", "weeks", "weeks", "months", "months", "years"))
    return f"{_pick(rng, 'count_words')} {unit}" if rng.random() < 0.8 else f"{rng.randint(13, 90)} {unit}"


def _code(rng: random.Random) -> str:
    letters = "".join(rng.choice("ABCDEFGHJKLMNPRSTVWXZ") for _ in range(rng.randint(1, 3)))
    return f"{letters}{rng.choice(('-', '-', ''))}{rng.randint(2, 999)}"


KINDS: dict[str, Callable[[random.Random], str]] = {
    "person": _person,
    "city": _city,
    "country": lambda rng: rng.choice(_known("capital")),
    "region": _region,
    "company": _company,
    "club": _club,
    "university": _university,
    "organisation": _joined("organisation_words", "organisation_ends"),
    "product": _product,
    "title": _title,
    "venue": _joined("venue_words", "venue_ends"),
    "street": _street,
    "date": _date,
    "year": _year,
    "month": lambda rng: rng.choice(_MONTHS),
    "weekday": lambda rng: rng.choice(_WEEKDAYS),
    "time": _time,
    "number": _number,
    "money": _money,
    "percent": _percent,
    "duration": _duration,
    "code": _code,
    "animal": _listed("animals"),
    "food": _listed("foods"),
    "job": _listed("jobs"),
}
"""How to draw a value of each kind a slot may have."""
