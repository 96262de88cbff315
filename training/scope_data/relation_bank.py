"""Hand-written ways to ask for every relation, to tell it, to ask it back, and to ask one step beyond it.

The texts are the TOML files in `relations/`: one table for each label of `labels.RULES`, and in
`_outer` one for each kind of answer that something further can be asked about.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.scope_data.labels import RULES

FOLDER = Path(__file__).with_name("relations")
_OUTER = "_outer"
_MINIMUM = {"questions": 5, "clozes": 3, "statements": 2, "inner": 0, "inverse": 0}


@dataclass(frozen=True)
class Relation:
    """One relation in words; `{}` stands for the subject unless said otherwise.

    Attributes:
        label: Its name in `labels.RULES`.
        questions: Wordings that ask for the answer, in many tones.
        clozes: Sentence beginnings that the answer completes.
        statements: Sentences that hold the answer as `{answer}`.
        inner: Noun phrases that name the answer; they fill the outer templates of `answer_kind`.
        answer_kind: Kind of the answer, a key of `read_outer`; empty if nothing further is asked about it.
        inverse: Questions and clozes with the answer as `{}` that ask back for the subject.
    """

    label: str
    questions: tuple[str, ...]
    clozes: tuple[str, ...]
    statements: tuple[str, ...]
    inner: tuple[str, ...]
    answer_kind: str
    inverse: tuple[str, ...]


def read_relations(folder: Path = FOLDER) -> dict[str, Relation]:
    """Every relation by label, in the order of `labels.RULES`.

    Raises:
        ValueError: If a table or template is missing, unknown or malformed; the message names it.
    """
    tables, outer = _read(folder)
    labels = [rule.label for rule in RULES]
    _expect_same(f"labels in {folder}", expected=set(labels), found=set(tables))
    kinds = {"", *outer}
    return {label: _relation(label, tables[label], kinds) for label in labels}


def read_outer(folder: Path = FOLDER) -> dict[str, tuple[str, ...]]:
    """Templates of second steps by kind of answer; `{}` stands for an inner noun phrase.

    Raises:
        ValueError: If a template is malformed; the message names it.
    """
    _, outer = _read(folder)
    for kind, table in outer.items():
        _expect_same(f"keys of {_OUTER}.{kind}", expected={"templates"}, found=set(table))
    return {kind: _templates(f"{_OUTER}.{kind}", table["templates"], minimum=12) for kind, table in outer.items()}


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    tables: dict[str, Any] = {}
    for path in sorted(folder.glob("*.toml")):
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        if twice := sorted(set(tables) & set(found)):
            raise ValueError(f"each table must be in one file of {folder}, but {path.name} has {twice} again")
        tables.update(found)
    outer = tables.pop(_OUTER, {})
    return tables, outer


def _relation(label: str, table: dict[str, Any], kinds: set[str]) -> Relation:
    _expect_same(f"keys of {label}", expected={*_MINIMUM, "answer_kind"}, found=set(table))
    if table["answer_kind"] not in kinds:
        raise ValueError(f"answer_kind of {label} must be one of {sorted(kinds)}, not {table['answer_kind']!r}")
    if bool(table["answer_kind"]) != bool(table["inner"]):
        raise ValueError(f"{label} must have both an answer_kind and inner phrases, or neither")
    lists = {
        name: _templates(f"{label}.{name}", table[name], minimum=minimum, answer=name == "statements")
        for name, minimum in _MINIMUM.items()
    }
    return Relation(label=label, answer_kind=table["answer_kind"], **lists)


def _templates(where: str, texts: object, *, minimum: int, answer: bool = False) -> tuple[str, ...]:
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{where} must be a list of strings, not {texts!r}")
    if len(texts) < minimum:
        raise ValueError(f"{where} must have at least {minimum} templates, not {len(texts)}")
    for text in texts:
        _check(where, text, answer=answer)
    if len(set(texts)) < len(texts):
        raise ValueError(f"{where} has a template twice: {sorted(text for text in texts if texts.count(text) > 1)}")
    return tuple(texts)


def _check(where: str, text: str, *, answer: bool) -> None:
    wanted = 1 if answer else 0
    if text.count("{}") != 1 or text.count("{answer}") != wanted or text.count("{") != 1 + wanted:
        fields = "one {} and one {answer}" if answer else "one {} and no other field"
        raise ValueError(f"{where}: each template must have exactly {fields}, not {text!r}")
    if text != " ".join(text.split()):
        raise ValueError(f"{where}: a template must have single spaces and none at its ends, not {text!r}")


def _expect_same(what: str, *, expected: set[str], found: set[str]) -> None:
    if expected != found:
        raise ValueError(f"{what}: missing {sorted(expected - found)}, unknown {sorted(found - expected)}")
