"""From facts to labelled pairs of an edit's wording and a query."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.scope_data.augment import Augmenter
from training.scope_data.bank import TemplateBank
from training.scope_data.facts import Fact, normalise, templated

NEAR_MISSES = ("neighbour", "swapped_subject", "same_subject", "nearest", "step_aside")
"""Families of negatives that look like the edit; the threshold is chosen on these."""


@dataclass(frozen=True)
class Pair:
    """An edit's wording, a query, whether the edit is meant, and how the pair was made."""

    wording: str
    query: str
    in_scope: bool
    family: str


class PairMaker:
    """Draws pairs from the facts of one split."""

    def __init__(
        self,
        facts: Sequence[Fact],
        bank: TemplateBank,
        unrelated: Sequence[str],
        rng: random.Random,
    ) -> None:
        """Use `facts`, templates and subjects of `bank`, and `unrelated` questions."""
        self._facts, self._bank, self._unrelated, self._rng = facts, bank, unrelated, rng
        contexts = [context for fact in facts if (context := _leading_text(fact))]
        self._augment = Augmenter(rng, [*contexts, *(f"{text}?" for text in unrelated[:2000])])

    def positives(self) -> Iterator[Pair]:
        """Pairs in which the query asks for the edit's fact."""
        for fact in self._facts:
            wordings = fact.wordings
            for _ in range(2):
                wording, query = self._rng.choice(wordings), self._rng.choice(fact.asked)
                if wording != query:
                    yield self._pair(wording, query, in_scope=True, family="paraphrase")
            for query in fact.queries:
                yield self._pair(wordings[0], query, in_scope=True, family="paraphrase")
            if (other := self._bank.same_relation(fact, self._rng)) and other not in wordings:
                yield self._pair(self._rng.choice(wordings), other, in_scope=True, family="other_form")
            if self._rng.random() < 0.3:
                yield self._pair(wordings[0], wordings[0], in_scope=True, family="same_words")
            step = self._bank.step_beyond(fact, self._rng)
            if step and self._rng.random() < 0.25:
                yield self._pair(self._rng.choice(wordings), step, in_scope=True, family="one_step")

    def negatives(self) -> Iterator[Pair]:
        """Pairs in which the query asks for something else."""
        for fact in self._facts:
            wording = self._rng.choice(fact.wordings)
            for family, text in fact.others:
                yield self._pair(wording, text, in_scope=False, family=family)
            query = self._rng.choice(fact.asked)
            subject = self._bank.other_subject(fact, self._rng)
            if subject and fact.subject in query:
                swapped = query.replace(fact.subject, subject)
                yield self._pair(wording, swapped, in_scope=False, family="swapped_subject")
            for _ in range(2):
                if other := self._bank.other_relation(fact, self._rng):
                    pair = (other, wording) if self._rng.random() < 0.25 else (wording, other)
                    yield self._pair(*pair, in_scope=False, family="same_subject")
            aside = self._bank.step_aside(fact, self._rng)
            if aside and self._rng.random() < 0.1:
                yield self._pair(wording, aside, in_scope=False, family="step_aside")
            if self._rng.random() < 0.25:
                text = self._rng.choice(self._unrelated)
                yield self._pair(wording, text, in_scope=False, family="unrelated")

    def nearest(self, found: Sequence[tuple[Fact, str, list[tuple[Fact, str]]]]) -> Iterator[Pair]:
        """Negatives from retrieval: stored wordings near a query that surely ask another thing.

        Args:
            found: For each query its fact, its text, and the facts and wordings near it.
        """
        for fact, query, near in found:
            own = normalise(fact.subject)
            for other, wording in near:
                theirs = normalise(other.subject)
                if theirs not in normalise(query) and own not in normalise(wording):
                    yield self._pair(wording, query, in_scope=False, family="nearest")

    def _pair(self, wording: str, query: str, *, in_scope: bool, family: str) -> Pair:
        return Pair(wording, self._augment(query), in_scope, family)


def read_unrelated(data: Path) -> list[str]:
    """Natural Questions: ordinary questions that no edit is about."""
    lines = (data / "nq_open/NQ-open.dev.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines]


def balanced(positives: Sequence[Pair], negatives: Sequence[Pair], count: int, rng: random.Random) -> list[Pair]:
    """At most `count` pairs, as many of each kind as there are, 45 in 100 of them positive."""
    wanted = min(int(count * 0.45), len(positives))
    chosen = [*rng.sample(positives, wanted)]
    chosen += rng.sample(negatives, min(count - wanted, len(negatives)))
    rng.shuffle(chosen)
    return chosen


def _leading_text(fact: Fact) -> str | None:
    for query in fact.queries if fact.source == "counterfact" else ():
        match = re.match(r"(.{15,}?[.!?]) +\{\}", templated(query, fact.subject))
        if match:
            return match[1]
    return None
