"""Other ways to ask, other things to ask, other subjects: the raw material of near-misses and paraphrases."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from training.scope_data.facts import Fact, normalise, templated
from training.scope_data.labels import is_precise, kinds_of, label_of, surely_differ
from training.scope_data.relation_bank import read_outer, read_relations

MINED_TEMPLATES = 40
"""Templates kept of each relation, the most frequent first."""
MINED_SHARE = 0.55
"""How often a mined template is taken where there is a hand-written one as well."""

_SYMMETRIC = ("spouse", "sibling", "twin_city", "follows", "followed_by")
_AS_SUBJECT = {
    "person": "p", "work": "w", "organisation": "o", "university": "o", "team": "o", "thing": "n",
    "place": "l", "country": "l", "city": "l", "river": "l", "continent": "l",
}  # fmt: skip
"""By kind of answer the kind of subject (`Rule.kinds`) that is such a thing."""


class TemplateBank:
    """Templates by relation, mined from `facts` and written by hand; subjects by relation and by word."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        """Collect templates and subjects from `facts`."""
        self._relations, self._outer = read_relations(), read_outer()
        self._by_label: dict[str, list[str]] = defaultdict(list)
        self._by_word: dict[str, list[str]] = defaultdict(list)
        self._asked: set[tuple[str, str]] = set()
        self._mined = self._mine(facts)
        self._kin_labels = {
            label: [
                other
                for other in self._relations
                if surely_differ(label, other) and set(kinds_of(label)) & set(kinds_of(other))
            ]
            for label in self._relations
        }

    def same_relation(self, fact: Fact, rng: random.Random) -> str | None:
        """Another way to ask for `fact`, in a template of another fact or by hand; None if unsure."""
        if not is_precise(fact.label) or fact.label not in self._relations:
            return None
        return self._template(fact.label, rng).replace("{}", fact.subject)

    def other_relation(self, fact: Fact, rng: random.Random) -> str | None:
        """A question about the subject of `fact` that surely asks for something else."""
        labels = self._kin_labels.get(fact.label or "", [])
        for _ in range(4 if labels else 0):
            template = self._template(rng.choice(labels), rng)
            if (fact.label, template) not in self._asked:
                return template.replace("{}", fact.subject)
        return None

    def drawn_relation(self, fact: Fact, rng: random.Random) -> Fact | None:
        """The subject of `fact` with a relation drawn as `other_relation` draws it, asked for in two ways.

        Without such facts a relation that few facts have is nearly always seen in a near-miss, and its words alone
        would tell that a query is out of scope.
        """
        labels = self._kin_labels.get(fact.label or "", [])
        for _ in range(4 if labels else 0):
            label = rng.choice(labels)
            # Of a relation that is told by its words less surely, only what was written to ask the same thing.
            template = self._template if is_precise(label) else self._written
            first, second = template(label, rng), template(label, rng)
            if first != second and (fact.label, first) not in self._asked and (fact.label, second) not in self._asked:
                wordings = tuple(template.replace("{}", fact.subject) for template in (first, second))
                return Fact(fact.source, fact.subject, label, wordings)
        return None

    def other_subject(self, fact: Fact, rng: random.Random) -> str | None:
        """A subject of the same relation, half the time one that shares a word with `fact`'s."""
        own = normalise(fact.subject)
        pools = [self._by_label.get(fact.label or "", [])]
        if rng.random() < 0.5:
            pools[:0] = [self._by_word[word] for word in own.split() if len(word) > 2 and word in self._by_word]
        for pool in pools:
            for candidate in (rng.choice(pool) for _ in range(3 if pool else 0)):
                if normalise(candidate) not in own and own not in normalise(candidate):
                    return candidate
        return None

    def step_beyond(self, fact: Fact, rng: random.Random) -> str | None:
        """A question that needs the answer to `fact` to be answered itself."""
        if not is_precise(fact.label):
            return None
        return self._chained(fact.label or "", fact.subject, rng)

    def step_aside(self, fact: Fact, rng: random.Random) -> str | None:
        """A question with the words of `fact` that asks them of somebody else, or another chain from its subject."""
        labels = self._kin_labels.get(fact.label or "", [])
        if not labels or fact.label is None:
            return None
        other = rng.choice(labels)
        if rng.random() < 0.5:
            return self._chained(other, fact.subject, rng)
        inner = self._relations[other].inner
        template = self._template(fact.label, rng)
        return template.replace("{}", rng.choice(inner).replace("{}", fact.subject)) if inner else None

    def inverse(self, fact: Fact, rng: random.Random) -> str | None:
        """The relation asked the other way round: of the answer, or of the subject if it could be one itself.

        Who asks what a ship is the class of means the class of the ship.
        """
        if fact.label not in self._relations or fact.label in _SYMMETRIC:
            return None
        relation = self._relations[fact.label]
        kind = _AS_SUBJECT.get(relation.answer_kind)
        could_answer = kind is not None and kind in kinds_of(fact.label)
        names = [name for name in (fact.answer, fact.subject if could_answer else "") if name]
        return rng.choice(relation.inverse).replace("{}", rng.choice(names)) if names and relation.inverse else None

    def about_answer(self, fact: Fact, rng: random.Random) -> str | None:
        """A question about the answer of `fact`."""
        if not fact.answer or fact.label not in self._relations:
            return None
        outer = self._outer.get(self._relations[fact.label].answer_kind)
        return rng.choice(outer).replace("{}", fact.answer) if outer else None

    def statement(self, fact: Fact, rng: random.Random) -> str | None:
        """A sentence that tells `fact` with its answer; None if there is none or no way to tell it."""
        if not fact.answer:
            return None
        cloze = fact.wordings[0]
        if fact.source == "counterfact" and rng.random() < 0.5:
            return f"{cloze} {fact.answer}."
        if fact.label is None or not is_precise(fact.label):
            return f"{cloze} {fact.answer}." if fact.source == "counterfact" else None
        told = rng.choice(self._relations[fact.label].statements)
        return told.replace("{}", fact.subject).replace("{answer}", fact.answer)

    def _mine(self, facts: Sequence[Fact]) -> dict[str, list[str]]:
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for fact in facts:
            if fact.label is None:
                continue
            self._by_label[fact.label].append(fact.subject)
            for word in set(normalise(fact.subject).split()):
                self._by_word[word].append(fact.subject)
            # PokeMQA's first wording is a statement that holds the answer: an edit, not a query.
            for text in fact.asked[1:] if fact.source == "pokemqa" else fact.asked:
                template = templated(text, fact.subject)
                self._asked.add((fact.label, template))
                if template.count("{}") == 1 and label_of(template) == fact.label:
                    counts[fact.label][template] += 1
        return {
            label: [template for template, _ in count.most_common(MINED_TEMPLATES)] for label, count in counts.items()
        }

    def _template(self, label: str, rng: random.Random) -> str:
        mined = self._mined.get(label)
        if mined and rng.random() < MINED_SHARE:
            return rng.choice(mined)
        return self._written(label, rng)

    def _written(self, label: str, rng: random.Random) -> str:
        relation = self._relations[label]
        return rng.choice((*relation.questions, *relation.clozes))

    def _chained(self, label: str, subject: str, rng: random.Random) -> str | None:
        relation = self._relations.get(label)
        outer = self._outer.get(relation.answer_kind) if relation else None
        if relation is None or not outer or not relation.inner:
            return None
        return rng.choice(outer).replace("{}", rng.choice(relation.inner).replace("{}", subject))


