"""Clean memories: which questions of a benchmark may be scored beside a given set of edits.

Benchmarks hold several edits of one fact, and "locality" prompts that ask an edited fact. What is
dropped here is decided from the data alone, never by the classifier under test, which could
otherwise hide its own mistakes:

1. Of several edits of one fact, the last one stored counts; the earlier are not scored, unless they
   are the same edit word for word.
2. A locality prompt that asks a fact which a stored edit changes is not scored: neither its own
   edit's in other words, nor another's.
3. A portability question is not scored if it rests on a fact (`Probe.steps`) to which a stored edit
   gives another answer.

A prompt *asks an edit's fact* if it is one of the edit's wordings; or if it names the edit's
subject (as a whole name: "Visual Basic Script" does not name "Visual Basic") and either the data
gives both the same relation, or both have the same true answer, or both say the same apart from
the subject and function words ("The mother of X is" / "Who is the mother of X?"). In writings
without spaces between words every character counts as a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from memedit.evaluation.cases import Case, LocalityKind, Probe
from memedit.evaluation.metrics import normalize_answer
from memedit.memory.wordings import prompt_key
from memedit.scope.words import WORD

_SAYING_NOTHING = """
    a an the of in on at to by from for with as and or is are was were be been being do does did
    has have had s who whom whose what which where when why how that this it its his her their
    name named called
"""
_SAYING_NOTHING_IN_CHINESE = "的之是在于了有和与及其这那哪谁何什么怎吗呢吧啊为被把由从到对叫名字个位"
_HIRAGANA = "".join(map(chr, range(0x3041, 0x3097)))  # in Japanese, particles and endings
_FUNCTION_WORDS = frozenset((*_SAYING_NOTHING.split(), *_SAYING_NOTHING_IN_CHINESE, *_HIRAGANA))


@dataclass(frozen=True, slots=True)
class CleanCase:
    """A case with what may be scored of it.

    Attributes:
        case: With its locality and portability questions cleaned.
        raw: As the data set has it.
        superseded: Whether a later stored edit changes the same fact.
    """

    case: Case
    raw: Case
    superseded: bool


def clean(cases: Sequence[Case]) -> list[CleanCase]:
    """Mark what may not be scored when all the cases are stored.

    Args:
        cases: The edits in memory, in the order in which they were stored.

    Returns:
        One entry per case.
    """
    index = _FactIndex(cases)
    superseded = [index.is_superseded(position) for position in range(len(cases))]
    cleaned = []
    for position, case in enumerate(cases):
        locality = {kind: index.unasked(probes, position, kind) for kind, probes in case.locality.items()}
        portability = tuple(probe for probe in case.portability if not index.is_changed(probe, superseded))
        cleaned.append(CleanCase(replace(case, locality=locality, portability=portability), case, superseded[position]))
    return cleaned


def clean_questions(questions: Sequence[Probe], cases: Sequence[Case]) -> list[Probe]:
    """Those unrelated questions that ask no fact which one of the stored cases changes."""
    index = _FactIndex(cases)
    return [question for question in questions if next(index.asked(question), None) is None]


class _FactIndex:
    """Finds the edits whose fact a prompt asks, by the subjects that it names."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = cases
        self._by_wording: dict[str, list[int]] = {}
        self._by_name: dict[tuple[str, ...], list[int]] = {}
        for position, case in enumerate(cases):
            for wording in case.wordings:
                self._by_wording.setdefault(prompt_key(wording), []).append(position)
            for name in _names(case):
                self._by_name.setdefault(_words(name), []).append(position)
        self._longest = max(map(len, self._by_name), default=0)

    def is_superseded(self, position: int) -> bool:
        """Whether an edit stored after this one, and not the same, changes the same fact."""
        case = self._cases[position]
        asked = self.asked(Probe(case.prompt, case.old_answers), case.relation)
        return any(found > position and not _is_same_edit(self._cases[found], case) for found in asked)

    def unasked(self, probes: Iterable[Probe], position: int, kind: LocalityKind) -> tuple[Probe, ...]:
        """Those of a case's locality prompts that ask no stored edit's fact."""
        # A forgetfulness prompt asks its own edit's fact on purpose.
        spared = position if kind is LocalityKind.FORGETFULNESS else None
        relation = self._cases[position].relation if kind is LocalityKind.NEIGHBOUR else None
        return tuple(probe for probe in probes if all(found == spared for found in self.asked(probe, relation)))

    def is_changed(self, probe: Probe, superseded: Sequence[bool]) -> bool:
        """Whether an edit that counts gives another answer to a question on which this one rests."""
        return any(
            not superseded[found] and not _agree(self._cases[found].answers, step.answers)
            for step in probe.steps
            for found in self.asked(step)
        )

    def asked(self, probe: Probe, relation: str | None = None) -> Iterator[int]:
        """Positions of the edits whose fact the probe asks, some of them more than once."""
        yield from self._by_wording.get(prompt_key(probe.prompt), ())
        for position in self._named(probe.prompt):
            if _same_fact(probe, relation, self._cases[position]):
                yield position

    def _named(self, prompt: str) -> set[int]:
        """Positions of the edits whose subject the prompt names."""
        tokens = list(WORD.finditer(prompt))
        folded = [token.group().casefold() for token in tokens]
        found = set()
        for start in range(len(folded)):
            for end in range(start + 1, min(len(folded), start + self._longest) + 1):
                positions = self._by_name.get(tuple(folded[start:end]))
                if positions and not _is_part_of_longer_name(prompt, tokens, start, end):
                    found.update(positions)
        return found


