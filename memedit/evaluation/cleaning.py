"""Clean memories: which questions of a benchmark may be scored beside a given set of edits.

Benchmarks hold several edits of one fact, and "locality" prompts that ask an edited fact. What is
dropped here is decided from the data alone, never by the classifier under test, which could
otherwise hide its own mistakes:

1. Of several edits of one fact, the last one stored counts; the earlier are not scored.
2. A locality prompt that asks a fact which a stored edit changes is not scored: neither its own
   edit's in other words, nor another's.

A prompt *asks an edit's fact* if it is one of the edit's wordings; or if it names the edit's
subject (as a whole name: "Visual Basic Script" does not name "Visual Basic") and either the data
gives both the same relation, or both have the same true answer, or both say the same apart from
the subject and function words ("The mother of X is" / "Who is the mother of X?").
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from memedit.evaluation.cases import Case, LocalityKind, Probe
from memedit.evaluation.metrics import normalize_answer
from memedit.memory.wordings import prompt_key

_WORD = re.compile(r"\w+")
_NO_SPACES = re.compile(r"[\u2e80-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_SAYING_NOTHING = """
    a an the of in on at to by from for with as and or is are was were be been being do does did
    has have had s who whom whose what which where when why how that this it its his her their
    name named called
"""
_FUNCTION_WORDS = frozenset(_SAYING_NOTHING.split())


@dataclass(frozen=True, slots=True)
class CleanCase:
    """A case with what may be scored of it.

    Attributes:
        case: With its locality prompts cleaned.
        raw: As the data set has it.
        superseded: Whether a later stored edit changes the same fact.
    """

    case: Case
    raw: Case
    superseded: bool


def clean(cases: Sequence[Case]) -> tuple[list[CleanCase], dict[str, int]]:
    """Mark what may not be scored when all the cases are stored, in this order.

    Args:
        cases: The edits in memory, in the order in which they were stored.

    Returns:
        One entry per case, and how much is dropped: `superseded_edits` and, for each kind of
        locality, `locality_<kind>` (counted over the cases that are scored).
    """
    index = _FactIndex(cases)
    dropped: Counter[str] = Counter({"superseded_edits": 0})
    cleaned = []
    for position, case in enumerate(cases):
        superseded = index.later_edit(position)
        kept: dict[LocalityKind, tuple[Probe, ...]] = {}
        for kind, probes in case.locality.items():
            # A forgetfulness prompt asks its own edit's fact on purpose.
            spared = position if kind is LocalityKind.FORGETFULNESS else None
            relation = case.relation if kind is LocalityKind.NEIGHBOUR else None
            kept[kind] = tuple(probe for probe in probes if not index.is_asked(probe, relation, spared=spared))
            if not superseded:
                dropped[f"locality_{kind}"] += len(probes) - len(kept[kind])
        dropped["superseded_edits"] += superseded
        cleaned.append(CleanCase(replace(case, locality=kept), case, superseded))
    return cleaned, dict(dropped)


def clean_questions(questions: Sequence[Probe], cases: Sequence[Case]) -> list[Probe]:
    """Those unrelated questions that ask no fact which one of the stored cases changes."""
    index = _FactIndex(cases)
    return [question for question in questions if not index.is_asked(question)]


class _FactIndex:
    """Finds the edits whose fact a prompt asks, by the subjects that it names."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = cases
        self._by_wording: dict[str, list[int]] = {}
        self._by_subject: dict[tuple[str, ...], list[int]] = {}
        self._unspaced: list[tuple[str, int]] = []
        for position, case in enumerate(cases):
            for wording in case.wordings:
                self._by_wording.setdefault(prompt_key(wording), []).append(position)
            if case.subject is None:
                continue
            self._by_subject.setdefault(_words(case.subject), []).append(position)
            if _NO_SPACES.search(case.subject):
                self._unspaced.append((case.subject.casefold(), position))
        self._longest = max(map(len, self._by_subject), default=0)

    def later_edit(self, position: int) -> bool:
        """Whether an edit stored after this one changes the same fact."""
        case = self._cases[position]
        probe = Probe(case.prompt, case.old_answers)
        return any(found > position for found in self._asked(probe, case.relation))

    def is_asked(self, probe: Probe, relation: str | None = None, *, spared: int | None = None) -> bool:
        """Whether the probe asks the fact of any edit but the one at `spared`."""
        return any(found != spared for found in self._asked(probe, relation))

    def _asked(self, probe: Probe, relation: str | None) -> Iterator[int]:
        yield from self._by_wording.get(prompt_key(probe.prompt), ())
        for position in self._named(probe.prompt):
            if _same_fact(probe, relation, self._cases[position]):
                yield position

    def _named(self, prompt: str) -> set[int]:
        """Positions of the edits whose subject the prompt names."""
        tokens = list(_WORD.finditer(prompt))
        folded = [token.group().casefold() for token in tokens]
        found = {position for subject, position in self._unspaced if subject in prompt.casefold()}
        for start in range(len(folded)):
            for end in range(start + 1, min(len(folded), start + self._longest) + 1):
                positions = self._by_subject.get(tuple(folded[start:end]))
                if positions and not _is_part_of_longer_name(prompt, tokens, start, end):
                    found.update(positions)
        return found


def _same_fact(probe: Probe, relation: str | None, case: Case) -> bool:
    """Whether a prompt that names the case's subject asks the case's fact."""
    if relation is not None and case.relation is not None:
        return relation == case.relation
    if set(map(normalize_answer, probe.answers)) & set(map(normalize_answer, case.old_answers)):
        return True
    subject = set(_words(case.subject or ""))
    asked = _content(probe.prompt, subject)
    return bool(asked) and any(asked == _content(wording, subject) for wording in case.wordings)


def _content(text: str, subject: set[str]) -> frozenset[str]:
    return frozenset(_words(text)) - subject - _FUNCTION_WORDS


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.casefold() for word in _WORD.findall(text))


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
