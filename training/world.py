"""The small world of true facts that mini is taught: countries, cities, companies and people."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from training.relations import CHAINS, WORLD, Relation

_FOLDER = Path(__file__).parent / "world"
_RELATIONS = {relation.name: relation for relation in WORLD}


@dataclass(frozen=True)
class Fact:
    """One true sentence: `relation(subject) = object`."""

    subject: str
    relation: Relation
    object: str


def load_world() -> list[Fact]:
    """Read the tables under `training/world` into facts, one per cell."""
    facts: list[Fact] = []

    def add(subject: str, relation: str, value: str) -> None:
        facts.append(Fact(subject, _RELATIONS[relation], value))

    countries = _read("countries.csv")
    country_of = {row["capital"]: row["country"] for row in countries}
    for row in countries:
        for column in ("capital", "language", "currency", "continent", "demonym"):
            add(row["country"], column, row[column])
    country_of |= {row["city"]: row["country"] for row in _read("cities.csv")}
    names = {row["country"] for row in countries}
    for city, country in country_of.items():
        if city not in names:
            add(city, "city_country", country)
    for row in _read("companies.csv"):
        add(row["company"], "headquarters", row["city"])
        add(row["company"], "company_country", country_of[row["city"]])
        add(row["company"], "founder", row["founder"])
        add(row["company"], "industry", row["industry"])
    for row in _read("people.csv"):
        add(row["person"], "citizenship", row["country"])
        add(row["person"], "birthplace", row["birthplace"])
        add(row["person"], "occupation", row["occupation"])
    return facts


def one_step(facts: list[Fact]) -> dict[str, list[tuple[Relation, str]]]:
    """What is known about each possible first object: `{"Japan": [(capital, "Tokyo"), …]}`."""
    known: dict[str, list[tuple[Relation, str]]] = {}
    chainable = {name for names in CHAINS.values() for name in names}
    for fact in facts:
        if fact.relation.name in chainable:
            known.setdefault(fact.subject, []).append((fact.relation, fact.object))
    return known


def chained(first: Relation, second: Relation, subject: str) -> list[str]:
    """Wordings that ask `second` of whatever `first` of `subject` is.

    The last one is held out of training, as in `Relation`.
    """
    link = first.phrase.format(subject)
    return [wording.format(link) for wording in (*second.clozes[:2], *second.questions)]


def _read(name: str) -> list[dict[str, str]]:
    with (_FOLDER / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