def _names(case: Case) -> tuple[str, ...]:
    return case.other_names if case.subject is None else (case.subject, *case.other_names)


def _same_fact(probe: Probe, relation: str | None, case: Case) -> bool:
    """Whether a prompt that names the case's subject asks the case's fact."""
    if relation is not None and case.relation is not None:
        return relation == case.relation
    if _agree(probe.answers, case.old_answers):
        return True
    subject = {word for name in _names(case) for word in _words(name)}
    asked = _content(probe.prompt, subject)
    return bool(asked) and any(asked == _content(wording, subject) for wording in case.wordings)


def _is_same_edit(some: Case, other: Case) -> bool:
    return prompt_key(some.prompt) == prompt_key(other.prompt) and _agree(some.answers, other.answers)


def _agree(some: Iterable[str], others: Iterable[str]) -> bool:
    """Whether the two have an answer in common."""
    return not set(map(normalize_answer, some)).isdisjoint(map(normalize_answer, others))


def _content(text: str, subject: set[str]) -> frozenset[str]:
    return frozenset(_words(text)) - subject - _FUNCTION_WORDS


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.casefold() for word in WORD.findall(text))


def _is_part_of_longer_name(prompt: str, tokens: Sequence[re.Match[str]], start: int, end: int) -> bool:
    """Whether a capitalised word or a number stands directly beside tokens[start:end]."""
    if end < len(tokens) and _joins(prompt, tokens[end - 1], tokens[end]):
        following = tokens[end].group()
        if _is_name_like(following):
            return True
    if start and _joins(prompt, tokens[start - 1], tokens[start]):
        before = tokens[start - 1].group()
        opens_sentence = start == 1 and before.casefold() in _OPENERS
        return _is_name_like(before) and not opens_sentence
    return False


_OPENERS = _FUNCTION_WORDS | {"can", "could", "will", "under", "after", "before", "since", "during"}
"""Words whose capital letter at the beginning of a prompt makes them no part of a name."""


def _joins(prompt: str, left: re.Match[str], right: re.Match[str]) -> bool:
    return prompt[left.end() : right.start()] in (" ", "-", ".", ": ", " & ")


def _is_name_like(word: str) -> bool:
    return word[:1].isupper() or word[:1].isdigit()
