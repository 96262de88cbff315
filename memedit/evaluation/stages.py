"""The sizes of a stream of edits: what is stored at each of them, and what is asked then."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from memedit.evaluation.cases import Case, Dataset, Probe
from memedit.evaluation.datasets import grouped, sample
from memedit.evaluation.protocols import Round
from memedit.evaluation.questions import Plan

STREAM = (1, 10, 100, 1_000, 10_000)


@dataclass(frozen=True, slots=True)
class Stage:
    """One size of the stream.

    Attributes:
        edits: How many edits are stored then.
        round: What is new and what is asked.
        digest: A hash of all that is stored and asked.
    """

    edits: int
    round: Round
    digest: str


def stages_of(
    dataset: Dataset,
    stream: Sequence[int],
    *,
    queries: int | None,
    unrelated: Sequence[Probe],
    distractors: Sequence[Case],
    seed: int,
) -> list[Stage]:
    """All sizes of a stream, from few edits to many; a size that would part a group is raised to its end.

    Args:
        dataset: Its cases are stored in an order drawn with `seed`, groups together, and asked about.
        stream: At which numbers of edits it is asked; those beyond all cases count as all of them.
        queries: At most so many edits, and unrelated questions, are asked about at each size; None for all.
        unrelated: Further questions out of every edit's scope.
        distractors: Stored behind the data set's cases, in an order drawn likewise; never asked about.
        seed: Decides order and questions.

    Raises:
        ValueError: A size is less than 1.
    """
    if not stream or min(stream) < 1:
        raise ValueError(f"a stream has sizes of 1 or more, got {list(stream)}")
    cases = [*_drawn(dataset.cases, seed), *_drawn(distractors, seed)]
    ends: list[int] = []
    for group in grouped(cases):
        ends.append((ends[-1] if ends else 0) + len(group))
    sizes = sorted({next((end for end in ends if end >= size), len(cases)) for size in stream})
    stages = []
    for start, end in zip([0, *sizes], sizes, strict=False):
        askable = range(min(end, len(dataset.cases)))
        asked = sample(askable, len(askable) if queries is None else queries, seed + 1)
        probes = sample(unrelated, len(asked) if queries is None else queries, seed + 2)
        plan = Plan.of(cases[:end], asked, probes)
        digest = hashlib.sha256(repr((cases[:end], plan.questions)).encode()).hexdigest()
        stages.append(Stage(end, Round(cases[start:end], plan), digest))
    return stages


def planned(
    dataset: Dataset,
    edits: int,
    *,
    queries: int | None = None,
    unrelated: Sequence[Probe] = (),
    distractors: Sequence[Case] = (),
    seed: int = 0,
) -> Stage:
    """What `compare` stores and asks at one size of the stream, for tools that are not run here.

    Args:
        dataset: Where edits and questions come from.
        edits: The size.
        queries: As for `compare`.
        unrelated: As for `compare`.
        distractors: As for `compare`.
        seed: That of its setup.
    """
    (stage,) = stages_of(dataset, [edits], queries=queries, unrelated=unrelated, distractors=distractors, seed=seed)
    return stage


def _drawn(cases: Sequence[Case], seed: int) -> list[Case]:
    """All cases in an order drawn with `seed`; those of one group stay together."""
    groups = grouped(cases)
    random.Random(seed).shuffle(groups)
    return [case for group in groups for case in group]
