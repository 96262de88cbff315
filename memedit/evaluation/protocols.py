"""The protocols: when edits are stored and when questions are asked; all decode freely.

| name | edits | asked |
|---|---|---|
| `sequential` | all, one after the other | everything, once all are stored |
| `after_each` | all, one after the other | about each edit, right after it is stored |
| `batches` | some at a time, then taken out again | about them, while they are stored |
| `single` | one at a time, then taken out again | about it, while it is stored |

The first is the default, and the only one that tells how a method holds what it was taught. The figures
of two protocols are never comparable. Teacher-forced accuracy (`teacher_forcing`) can be taken in each of
them; it stands under the name *synthetic*, apart from everything else.

Scores are given twice: over a clean memory (`memedit.evaluation.cleaning`), and raw, over all
questions the data set has.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal, get_args

from tqdm import tqdm

from memedit.edits import Edit
from memedit.evaluation.baselines.in_memory import InMemory
from memedit.evaluation.cases import Case, Dataset, Probe
from memedit.evaluation.cost import TIMED_ROUTES, generate_ratio, nothing_remembered, route_milliseconds
from memedit.evaluation.datasets import grouped, sample
from memedit.evaluation.decoding import BATCH_ROWS, MAX_NEW_TOKENS, Decoder, batches
from memedit.evaluation.fluency import measure_fluency
from memedit.evaluation.questions import GENERALITY, LOCALITY, PORTABILITY, RELIABILITY, Plan, Question
from memedit.evaluation.subject import EvaluatedModel, Method, routes_remembered
from memedit.evaluation.teacher_forcing import force_answers

__all__ = ["GENERALITY", "PORTABILITY", "RELIABILITY", "Evaluation", "ProtocolName", "Question", "evaluate"]

ProtocolName = Literal["sequential", "after_each", "batches", "single"]
BATCH_EDITS = 100
"""Edits of one batch under the protocol `batches`."""


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


@dataclass(frozen=True, slots=True)
class Round:
    """Edits that are stored, and what is asked once they are.

    Attributes:
        new: What is stored now.
        plan: Over all that are stored then; None if nothing is asked.
        alone: Whether what was stored before is taken out first.
    """

    new: Sequence[Case]
    plan: Plan | None
    alone: bool = False


def evaluate(
    model: Any,
    dataset: Dataset,
    *,
    edits: int,
    queries: int | None = None,
    unrelated: Sequence[Probe] = (),
    seed: int = 0,
    rows: int = BATCH_ROWS,
    max_new_tokens: int = MAX_NEW_TOKENS,
    protocol: ProtocolName = "sequential",
    batch: int = BATCH_EDITS,
    synthetic: bool = False,
    progress: bool = False,
) -> Evaluation:
    """Store edits and ask about them.

    Args:
        model: An `EvaluatedModel` whose `edits` are an `EditMemory` or the like, empty at first.
        dataset: Where edits and questions come from.
        edits: How many edits to store, drawn with `seed`, kept in the order of the file.
        queries: About how many of them to ask; None for all.
        unrelated: Further questions out of every edit's scope; as many as `queries` are asked.
        seed: Decides which edits, queries and unrelated questions are drawn.
        rows: Prompts decoded together.
        max_new_tokens: The most tokens an answer may have.
        protocol: When edits are stored and questions asked. What is stored last stays.
        batch: How many edits are stored together under `batches`.
        synthetic: Whether to take teacher-forced accuracy too, one question at a time.
        progress: Whether to show progress bars.

    Returns:
        Questions with answers, times, and counts.

    Raises:
        ValueError: There is no such protocol, or `batch` is less than 1.
    """
    if protocol not in get_args(ProtocolName) or batch < 1:
        raise ValueError(
            f"expected one of {', '.join(get_args(ProtocolName))} and a batch of 1 or more, got {protocol!r}, {batch}"
        )
    cases = sample(dataset.cases, edits, seed)
    asked = sample(range(len(cases)), len(cases) if queries is None else queries, seed + 1)
    drawn = sample(unrelated, len(asked), seed + 2)
    together = {"sequential": len(cases), "batches": batch}.get(protocol, 1)
    rounds = list(rounds_of(cases, asked, drawn, together, alone=protocol in ("batches", "single")))
    with tqdm(total=question_count(rounds), unit="question", disable=not progress) as bar:
        return run_rounds(
            InMemory("model", model),
            rounds,
            Decoder(model.tokenizer, max_new_tokens),
            bar,
            records=dataset,
            seed=seed,
            rows=rows,
            synthetic=synthetic,
        )


def rounds_of(
    cases: Sequence[Case], asked: Sequence[int], unrelated: Sequence[Probe], together: int, *, alone: bool
) -> Iterator[Round]:
    """Cut the stream into rounds; each edit that is asked about brings one of the unrelated questions.

    Args:
        cases: All that is stored, in that order.
        asked: Positions of those that are asked about, rising.
        unrelated: Further questions.
        together: How many cases a round stores, or more where a group of cases must stay together.
        alone: Whether each round begins with nothing stored.
    """
    start = 0
    for new in _cut(cases, together):
        end = start + len(new)
        chosen = [number for number, position in enumerate(asked) if start <= position < end]
        first = start if alone else 0
        probes = [unrelated[number] for number in chosen if number < len(unrelated)]
        plan = Plan.of(cases[first:end], [asked[number] - first for number in chosen], probes) if chosen else None
        yield Round(new, plan, alone)
        start = end


def question_count(rounds: Sequence[Round]) -> int:
    """How many questions are asked in all rounds."""
    return sum(len(one.plan.questions) for one in rounds if one.plan)


def run_rounds(
    method: Method,
    rounds: Sequence[Round],
    decoder: Decoder,
    bar: Any,
    *,
    records: Dataset,
    seed: int,
    stored: list[Edit] | None = None,
    rows: int = BATCH_ROWS,
    synthetic: bool = False,
) -> Evaluation:
    """Store and ask, round after round.

    Args:
        method: What is judged.
        rounds: In their order.
        decoder: Asks for answers.
        bar: A progress bar that counts questions.
        records: The data set, for the counts.
        seed: Decides what is timed.
        stored: Edits that the method holds already; those of the rounds are added to the list.
        rows: Prompts decoded together.
        synthetic: Whether to take teacher-forced accuracy too.
    """
    stored = [] if stored is None else stored
    questions: list[Question] = []
    seconds: list[float] = []
    dropped = Counter({f"records_{reason}": count for reason, count in records.dropped.items()})
    most = total = len(stored)
    last: list[Question] = []
    was_reset = False
    for one in rounds:
        if one.alone and stored:
            method.reset()
            stored.clear()
            was_reset = True
        if one.new:
            edits, took = method.store(one.new, progress=not bar.disable)
            stored += edits
            seconds.append(took)
        total += len(one.new)
        most = max(most, len({edit.id for edit in stored}))
        if one.plan:
            about = one.plan.about(stored)
            _answer(method.model, about, decoder, rows, bar, synthetic=synthetic)
            questions += about
            last = about
            if one is rounds[-1]:
                measure_fluency(method.model, about)
            dropped.update(one.plan.dropped)
    kept = method.kept_bytes()
    return Evaluation(
        questions,
        cost={
            "seconds_per_edit": median(seconds) if seconds else None,
            # A memory that was emptied in between keeps what was removed from it too.
            "bytes_per_edit": None if kept is None or was_reset else kept / len({edit.id for edit in stored}),
            # Of those about the edits that are stored now: of others nothing would be in scope any more.
            **_times(method.model, last, seed, decoder.max_new_tokens),
        },
        dropped=dict(dropped),
        counts={
            "records": len(records.cases),
            "edits": total,
            "edits_in_memory": most,
            "queried_edits": sum(question.asks == RELIABILITY for question in questions),
            **{f"asked_{name}": count for name, count in Counter(str(q.asks) for q in questions).items()},
        },
    )


def _cut(cases: Sequence[Case], size: int) -> Iterator[list[Case]]:
    """Pieces of at least `size` cases, but for the last, that part no group."""
    piece: list[Case] = []
    for group in grouped(cases):
        piece += group
        if len(piece) >= size:
            yield piece
            piece = []
    if piece:
        yield piece


def _answer(
    model: EvaluatedModel, questions: Sequence[Question], decoder: Decoder, rows: int, bar: Any, *, synthetic: bool
) -> None:
    others = [question for question in questions if question.asks not in LOCALITY]
    near = [question for question in questions if question.asks in LOCALITY and question.edit_id is not None]
    # By themselves, since they are the same whatever is stored: so are the base's answers then.
    unrelated = [question for question in questions if question.edit_id is None]
    with routes_remembered(model) as router:
        for group in (others, near, unrelated):
            prompts = [question.probe.prompt for question in group]
            for batch in batches(model.tokenizer, prompts, model.base.device, rows):
                asked = [group[position] for position in batch.positions]
                if router is not None:
                    for question, route in zip(asked, router.route(batch.prompts), strict=True):
                        question.route = route
                for question, answer in zip(asked, decoder.answers(model, batch, batch.prompts), strict=True):
                    question.answer = answer
                if group is not others:
                    for question, answer in zip(asked, decoder.base_answers(model.base, batch), strict=True):
                        question.base_answer = answer
                bar.update(len(asked))
        if synthetic:
            force_answers(model, questions)


def _times(model: EvaluatedModel, questions: Sequence[Question], seed: int, new_tokens: int) -> dict[str, float | None]:
    """Routing and generating times over a mixture of all questions, in random order."""
    mixed = list(questions)
    random.Random(seed).shuffle(mixed)
    inside = [q.probe.prompt for q in mixed if _is_inside(q)]
    outside = [q.probe.prompt for q in mixed if not _is_inside(q)]
    with nothing_remembered(model):
        return {
            **route_milliseconds(model.router, [q.probe.prompt for q in mixed[:TIMED_ROUTES]]),
            "generate_ratio_out_of_scope": generate_ratio(model, outside, new_tokens),
            "generate_ratio_in_scope": generate_ratio(model, inside, new_tokens),
        }


def _is_inside(question: Question) -> bool:
    """Whether an edit answered; of a method that takes no decision, whether one was asked for."""
    if question.route is None:
        return question.asks not in LOCALITY
    return question.route.edit is not None
