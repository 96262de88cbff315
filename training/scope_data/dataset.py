"""All pairs of one run: splits that share no subject."""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from memedit.memory.encoding import TextEncoder
from training.scope_data.aspects import TRAINING as KINDS
from training.scope_data.aspects import Kind, aspect_pairs, draw_edits, load_kinds
from training.scope_data.bank import TemplateBank
from training.scope_data.facts import Fact, SubjectSet, split_of
from training.scope_data.mining import mine_nearest, mine_statements
from training.scope_data.mixture import mixed
from training.scope_data.pairs import Pair, PairMaker
from training.scope_data.passages import TRAINING as PASSAGES
from training.scope_data.passages import Passage, load_passages
from training.scope_data.sources import read_facts, read_prose, read_test_facts, read_unrelated
from training.scope_data.statement_pairs import apart, near_pairs, statement_pairs
from training.scope_data.statements import TRAINING as EVENTS
from training.scope_data.statements import Statement, draw_statements, load_events

logger = logging.getLogger(__name__)

LIMITS = {"simplequestions": 4_000, "lre": 2_500}
"""Facts used of each source: subjects guessed from the words, and few wordings, teach less."""
UNRELATED_TEST = 1_000
"""Questions at the end of Natural Questions that are only asked in the evaluation."""
_ASPECT_ROUNDS = 2
"""How often half of the aspects of each kind are drawn: most of them are, so, and most names."""
_ASKED, _NEAR = 4_000, 3
"""For how many questions of facts, and of statements, the nearest statements that do not answer them are looked for,
and how many of those."""
_PARTS = {"train": 1, "calibration": 6, "test": 12}
"""What part of the number of training pairs each split gets: of calibration pairs the clean ones are routed, and each
form of edit needs enough near-misses among them for a threshold of its own."""
CHANGED = {"train": 0.4, "calibration": 0.2, "test": 0.2}
"""Share of queries written in another way: more than in life while training, to learn it."""


@dataclass(frozen=True)
class Split:
    """One split: its facts, its labelled pairs, and questions that no fact answers."""

    facts: list[Fact]
    pairs: list[Pair]
    unrelated: list[str]


def build_splits(
    data: Path, encoder: TextEncoder, *, pairs: int, seed: int, leave_out: Collection[str] = ()
) -> dict[str, Split]:
    """Read the public files and make the pairs of `train`, `calibration` and `test`.

    No subject, passage or topic of statements is in two of them, nor in the project's test data.

    Args:
        data: Folder with the public data.
        encoder: Finds the nearest wordings.
        pairs: How many training pairs to make; the other splits get a part of that (`_PARTS`).
        seed: Chooses splits, pairs and changes to the queries.
        leave_out: Sources to read nothing from (`sources.SOURCES`, `statements` from templates, or `passages`), to
            learn what the classifier is worth on kinds of data that it never saw.
    """
    facts = [fact for fact in _thinned(read_facts(data), seed) if fact.source not in leave_out]
    facts = random.Random(seed).sample(facts, min(len(facts), pairs))  # a small run stays small
    unrelated, prose = read_unrelated(data)[:-UNRELATED_TEST], read_prose(data, 12_000)
    passages = [] if "passages" in leave_out else load_passages(*PASSAGES)
    kinds, events = load_kinds(*KINDS), [] if "statements" in leave_out else load_events(*EVENTS)
    tested = SubjectSet(fact.subject for fact in read_test_facts(data))
    splits: dict[str, Split] = {}
    for name, part in _PARTS.items():
        count, rng = pairs // part, random.Random(f"{seed}/{name}")
        chosen = [fact for fact in facts if split_of(fact.subject, seed) == name]
        questions = unrelated[_share(name)]
        maker = PairMaker(
            chosen, TemplateBank(chosen), questions, prose[_share(name)], rng, changed=CHANGED[name]
        )  # fmt: skip
        near = mine_nearest(chosen, encoder, rng, queries=max(200, min(len(chosen), pairs // 12)))
        made = [*maker.positives(), *maker.negatives(), *maker.nearest(near)]
        made += _aspects([kind for kind in kinds if split_of(kind.name, seed) == name], tested, maker, rng)
        told = [passage for passage in passages if split_of(passage.about, seed) == name]
        topics = [event for event in events if split_of(event.topic, seed) == name]
        made_up = draw_statements(topics, rng, count // 40) if topics else []
        statements = _stored(made_up, told, together=name != "train")
        made += statement_pairs(statements, maker.augment, questions, rng)
        families = dict.fromkeys(questions, "statement_unrelated")
        if name == "train":  # elsewhere one memory holds facts and statements, and these are asked of some of them
            families |= _asked_of_others(chosen, made_up, rng)
        near_ones = mine_statements(statements, list(families), encoder, k=_NEAR)
        made += near_pairs(near_ones, maker.augment, families)
        splits[name] = Split(chosen, mixed(made, count, rng), questions)
        logger.info("%s: %d facts, %d pairs", name, len(chosen), len(splits[name].pairs))
    return splits


def _asked_of_others(facts: Sequence[Fact], made_up: Sequence[Statement], rng: random.Random) -> dict[str, str]:
    """Questions of facts and of statements, each with the family of its pairs with statements that do not answer it."""
    of_facts = (rng.choice(fact.asked) for fact in rng.sample(facts, min(len(facts), _ASKED)))
    of_statements = (rng.choice(rng.choice(statement.questions)) for statement in made_up[:_ASKED])
    return dict.fromkeys(of_facts, "statement_unrelated") | dict.fromkeys(of_statements, "statement_other")


def _stored(made_up: list[Statement], passages: Sequence[Passage], *, together: bool) -> list[Statement]:
    """The statements made from templates, and the passages.

    Args:
        made_up: The statements from templates.
        passages: The passages.
        together: Whether one memory holds them all: then nothing that one leaves open is answered by another. Otherwise
            each passage is told of its namesake as well.
    """
    if not together:
        return made_up + [told.as_statement() for passage in passages for told in (passage, passage.renamed())]
    return apart([*made_up, *(passage.as_statement() for passage in passages)])


def _aspects(kinds: Sequence[Kind], tested: SubjectSet, maker: PairMaker, rng: random.Random) -> list[Pair]:
    """Pairs about everyday things, none of which is in the project's test data."""
    return [
        pair
        for kind in kinds
        for _ in range(_ASPECT_ROUNDS)
        for pair in aspect_pairs(
            draw_edits(kind, rng, without=[name for name in kind.subjects if tested.found(name)]), maker.augment
        )
    ]


def _share(split: str) -> slice:
    return {"train": slice(0, None, 2), "calibration": slice(1, None, 4), "test": slice(3, None, 4)}[split]


def _thinned(facts: Sequence[Fact], seed: int) -> list[Fact]:
    kept = [fact for fact in facts if fact.source not in LIMITS]
    for source, limit in LIMITS.items():
        pool = [fact for fact in facts if fact.source == source]
        kept += random.Random(seed).sample(pool, min(limit, len(pool)))
    return kept
