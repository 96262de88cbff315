"""One form for all data: a fact, the ways to ask for it, and what does not ask it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """One fact and what is known about asking for it.

    Attributes:
        source: The file it came from.
        subject: What it is about.
        label: Its relation (`labels.RULES`), or None.
        wordings: Texts that ask for it and may be an edit's prompt; the first is the usual one.
        queries: Other texts that ask for it.
        steps: Texts that name its subject and relation and cannot be answered without it.
        aliases: Texts that ask for it under another name of the subject.
        others: (family of near-miss, text) of texts that do not ask for it.
        answer: What the edit makes of it; "" if unknown.
    """

    source: str
    subject: str
    label: str | None
    wordings: tuple[str, ...]
    queries: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()
    answer: str = ""

    @property
    def asked(self) -> tuple[str, ...]:
        """Every text that asks for the fact itself, under its own name."""
        return (*self.wordings, *self.queries)


def normalise(text: str) -> str:
    """Lower case, words only: the form in which subjects are compared."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def templated(text: str, subject: str) -> str:
    """`text` with `{}` for its subject and single spaces."""
    return re.sub(r"\s+", " ", text.replace(subject, "{}")).strip()


def split_of(subject: str, seed: int) -> str:
    """`train`, `calibration` or `test`, by subject alone (88, 7 and 5 in a hundred)."""
    digest = hashlib.sha256(f"{seed}/{normalise(subject)}".encode()).digest()
    share = int.from_bytes(digest[:4], "big") / 2**32
    return "train" if share < 0.88 else "calibration" if share < 0.95 else "test"


def one_per_subject(facts: Iterable[Fact]) -> list[Fact]:
    """The last fact of each subject, in order of first mention."""
    return list({normalise(fact.subject): fact for fact in facts}.values())


class SubjectSet:
    """Subjects that can be looked for inside texts."""

    def __init__(self, subjects: Iterable[str]) -> None:
        """Store the normalised `subjects`."""
        self._subjects = {normalise(subject) for subject in subjects} - {""}
        self._longest = max((len(subject.split()) for subject in self._subjects), default=0)

    def mentioned_in(self, fact: Fact) -> bool:
        """Whether any text of `fact` names one of the subjects."""
        near = (text for _, text in fact.others)
        return any(self.found(text) for text in (fact.subject, *fact.asked, *fact.steps, *fact.aliases, *near))

    def having(self, words: set[str]) -> set[str]:
        """The subjects, normalised, that have all of `words`, normalised too, in their names."""
        return {subject for subject in self._subjects if words <= {*subject.split()}}

    def found(self, text: str) -> set[str]:
        """The subjects, normalised, that `text` names."""
        words = normalise(text).split()
        spans = (
            " ".join(words[start:end])
            for start in range(len(words))
            for end in range(start + 1, min(len(words), start + self._longest) + 1)
        )
        return {span for span in spans if span in self._subjects}
