"""Edits written as short passages, each on a topic of its own, with questions that it answers and leaves open.

Where the templates of `statements` give many statements on few topics, these give one each on very many: what a
passage leaves open is learned from topics, not from names. The passages are TOML files in the folder `passages` beside
this module, written for this project, with invented names. Each holds `[[passage]]` tables:

    text = "The Harlow Lane bathhouse takes cards only from 3 May. …"
    about = "Harlow Lane bathhouse"       # occurs in the text and in most questions
    similar = "Harlow Road bathhouse"     # another thing of that kind, with nearly the same name
    answered = ["Can I pay cash at the Harlow Lane bathhouse?", …]
    open = ["How much is a season ticket for the Harlow Lane bathhouse?", …]
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.scope_data.statements import Statement
from training.scope_data.tables import as_texts, known_keys, load_tables

TRAINING = (
    "work", "trade", "state", "community", "knowledge", "technology", "people", "history", "leisure", "media", "home",
    "daily", "rules", "corrections", "transport", "health", "money", "learning", "assistant", "stories", "systems",
    "places", "companies", "government", "sport", "science", "software", "policies", "culture", "lives", "consumer",
    "education", "personal", "environment", "incidents", "worlds", "offices", "newswire", "updates", "gazetteer",
    "nature", "contracts", "procedures", "messages", "minutes", "goods", "venues", "research", "industry", "works",
    "contests", "biographies", "institutions",
)  # fmt: skip
"""The files to train on."""

HELD_OUT = ("held_out",)
"""The files that are only measured on; their domains are in no other."""

_FOLDER = Path(__file__).with_name("passages")


@dataclass(frozen=True)
class Passage:
    """A passage and what may be asked beside it.

    Attributes:
        text: The passage, as an edit's prompt.
        about: The name of what it is about.
        similar: A name of something else that looks much like it.
        answered: Questions that it answers.
        open: Questions about the same thing that it does not answer.
    """

    text: str
    about: str
    similar: str
    answered: tuple[str, ...]
    open: tuple[str, ...]

    def renamed(self) -> Passage:
        """The same, told and asked of the thing with the similar name."""
        text, *asked = self._of_the_other((self.text, *self.answered, *self.open))
        answered, left_open = asked[: len(self.answered)], asked[len(self.answered) :]
        return Passage(text, self.similar, self.about, tuple(answered), tuple(left_open))

    def as_statement(self) -> Statement:
        """It in the form that statements have, each question a part of its own."""
        named = [text for text in self.answered if self._is_named_in(text)]
        others = self._of_the_other(named)
        return Statement(self.about, self.text, tuple((text,) for text in self.answered), self.open, tuple(others))

    def _is_named_in(self, text: str) -> bool:
        return self.about.casefold() in text.casefold()

    def _of_the_other(self, texts: Iterable[str]) -> list[str]:
        name = re.compile(re.escape(self.about), re.IGNORECASE)

        def other(match: re.Match[str]) -> str:
            # Who writes without capitals does so for every name.
            return self.similar.casefold() if match[0].islower() else self.similar

        return [name.sub(other, text) for text in texts]


def load_passages(*names: str, folder: Path = _FOLDER) -> list[Passage]:
    """Read and check the files `names`.

    Args:
        names: File names without ".toml", such as those in `TRAINING`.
        folder: Where the files are.

    Raises:
        ValueError: If a file is not as the module says; names file, passage and fault.
        FileNotFoundError: If there is no such file.
    """
    return load_tables(names, folder, "passage", title="about", make=_passage, faults=_faults)


def _passage(table: Mapping[str, Any]) -> Passage:
    known_keys(table, {"text", "about", "similar", "answered", "open"})
    asked = (as_texts(table[name], name) for name in ("answered", "open"))
    return Passage(table["text"], table["about"], table["similar"], *asked)


def _faults(passage: Passage) -> Iterable[str]:
    about, similar = passage.about.casefold(), passage.similar.casefold()
    if about not in passage.text.casefold():
        yield "the text does not name what it is about"
    if similar in passage.text.casefold() or similar == about:
        yield f"{passage.similar!r} is no other thing"
    if len(passage.answered) < 3 or len(passage.open) < 3:
        yield f"expected 3 questions of each kind at least, got {len(passage.answered)} and {len(passage.open)}"
    for text in passage.open:
        if about not in text.casefold():
            yield f"the open question {text!r} does not name what the passage is about"
    for text in {*passage.answered} & {*passage.open}:
        yield f"{text!r} cannot be answered and open"
