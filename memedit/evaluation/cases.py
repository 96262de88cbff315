"""What an evaluation asks: one edit of a data set with the questions that test it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class LocalityKind(StrEnum):
    """How a prompt that is out of an edit's scope is related to that edit."""

    UNRELATED = "unrelated"
    """A question about something else."""
    NEIGHBOUR = "neighbour"
    """The edited relation of another subject."""
    SAME_SUBJECT = "same_subject"
    """Another relation of the edited subject."""
    FORGETFULNESS = "forgetfulness"
    """The edited relation with the new answer excluded in words (KnowEdit's `Forgetfulness`)."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One question beside an edit.

    Attributes:
        prompt: The question or the beginning of a sentence, as it is asked.
        answers: Accepted answers according to the data set; empty where it names none.
        kind: The data set's own name for this kind of question.
    """

    prompt: str
    answers: tuple[str, ...] = ()
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One edit of a data set with everything asked about it.

    Attributes:
        row: Number of the record in its file, from 1.
        prompt: The edit's own prompt.
        target: The answer to store.
        subject: The entity the edit speaks about, where the data names it.
        answers: Answers that count as the target; `target` is the first.
        old_answers: What was true before the edit, where the data says so.
        relation: The data set's identifier of the relation, where it has one.
        paraphrases: Other wordings of the prompt.
        locality: Prompts out of scope, by kind.
        portability: Questions whose answer follows from the edit.
    """

    row: int
    prompt: str
    target: str
    subject: str | None = None
    answers: tuple[str, ...] = ()
    old_answers: tuple[str, ...] = ()
    relation: str | None = None
    paraphrases: tuple[str, ...] = ()
    locality: Mapping[LocalityKind, tuple[Probe, ...]] = field(default_factory=dict)
    portability: tuple[Probe, ...] = ()

    def __post_init__(self) -> None:
        """Make the target the first accepted answer."""
        rest = tuple(answer for answer in self.answers if answer != self.target)
        object.__setattr__(self, "answers", (self.target, *rest))

    @property
    def wordings(self) -> tuple[str, ...]:
        """The prompt and its paraphrases: all ways in which the data asks the edited fact."""
        return (self.prompt, *self.paraphrases)


@dataclass(frozen=True, slots=True)
class Dataset:
    """The usable records of one file.

    Attributes:
        cases: In the order of the file.
        dropped: How many records were left out, by reason.
    """

    cases: tuple[Case, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)
