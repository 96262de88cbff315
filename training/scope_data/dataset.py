"""All pairs of one run: three splits that share no subject."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from pathlib import Path

from memedit.memory.encoding import TextEncoder
from training.scope_data.bank import TemplateBank
from training.scope_data.facts import Fact, read_facts, split_of
from training.scope_data.mining import mine_nearest
from training.scope_data.pairs import Pair, PairMaker, balanced, read_unrelated

logger = logging.getLogger(__name__)

SIMPLE_QUESTIONS = 4_000
"""How many of these are used: their subjects are guessed from the words, so some are wrong."""


@dataclass(frozen=True)
class Dataset:
    """Labelled pairs by split; no subject is in two of them, nor in the project's test data."""

    train: list[Pair]
    calibration: list[Pair]
    test: list[Pair]


def build_dataset(data: Path, encoder: TextEncoder, *, pairs: int, seed: int) -> Dataset:
    """Read the public files and make the pairs.

    Args:
        data: Folder with the public data.
        encoder: Finds the nearest wordings.
        pairs: How many training pairs to make; the other splits get a twelfth each.
        seed: Chooses splits, pairs and changes to the queries.
    """
    facts = _thinned(read_facts(data), seed)
    facts = random.Random(seed).sample(facts, min(len(facts), pairs))  # a small run stays small
    unrelated = read_unrelated(data)[:-1000]  # the last thousand are asked in the evaluation
    made: dict[str, list[Pair]] = {}
    for split, count in (("train", pairs), ("calibration", pairs // 12), ("test", pairs // 12)):
        rng = random.Random(f"{seed}/{split}")
        chosen = [fact for fact in facts if split_of(fact.subject, seed) == split]
        maker = PairMaker(chosen, TemplateBank(chosen), unrelated[_share(split)], rng)
        near = mine_nearest(chosen, encoder, rng, queries=max(200, min(len(chosen), pairs // 12)))
        negatives = [*maker.negatives(), *maker.nearest(near)]
        made[split] = balanced(list(maker.positives()), negatives, count, rng)
        logger.info("%s: %d facts, %d pairs", split, len(chosen), len(made[split]))
    return Dataset(**made)


def _share(split: str) -> slice:
    return {"train": slice(0, None, 2), "calibration": slice(1, None, 4), "test": slice(3, None, 4)}[split]


def _thinned(facts: list[Fact], seed: int) -> list[Fact]:
    simple = [fact for fact in facts if fact.source == "simplequestions"]
    rest = [fact for fact in facts if fact.source != "simplequestions"]
    return [*rest, *random.Random(seed).sample(simple, min(SIMPLE_QUESTIONS, len(simple)))]
