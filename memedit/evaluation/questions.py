"""What is asked beside a memory of edits: drawn and cleaned before any model is touched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from memedit.edits import Edit
from memedit.evaluation.cases import Case, LocalityKind, Probe
from memedit.evaluation.cleaning import CleanCase, clean, clean_questions
from memedit.evaluation.decoding import Answer
from memedit.evaluation.scoring import is_exact
from memedit.evaluation.subject import RoutedQuery

RELIABILITY, GENERALITY, PORTABILITY = "reliability", "generality", "portability"
LOCALITY = frozenset(kind.value for kind in LocalityKind)


@dataclass(slots=True)
class Question:
    """One question that was asked, with what came back.

    Attributes:
        asks: `reliability`, `generality`, `portability` or a `LocalityKind`.
        probe: Prompt and accepted answers.
        scored: Whether it counts beside a clean memory.
        edit_id: The edit it belongs to; None for questions of no edit.
        row: Record of the data file it comes from, from 1; None for unrelated questions.
        route: The routing decision; None where the method takes none.
        answer: The edited model's answer.
        base_answer: The base's, of the same batch; asked for locality only.
        synthetic: Share of the target's tokens that are predicted where each is given those before
            it (teacher forcing), in [0, 1]; None unless that was asked for. No part of any other score.
        rival: What its edit made the answer to another question; for neighbours with an answer.
        prefers_true: Whether the answer is more probable than its rival (CounterFact's neighbourhood
            score); None unless teacher forcing was asked for.
        fluency: `n_gram_entropy` of a text written after the prompt, in bits; None if none was.
    """

    asks: str
    probe: Probe
    scored: bool
    edit_id: str | None = None
    row: int | None = None
    route: RoutedQuery | None = None
    answer: Answer | None = None
    base_answer: Answer | None = None
    synthetic: float | None = None
    rival: str | None = None
    prefers_true: bool | None = None
    fluency: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the answer is the base's, token for token; else whether it is accepted."""
        if self.answer is None:
            return False
        if self.base_answer is not None:
            return self.answer.tokens == self.base_answer.tokens
        return is_exact(self.answer.text, self.probe)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked while certain edits are stored.

    Attributes:
        questions: Each with the position of its case among the stored ones, None for unrelated questions.
        dropped: How much of what is asked is not scored, by reason.
    """

    questions: tuple[tuple[int | None, Question], ...]
    dropped: Mapping[str, int]

    @classmethod
    def of(cls, cases: Sequence[Case], asked: Sequence[int], unrelated: Sequence[Probe]) -> Plan:
        """Clean the memory and take down the questions.

        Args:
            cases: All that are stored, in that order.
            asked: Positions of those that are asked about.
            unrelated: Further questions out of every edit's scope.
        """
        cleaned = clean(cases)
        kept = set(clean_questions(unrelated, cases))
        questions: list[tuple[int | None, Question]] = []
        dropped = Counter({"superseded_edits": 0})
        for position in asked:
            about = list(_questions(cleaned[position]))
            questions += [(position, question) for question in about]
            dropped.update(_dropped(about, superseded=cleaned[position].superseded))
        questions += [(None, Question(LocalityKind.UNRELATED, probe, probe in kept)) for probe in unrelated]
        dropped["unrelated_questions"] = sum(probe not in kept for probe in unrelated)
        return cls(tuple(questions), dict(dropped))

    def about(self, edits: Sequence[Edit]) -> list[Question]:
        """The questions, unanswered, about the edits that the cases became."""
        return [
            replace(question, edit_id=None if position is None else edits[position].id)
            for position, question in self.questions
        ]


def _questions(clean_case: CleanCase) -> Iterator[Question]:
    case, kept, alive = clean_case.raw, clean_case.case, not clean_case.superseded
    yield Question(RELIABILITY, Probe(case.prompt, case.answers), alive, row=case.row)
    for wording in case.paraphrases:
        yield Question(GENERALITY, Probe(wording, case.paraphrase_answers), alive, row=case.row)
    for probe in case.portability:
        scored = alive and bool(probe.answers) and probe in kept.portability
        yield Question(PORTABILITY, probe, scored, row=case.row)
    for kind, probes in case.locality.items():
        for probe in probes:
            rival = case.target if kind is LocalityKind.NEIGHBOUR and probe.answers else None
            yield Question(kind, probe, alive and probe in kept.locality[kind], row=case.row, rival=rival)


def _dropped(questions: Sequence[Question], *, superseded: bool) -> Counter[str]:
    """What is not scored of one edit; of a superseded one, whose questions are all dropped, it alone counts."""
    counts = Counter({"portability_unscored": sum(q.asks == PORTABILITY and not q.scored for q in questions)})
    counts["superseded_edits"] = int(superseded)
    for question in questions:
        if question.asks in LOCALITY:
            counts[f"locality_{question.asks}"] += not question.scored and not superseded
    return counts