def short_form(subject: str, *, person: bool, rng: random.Random) -> str | None:
    """The name as people shorten it; None where nothing can be left out safely.

    Persons lose their first or their middle names, everything else an article or what stands in brackets.
    """
    words = subject.split()
    without = re.sub(r"^(The|the) |\s*\([^)]*\)", "", subject)
    if without != subject:
        return without
    plain = all(re.fullmatch(r"[^\W\d_][\w'’-]+", word) and word[0].isupper() for word in (words[0], words[-1]))
    if not person or not plain or len(words) < 2:
        return None
    if len(words) > 2 and rng.random() < 0.6:
        return f"{words[0]} {words[-1]}"
    return words[-1] if len(words) == 2 and len(words[-1]) > 4 else None


def other_number(subject: str, rng: random.Random) -> str | None:
    """The name with another number in it: another year, another part; None if it holds none."""
    numbers = list(re.finditer(r"\d+", subject))
    if not numbers:
        return None
    match = rng.choice(numbers)
    step = rng.choice((-2, -1, 1, 2, 10))
    other = str(abs(int(match[0]) + step)).zfill(len(match[0]))
    return f"{subject[: match.start()]}{other}{subject[match.end() :]}" if other != match[0] else None


def blended(name: str, other: str, rng: random.Random) -> str | None:
    """`name` with one half of a long word exchanged for as much of a word of `other`; None if they are too short.

    At least two letters differ, which is more than a slip of the pen.
    """
    words = name.split()
    places = [at for at, word in enumerate(words) if len(word) > 5 and word.isalpha()]
    theirs = [word for word in other.split() if len(word) > 4 and word.isalpha()]
    if not places or not theirs:
        return None
    at, donor = rng.choice(places), rng.choice(theirs)
    word, half = words[at], rng.randint(2, min(4, len(words[at]) // 2))
    if rng.random() < 0.7:
        kept, old, new = word[:-half], word[-half:], donor[-half:]
        mixed = kept + new.casefold()
    else:
        kept, old, new = word[half:], word[:half], donor[:half]
        mixed = new + kept
    differing = sum(a.casefold() != b.casefold() for a, b in zip(old, new, strict=True))
    return " ".join([*words[:at], mixed, *words[at + 1 :]]) if differing > 1 else None
