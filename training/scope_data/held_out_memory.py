"""Memories of held-out edits, and the queries that are asked of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memedit.memory.encoding import TextEncoder
from training.scope_data.aspects import HELD_OUT as KINDS
from training.scope_data.aspects import draw_edits, load_kinds
from training.scope_data.bank import TemplateBank
from training.scope_data.dataset import UNRELATED_TEST
from training.scope_data.facts import Fact, SubjectSet, normalise, one_per_subject, split_of
from training.scope_data.passages import HELD_OUT as PASSAGES
from training.scope_data.passages import load_passages
from training.scope_data.sources import read_facts, read_test_facts, read_unrelated
from training.scope_data.statements import HELD_OUT as EVENTS
from training.scope_data.statements import draw_statements, load_events


@dataclass(frozen=True)
class HeldOut:
    """A memory and its queries.

    Attributes:
        wordings: The prompts of the stored edits.
        inside: By family, (query, the wording of the edit that it means).
        outside: By family, queries that mean no stored edit.
        dropped: Near-misses left out because they may be in scope of another stored edit.
    """

    wordings: list[str]
    inside: dict[str, list[tuple[str, str]]]
    outside: dict[str, list[str]]
    dropped: int


class KnownVectors:
    """An encoder that encodes each text once, however many memories hold it."""

    def __init__(self, encoder: TextEncoder) -> None:
        """Encode with `encoder`."""
        self._encoder = encoder
        self._known: dict[str, NDArray[np.float32]] = {}

    @property
    def id(self) -> str:
        """The id of the encoder."""
        return self._encoder.id

    @property
    def dimension(self) -> int:
        """Number of components of a vector."""
        return self._encoder.dimension

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of `texts`: float32 array (len(texts), dimension)."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self._encoder.encode(new), strict=True))
        return np.stack([self._known[text] for text in texts])


def held_out_facts(data: Path, source: str, edits: int, queries: int, *, seed: int, encoder: KnownVectors) -> HeldOut:
    """A memory of facts of `source` never trained on, filled up with training facts.

    Args:
        data: The public data.
        source: Whose facts are asked about.
        edits: How many edits to store.
        queries: How many of them to ask about at most.
        seed: Chooses edits and queries.
        encoder: Finds the nearest neighbours' questions.
    """
    rng = random.Random(seed)
    pool = one_per_subject(fact for fact in read_test_facts(data) if fact.source == source)
    rng.shuffle(pool)
    asked = pool[: min(queries, edits)]
    training = read_facts(data)
    # Facts of the `test` split were not trained on either: their questions serve as neighbours.
    reserve = [f for f in training if f.source == source and split_of(f.subject, seed) == "test"]
    known = {normalise(fact.subject) for fact in (*pool, *reserve)}
    distractors = draw_distractors([f for f in training if normalise(f.subject) not in known], source, edits, rng)
    wordings = [fact.wordings[0] for fact in pool[:edits]]
    subjects = [fact.subject for fact in pool[:edits]]
    for wording, subject in distractors[: edits - len(wordings)]:
        wordings.append(wording)
        subjects.append(subject)
    stored, bank = SubjectSet(subjects), TemplateBank(pool)
    near = [text for fact in asked for family, text in fact.others if family == "neighbour"]
    if not near:
        near = _nearest_questions(asked, reserve, encoder)
    clean = [text for text in near if not stored.found(text)]
    same = [text for fact in asked for family, text in fact.others if family == "same_subject"]
    swapped = [text for fact in asked if (text := _swapped(fact, bank, stored, rng))]
    paraphrases = [((*fact.queries, *fact.wordings[1:], *fact.aliases), fact.wordings[0]) for fact in asked]
    inside = {"paraphrase": [(texts[0], wording) for texts, wording in paraphrases if texts]}
    steps = [(rng.choice(fact.steps), fact.wordings[0]) for fact in asked if fact.steps]
    if steps:
        inside["one_step"] = steps
    outside = {
        "neighbour": clean,
        "same_subject": same or [text for fact in asked if (text := bank.other_relation(fact, rng))],
        "name_swapped": swapped,
        "unrelated": read_unrelated(data)[-UNRELATED_TEST:],
    }
    return HeldOut(wordings, inside, outside, len(near) - len(clean))


def held_out_statements(
    data: Path, source: str, edits: int, queries: int, *, seed: int, encoder: KnownVectors
) -> HeldOut:
    """A memory of statements on topics never trained on, among training facts; arguments as `held_out_facts`."""
    del source, encoder  # one signature for both kinds of memory
    rng = random.Random(seed)
    drawn = draw_statements(load_events(*EVENTS), rng, queries)
    # A clean memory holds one statement about each thing: two would be two edits of one fact.
    statements = list({statement.misses[0]: statement for statement in drawn}.values())
    wordings = _filled([statement.wording for statement in statements], data, edits, rng)
    answered = {text for s in statements for part in s.questions for text in part}
    others = [rng.choice(s.others) for s in statements if s.others]
    clean = [text for text in others if text not in answered]
    inside = {"paraphrase": [(rng.choice(rng.choice(s.questions)), s.wording) for s in statements]}
    outside = {
        "neighbour": clean,
        "same_subject": [rng.choice(s.misses) for s in statements],
        "unrelated": read_unrelated(data)[-UNRELATED_TEST:],
    }
    return HeldOut(wordings, inside, outside, len(others) - len(clean))


def held_out_passages(
    data: Path, source: str, edits: int, queries: int, *, seed: int, encoder: KnownVectors
) -> HeldOut:
    """A memory of passages on domains never trained on, among training facts; arguments as `held_out_facts`.

    Each passage is asked all its questions, up to `queries` of each kind.
    """
    del source, encoder  # one signature for all kinds of memory
    rng = random.Random(seed)
    statements = [passage.as_statement() for passage in load_passages(*PASSAGES)]
    wordings = _filled([statement.wording for statement in statements], data, edits, rng)
    inside = [(text, s.wording) for s in statements for part in s.questions for text in part]
    outside = {
        "neighbour": [text for s in statements for text in s.others],
        "same_subject": [text for s in statements for text in s.misses],
    }
    drawn = {family: rng.sample(texts, min(queries, len(texts))) for family, texts in outside.items()}
    unrelated = read_unrelated(data)[-UNRELATED_TEST:]
    asked = rng.sample(inside, min(queries, len(inside)))
    return HeldOut(wordings, {"paraphrase": asked}, {**drawn, "unrelated": unrelated}, 0)


def held_out_aspects(data: Path, source: str, edits: int, queries: int, *, seed: int, encoder: KnownVectors) -> HeldOut:
    """A memory about kinds of things never trained on, among training facts; arguments as `held_out_facts`.

    Half of what may be asked about half of the things is stored; the other half of either makes the near-misses.
    """
    del source, encoder  # one signature for all kinds of memory
    rng = random.Random(seed)
    found = [edit for kind in load_kinds(*KINDS) for edit in draw_edits(kind, rng)]
    wordings = _filled([edit.wording for edit in found], data, edits, rng)
    asked = rng.sample(found, min(queries, len(found)))
    outside = {
        "neighbour": [edit.other for edit in asked],
        "same_subject": [edit.misses[0] for edit in asked],
        "unrelated": read_unrelated(data)[-UNRELATED_TEST:],
    }
    return HeldOut(wordings, {"paraphrase": [(edit.queries[0], edit.wording) for edit in asked]}, outside, 0)


def draw_distractors(facts: Sequence[Fact], source: str, count: int, rng: random.Random) -> list[tuple[str, str]]:
    """(Wording, subject) of one edit per subject, those of `source` first, then of further relations of them all.

    At least `count` of them, if the facts have so many relations.
    """
    facts = sorted(one_per_subject(facts), key=lambda fact: fact.source != source)
    found = {fact.wordings[0]: fact.subject for fact in facts}
    bank = TemplateBank(facts)
    before = -1
    while before < len(found) < count:
        before = len(found)
        for fact in facts:
            if len(found) < count and (other := bank.other_relation(fact, rng)):
                found.setdefault(other, fact.subject)
    return list(found.items())


def _filled(wordings: list[str], data: Path, edits: int, rng: random.Random) -> list[str]:
    """`wordings` and as many of training facts as make `edits` together."""
    distractors = draw_distractors(read_facts(data), "counterfact", edits, rng)
    return [*wordings, *(wording for wording, _ in distractors[: edits - len(wordings)])]


def _nearest_questions(asked: Sequence[Fact], reserve: Sequence[Fact], encoder: KnownVectors) -> list[str]:
    """For each fact the most similar question about another subject of the same relation."""
    found = []
    for fact in asked:
        texts = [other.wordings[0] for other in reserve if other.label == fact.label]
        if texts:
            own = encoder.encode([fact.wordings[0]])[0]
            found.append(texts[int(np.argmax(encoder.encode(texts) @ own))])
    return list(dict.fromkeys(found))


def _swapped(fact: Fact, bank: TemplateBank, subjects: SubjectSet, rng: random.Random) -> str | None:
    """The question about a namesake that is no edit's: the last word of the name is another's."""
    words = fact.subject.split()
    other = bank.other_subject(fact, rng)
    if other is None:
        return None
    mixed = " ".join([*words[:-1], other.split()[-1]]) if len(words) > 1 else f"New {other}"
    text = fact.wordings[0].replace(fact.subject, mixed)
    return None if subjects.found(text) or text == fact.wordings[0] else text
