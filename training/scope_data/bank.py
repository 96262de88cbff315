"""Templates by relation and subjects by kind, to make near-misses and cross-form paraphrases."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence

from training.scope_data.facts import Fact, normalise, templated
from training.scope_data.labels import is_precise, kinds_of, label_of, surely_differ

_INNER = {
    "citizenship": ("the country {} is a citizen of", "l"),
    "birth_place": ("the place where {} was born", "l"),
    "death_place": ("the city {} died in", "l"),
    "country_of_origin": ("the country {} comes from", "l"),
    "headquarters": ("the city where {} has its headquarters", "l"),
    "capital": ("the capital of {}", "l"),
    "author": ("the author of {}", "p"),
    "director": ("the director of {}", "p"),
    "father": ("the father of {}", "p"),
    "mother": ("the mother of {}", "p"),
    "spouse": ("the spouse of {}", "p"),
    "performer": ("the performer of {}", "p"),
    "founder": ("the founder of {}", "p"),
    "chief_executive": ("the chief executive officer of {}", "p"),
    "employer": ("the employer of {}", "o"),
    "developer": ("the company that developed {}", "o"),
}
_OUTER = {
    "l": ("What is the capital of {}?", "What language is spoken in {}?", "Which continent is {} on?",
          "The currency of {} is", "The official language of {} is", "Who is the head of state of {}?"),
    "p": ("Where was {} born?", "The gender of {} is", "What is the nationality of {}?",
          "The occupation of {} is", "Who is the mother of {}?", "What language does {} speak?"),
    "o": ("Where is the headquarters of {}?", "Who founded {}?", "The chief executive of {} is",
          "Which country is {} from?"),
}  # fmt: skip


class TemplateBank:
    """What `facts` teach about asking: templates by relation, subjects by kind and by word."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        """Collect templates and subjects from `facts`."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._by_label: dict[str, list[str]] = defaultdict(list)
        self._by_word: dict[str, list[str]] = defaultdict(list)
        self._asked: set[tuple[str, str]] = set()
        for fact in facts:
            if fact.label is None:
                continue
            self._by_label[fact.label].append(fact.subject)
            for word in set(normalise(fact.subject).split()):
                self._by_word[word].append(fact.subject)
            # PokeMQA's first wording is a statement that holds the answer: an edit, not a query.
            queries = fact.asked[1:] if fact.source == "pokemqa" else fact.asked
            for text in queries:
                template = templated(text, fact.subject)
                self._asked.add((fact.label, template))
                if template.count("{}") == 1 and label_of(template) == fact.label:
                    counts[fact.label][template] += 1
        self.templates = {label: [template for template, _ in count.most_common(40)] for label, count in counts.items()}
        self._kin_labels = {
            label: [
                other
                for other in self.templates
                if surely_differ(label, other) and set(kinds_of(label)) & set(kinds_of(other))
            ]
            for label in self.templates
        }

    def same_relation(self, fact: Fact, rng: random.Random) -> str | None:
        """Another way to ask for `fact`, in a template of another fact; None if unsure."""
        if not is_precise(fact.label) or fact.label not in self.templates:
            return None
        return rng.choice(self.templates[fact.label]).replace("{}", fact.subject)

    def other_relation(self, fact: Fact, rng: random.Random) -> str | None:
        """A question about the subject of `fact` that surely asks for something else."""
        labels = self._kin_labels.get(fact.label or "", [])
        for _ in range(4 if labels else 0):
            template = rng.choice(self.templates[rng.choice(labels)])
            if (fact.label, template) not in self._asked:
                return template.replace("{}", fact.subject)
        return None

    def other_subject(self, fact: Fact, rng: random.Random) -> str | None:
        """A subject of the same relation, half the time one that shares a word with `fact`'s."""
        own = normalise(fact.subject)
        pools = [self._by_label.get(fact.label or "", [])]
        if rng.random() < 0.5:
            pools[:0] = [self._by_word[word] for word in own.split() if len(word) > 2]
        for pool in pools:
            for candidate in (rng.choice(pool) for _ in range(3 if pool else 0)):
                if normalise(candidate) not in own and own not in normalise(candidate):
                    return candidate
        return None

    def step_beyond(self, fact: Fact, rng: random.Random) -> str | None:
        """A question that needs the answer to `fact` to be answered itself."""
        if fact.label not in _INNER:
            return None
        inner, kind = _INNER[fact.label]
        return rng.choice(_OUTER[kind]).format(inner.format(_safe(fact.subject)))

    def step_aside(self, fact: Fact, rng: random.Random) -> str | None:
        """A question that holds the words of `fact` but asks them of somebody else."""
        inner = [text for label, (text, _) in _INNER.items()
                 if surely_differ(label, fact.label) and set(kinds_of(label)) & set(kinds_of(fact.label or ""))
                 ] if fact.label else []  # fmt: skip
        if not inner or fact.label not in self.templates:
            return None
        template = rng.choice(self.templates[fact.label])
        return template.replace("{}", rng.choice(inner).format(_safe(fact.subject)))


def _safe(subject: str) -> str:
    return subject.replace("{", "(").replace("}", ")")
