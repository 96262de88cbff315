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


class PortabilityKind(StrEnum):
    """How a question whose answer follows from an edit is related to that edit."""

    ONE_HOP = "one_hop"
    """One step of reasoning from the edited fact."""
    ALIAS = "alias"
    """The edited relation of the subject under another name."""
    REVERSED = "reversed"
    """The edited relation backwards, or what else follows from it by logic."""
    COMPOSITIONAL = "compositional"
    """A chain of facts, the edited one among them."""
    OTHER = "other"
    """Anything else, such as a part of a long answer."""


_PORTABILITY_NAMES = {
    "reasoning": PortabilityKind.ONE_HOP,
    "portability": PortabilityKind.ONE_HOP,
    "onehop": PortabilityKind.ONE_HOP,
    "1hop": PortabilityKind.ONE_HOP,
    "subjectaliasing": PortabilityKind.ALIAS,
    "subjectreplace": PortabilityKind.ALIAS,
    "alias": PortabilityKind.ALIAS,
    "logicalgeneralization": PortabilityKind.REVERSED,
    "inverserelation": PortabilityKind.REVERSED,
    "reversedrelation": PortabilityKind.REVERSED,
    "reversed": PortabilityKind.REVERSED,
    "compositionalityi": PortabilityKind.COMPOSITIONAL,
    "compositionalityii": PortabilityKind.COMPOSITIONAL,
    "compositional": PortabilityKind.COMPOSITIONAL,
    **{f"{hops}hop": PortabilityKind.COMPOSITIONAL for hops in range(2, 10)},
}
"""Kinds by the data sets' names for them, without spaces, hyphens and underscores."""


def portability_kind(name: str) -> PortabilityKind:
    """The kind of portability that a data set's own name for its questions (`Probe.kind`) stands for.

    Case, spaces, hyphens and underscores do not count; `OTHER` for names that are not known.
    """
    return _PORTABILITY_NAMES.get(plain_name(name), PortabilityKind.OTHER)


def plain_name(name: str) -> str:
    """A data set's name for a kind of question, in the form by which names are compared."""
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


@dataclass(frozen=True, slots=True)
class Probe:
    """One question beside an edit.

    Attributes:
        prompt: The question or the beginning of a sentence, as it is asked.
        answers: Accepted answers according to the data set; empty where it names none.
        kind: The data set's own name for this kind of question.
        steps: The single questions on whose answers this one rests, where the data names them: if
            an edit changes the answer to one of them, `answers` no longer hold.
        parts: Where an answer must name several things, the accepted names of each; `answers` holds
            all of these names. Empty where any one of `answers` will do.
    """

    prompt: str
    answers: tuple[str, ...] = ()
    kind: str = ""
    steps: tuple[Probe, ...] = ()
    parts: tuple[tuple[str, ...], ...] = ()


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
        paraphrase_answers: Answers that count for a paraphrase where they differ, as in another
            language; otherwise `answers`.
        other_names: Other names of the subject, as in another language.
        group: Cases of one group (a record with several edits) must be stored together: questions
            about one of them may need all of them. None for a case by itself.
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
    paraphrase_answers: tuple[str, ...] = ()
    other_names: tuple[str, ...] = ()
    group: int | None = None

    def __post_init__(self) -> None:
        """Make the target the first accepted answer, and accept the answers for paraphrases as well."""
        rest = tuple(answer for answer in self.answers if answer != self.target)
        object.__setattr__(self, "answers", (self.target, *rest))
        if not self.paraphrase_answers:
            object.__setattr__(self, "paraphrase_answers", self.answers)

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
