"""From facts to labelled pairs of an edit's wording and a query."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from memedit.scope.augment import Augmenter
from training.scope_data.bank import TemplateBank, blended, other_number, short_form
from training.scope_data.facts import Fact, normalise, templated
from training.scope_data.labels import kinds_of

NEAR_MISSES = (
    "neighbour", "swapped_subject", "number", "same_subject", "nearest", "step_aside", "inverse", "about_answer",
    "trap", "statement_miss", "statement_other", "near_name",
    "other_aspect", "other_thing",
)  # fmt: skip
"""Families of negatives that look like the edit; the threshold is chosen on these."""

_MENTIONS = (
    "I read something about {} yesterday.", "{} was in the news again.", "My uncle has a poster of {} on his wall.",
    "We talked about {} for an hour.", "The book about {} is back on the shelf.", "I have always liked {}.",
    "Nobody at the table had heard of {}.", "There is a long article on {} in this issue.",
    "Thanks, that was all I wanted to know about {}.", "They made a documentary on {}, which I have not seen.",
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """An edit's wording, a query, whether the edit is meant, and how the pair was made.

    Attributes:
        wording: The edit's prompt.
        query: What is asked.
        in_scope: Whether the edit is meant.
        family: How the pair was made.
        plain: The query before it was written in another way; empty where that is not known.
    """

    wording: str
    query: str
    in_scope: bool
    family: str
    plain: str = ""


class PairMaker:
    """Draws pairs from the facts of one split."""

    def __init__(
        self,
        facts: Sequence[Fact],
        bank: TemplateBank,
        unrelated: Sequence[str],
        prose: Sequence[str],
        rng: random.Random,
        *,
        changed: float = 0.4,
    ) -> None:
        """Use `facts`, templates and subjects of `bank`, `unrelated` questions and sentences of `prose`.

        Args:
            facts: The facts of one split.
            bank: Made from the same facts.
            unrelated: Questions that no fact answers.
            prose: Sentences that ask nothing.
            rng: Source of randomness.
            changed: Share of queries written in another way (see `Augmenter`).
        """
        self._facts, self._bank, self._rng = facts, bank, rng
        self._unrelated, self._prose = unrelated, prose
        contexts = [context for fact in facts if (context := _leading_text(fact))]
        told = [text for fact in facts[:3000] if (text := bank.statement(fact, rng))]
        questions = [f"{text}?" for text in unrelated[: len(contexts) // 3]]
        self.augment = Augmenter(rng, [*contexts, *told, *prose[:3000], *questions], rate=changed)

    def positives(self) -> Iterator[Pair]:
        """Pairs in which the query asks for the edit's fact."""
        for fact in self._facts:
            yield from self._same_fact(fact)
            if step := self._bank.step_beyond(fact, self._rng):
                yield self._pair(self._rng.choice(fact.wordings), step, in_scope=True, family="one_step")
            for text in fact.steps:
                yield self._pair(fact.wordings[0], text, in_scope=True, family="one_step")
            for text in fact.aliases:
                yield self._pair(fact.wordings[0], text, in_scope=True, family="alias")
            if short := self._short(fact):
                yield self._pair(fact.wordings[0], short, in_scope=True, family="alias")
            yield from self._told(fact)
            if drawn := self._bank.drawn_relation(fact, self._rng):
                yield self._pair(*drawn.wordings, in_scope=True, family="drawn_relation")
            if invented := self._invented(fact):
                yield self._pair(invented[0], invented[1], in_scope=True, family="invented_name")

    def negatives(self) -> Iterator[Pair]:
        """Pairs in which the query asks for something else."""
        for fact in self._facts:
            wording = self._rng.choice(fact.wordings)
            for family, text in fact.others:
                yield self._pair(wording, text, in_scope=False, family=family)
            yield from self._other_subject(fact, wording)
            for _ in range(2):
                if other := self._bank.other_relation(fact, self._rng):
                    pair = (other, wording) if self._rng.random() < 0.25 else (wording, other)
                    yield self._pair(*pair, in_scope=False, family="same_subject")
            if drawn := self._bank.drawn_relation(fact, self._rng):
                yield from self._other_subject(drawn, drawn.wordings[0])
                if other := self._bank.other_relation(drawn, self._rng):
                    yield self._pair(drawn.wordings[0], other, in_scope=False, family="same_subject")
            for family, found in (
                ("step_aside", self._bank.step_aside(fact, self._rng)),
                ("inverse", self._bank.inverse(fact, self._rng)),
                ("about_answer", self._bank.about_answer(fact, self._rng)),
            ):
                if found:
                    yield self._pair(wording, found, in_scope=False, family=family)
            if invented := self._invented(fact):
                yield self._pair(invented[0], invented[2], in_scope=False, family="near_name")
            yield from self._nothing_asked(fact, wording)
            yield from self._trapped(fact, wording)
            yield self._pair(wording, self._rng.choice(self._unrelated), in_scope=False, family="unrelated")

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

    def _same_fact(self, fact: Fact) -> Iterator[Pair]:
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
            changed = self.augment.always(wordings[0])
            yield Pair(wordings[0], changed, in_scope=True, family="same_words")

    def _other_subject(self, fact: Fact, wording: str) -> Iterator[Pair]:
        query = self._rng.choice(fact.asked)
        subject = self._bank.other_subject(fact, self._rng)
        if subject and fact.subject in query:
            swapped = query.replace(fact.subject, subject)
            yield self._pair(wording, swapped, in_scope=False, family="swapped_subject")
        if (mixed := self._mixed(fact, subject)) and fact.subject in query:
            swapped = query.replace(fact.subject, mixed)
            yield self._pair(wording, swapped, in_scope=False, family="swapped_subject")
        if (number := other_number(fact.subject, self._rng)) and fact.subject in query:
            swapped = query.replace(fact.subject, number)
            yield self._pair(wording, swapped, in_scope=False, family="number")

    def _mixed(self, fact: Fact, other: str | None) -> str | None:
        """The subject's name with one word taken from `other`: a namesake."""
        words, others = fact.subject.split(), (other or "").split()
        if len(words) < 2 or not others:
            return None
        at = self._rng.randrange(len(words))
        theirs = others[min(at, len(others) - 1)] if at else others[0]
        same = normalise(theirs) in normalise(fact.subject) or normalise(words[at]) == normalise(theirs)
        return None if same or len(words[at]) < 3 else " ".join([*words[:at], theirs, *words[at + 1 :]])

    def _invented(self, fact: Fact) -> tuple[str, str, str] | None:
        """A wording about a name that nobody bears, a query about it, and one about a name that looks much like it.

        Names that are known from other texts can be told apart by what they mean; these only by their letters.
        """
        name = self._blend(fact, fact.subject)
        # As often as not the other name is the true one.
        rival = self._blend(fact, name or fact.subject) if self._rng.random() < 0.5 else fact.subject
        wording, query = self._rng.choice(fact.wordings), self._rng.choice(fact.asked)
        if not name or not rival or fact.subject not in wording or fact.subject not in query or wording == query:
            return None
        return (
            wording.replace(fact.subject, name), query.replace(fact.subject, name), query.replace(fact.subject, rival)
        )  # fmt: skip

    def _blend(self, fact: Fact, name: str) -> str | None:
        other = self._bank.other_subject(fact, self._rng)
        return blended(name, other, self._rng) if other else None

    def _told(self, fact: Fact) -> Iterator[Pair]:
        """The edit is a sentence or short passage that tells the fact."""
        told = self._bank.statement(fact, self._rng)
        if told is None or self._rng.random() > 0.5:
            return
        asked = [text for text in (*fact.asked, self._bank.same_relation(fact, self._rng)) if text and text != told]
        passage = self._passage(told)
        query = self._rng.choice(asked)
        if fact.answer not in query:
            yield self._pair(passage, query, in_scope=True, family="told")

    def _passage(self, told: str) -> str:
        """`told` alone, after a heading, or beside another sentence."""
        draw = self._rng.random()
        if draw < 0.4:
            return told
        if draw < 0.6:
            return f"{self._rng.choice(('Correction', 'Update', 'News', 'Note', 'Please note', 'FYI'))}: {told}"
        other = self._bank.statement(self._rng.choice(self._facts), self._rng) or self._rng.choice(self._prose)
        return f"{told} {other}" if self._rng.random() < 0.5 else f"{other} {told}"

    def _short(self, fact: Fact) -> str | None:
        person = bool(fact.label) and kinds_of(fact.label or "") == "p"
        short = short_form(fact.subject, person=person, rng=self._rng)
        query = self._rng.choice(fact.asked)
        return query.replace(fact.subject, short) if short and fact.subject in query else None

    def _nothing_asked(self, fact: Fact, wording: str) -> Iterator[Pair]:
        mention = self._rng.choice(_MENTIONS).replace("{}", fact.subject)
        text = mention if self._rng.random() < 0.6 else self._rng.choice(self._prose)
        yield Pair(wording, text, in_scope=False, family="no_question")

    def _trapped(self, fact: Fact, wording: str) -> Iterator[Pair]:
        """The fact is told, or asked, before something else is asked."""
        told = self._bank.statement(fact, self._rng) or self._rng.choice(fact.asked)
        other = self._bank.other_relation(fact, self._rng) if self._rng.random() < 0.5 else None
        yield Pair(wording, f"{told} {other or self._rng.choice(self._unrelated)}", in_scope=False, family="trap")
        if other and (text := self._bank.statement(fact, self._rng)):
            yield self._pair(self._passage(text), other, in_scope=False, family="same_subject")

    def _pair(self, wording: str, query: str, *, in_scope: bool, family: str) -> Pair:
        return Pair(wording, self.augment(query), in_scope, family, plain=query)


def _leading_text(fact: Fact) -> str | None:
    for query in fact.queries if fact.source == "counterfact" else ():
        match = re.match(r"(.{15,}?[.!?]) +\{\}", templated(query, fact.subject))
        if match:
            return match[1]
    return None
