"""The protocol: store all edits, then ask everything, decode freely, score.

Every question is asked after all edits are in memory. Scores are given twice: over a clean memory
(`memedit.evaluation.cleaning`), and raw, over all questions the data set has.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from memedit.evaluation.cases import Case, Dataset, LocalityKind, Probe
from memedit.evaluation.cleaning import CleanCase, clean, clean_questions
from memedit.evaluation.cost import TIMED_ROUTES, generate_ratio, route_milliseconds, store
from memedit.evaluation.datasets import sample
from memedit.evaluation.decoding import BATCH_ROWS, MAX_NEW_TOKENS, Answer, Decoder, batches
from memedit.evaluation.metrics import exact_match
from memedit.evaluation.subject import EvaluatedModel, RoutedQuery, routes_remembered

RELIABILITY, GENERALITY, PORTABILITY = "reliability", "generality", "portability"
_LOCALITY = frozenset(kind.value for kind in LocalityKind)


@dataclass(slots=True)
class Question:
    """One question that was asked, with what came back.

    Attributes:
        asks: `reliability`, `generality`, `portability` or a `LocalityKind`.
        probe: Prompt and accepted answers.
        scored: Whether it counts beside a clean memory.
        edit_id: The edit it belongs to; None for questions of no edit.
        row: Record of the data file it comes from, from 1; None for unrelated questions.
        route: The routing decision.
        answer: The edited model's answer.
        base_answer: The base's, of the same batch; asked for locality only.
    """

    asks: str
    probe: Probe
    scored: bool
    edit_id: str | None = None
    row: int | None = None
    route: RoutedQuery | None = None
    answer: Answer | None = None
    base_answer: Answer | None = None

    @property
    def passed(self) -> bool:
        """Whether the answer is the base's, token for token; else whether it is accepted."""
        if self.answer is None:
            return False
        if self.base_answer is not None:
            return self.answer.tokens == self.base_answer.tokens
        return exact_match(self.answer.text, self.probe.answers)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that was asked and measured.

    Attributes:
        questions: All questions, answered.
        cost: Times, by the names of the report.
        dropped: What was not scored, by reason.
        counts: How much was stored and asked.
    """

    questions: list[Question]
    cost: dict[str, float | None]
    dropped: dict[str, int]
    counts: dict[str, int] = field(default_factory=dict)


def evaluate(
    model: EvaluatedModel,
    dataset: Dataset,
    *,
    edits: int,
    queries: int | None = None,
    unrelated: Sequence[Probe] = (),
    seed: int = 0,
    rows: int = BATCH_ROWS,
    max_new_tokens: int = MAX_NEW_TOKENS,
    progress: bool = False,
) -> Evaluation:
    """Store edits, then ask about them.

    Args:
        model: The model to judge; its memory is to be empty and holds the edits afterwards.
        dataset: Where edits and questions come from.
        edits: How many edits to store, drawn with `seed`, kept in the order of the file.
        queries: About how many of them to ask; None for all.
        unrelated: Further questions out of every edit's scope; as many as `queries` are asked.
        seed: Decides which edits, queries and unrelated questions are drawn.
        rows: Prompts decoded together.
        max_new_tokens: The most tokens an answer may have.
        progress: Whether to show progress bars.

    Returns:
        Questions with answers, times, and counts.
    """
    cases = sample(dataset.cases, edits, seed)
    stored, seconds_per_edit = store(model.edits, cases, progress=progress)
    cleaned, dropped = clean(cases)
    asked = sample(range(len(cases)), len(cases) if queries is None else queries, seed + 1)
    questions = [question for position in asked for question in _questions(cleaned[position], stored[position].id)]
    drawn = sample(unrelated, len(asked), seed + 2)
    kept = clean_questions(drawn, cases)
    questions += [Question(LocalityKind.UNRELATED, probe, probe in kept) for probe in drawn]
    _answer_all(model, questions, rows, max_new_tokens, progress=progress)
    unanswerable = sum(q.asks == PORTABILITY and not q.scored for q in questions)
    return Evaluation(
        questions,
        cost={"seconds_per_edit": seconds_per_edit, **_times(model, questions, seed, max_new_tokens)},
        dropped={
            **{f"records_{reason}": count for reason, count in dataset.dropped.items()},
            **dropped,
            "unrelated_questions": len(drawn) - len(kept),
            "portability_unscored": unanswerable,
        },
        counts={
            "records": len(dataset.cases),
            "edits": len(cases),
            "edits_in_memory": len({edit.id for edit in stored}),
            "queried_edits": len(asked),
            **{f"asked_{name}": count for name, count in _tally(q.asks for q in questions).items()},
        },
    )


def _questions(clean_case: CleanCase, edit_id: str) -> Iterable[Question]:
    case, alive = clean_case.raw, not clean_case.superseded
    yield Question(RELIABILITY, Probe(case.prompt, case.answers), alive, edit_id, case.row)
    for wording in case.paraphrases:
        yield Question(GENERALITY, Probe(wording, case.answers), alive, edit_id, case.row)
    for probe in case.portability:
        yield Question(PORTABILITY, probe, alive and bool(probe.answers), edit_id, case.row)
    for kind, probe, kept in _locality(clean_case):
        yield Question(kind, probe, alive and kept, edit_id, case.row)


def _locality(clean_case: CleanCase) -> Iterable[tuple[LocalityKind, Probe, bool]]:
    case: Case = clean_case.case
    for kind, probes in clean_case.raw.locality.items():
        for probe in probes:
            yield kind, probe, probe in case.locality[kind]


def _answer_all(
    model: EvaluatedModel,
    questions: Sequence[Question],
    rows: int,
    max_new_tokens: int,
    *,
    progress: bool,
) -> None:
    decoder = Decoder(model.tokenizer, max_new_tokens)
    for_locality = [question for question in questions if question.asks in _LOCALITY]
    others = [question for question in questions if question.asks not in _LOCALITY]
    with (
        routes_remembered(model) as router,
        tqdm(total=len(questions), unit="question", disable=not progress) as bar,
    ):
        for group in (others, for_locality):
            prompts = [question.probe.prompt for question in group]
            for batch in batches(model.tokenizer, prompts, model.base.device, rows):
                asked = [group[position] for position in batch.positions]
                routes = router.route(batch.prompts)
                answers = decoder.answers(model, batch, queries=batch.prompts)
                for question, route, answer in zip(asked, routes, answers, strict=True):
                    question.route, question.answer = route, answer
                if group is for_locality:
                    from_base = decoder.answers(model.base, batch)
                    for question, answer in zip(asked, from_base, strict=True):
                        question.base_answer = answer
                bar.update(len(asked))


def _times(model: EvaluatedModel, questions: Sequence[Question], seed: int, new_tokens: int) -> dict[str, float | None]:
    """Routing and generating times over a mixture of all questions, in random order."""
    mixed = [q for q in questions if q.route is not None]
    random.Random(seed).shuffle(mixed)
    inside = [q.probe.prompt for q in mixed if q.route is not None and q.route.edit is not None]
    outside = [q.probe.prompt for q in mixed if q.route is not None and q.route.edit is None]
    return {
        **route_milliseconds(model.router, [q.probe.prompt for q in mixed[:TIMED_ROUTES]]),
        "generate_ratio_out_of_scope": generate_ratio(model, outside, new_tokens),
        "generate_ratio_in_scope": generate_ratio(model, inside, new_tokens),
    }


def _tally(names: Iterable[Any]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[str(name)] = counts.get(str(name), 0) + 1
    return counts
