"""Scores of one answer: exact match, containment, token F1; any accepted answer, or all parts of one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from memedit.evaluation.cases import Probe
from memedit.evaluation.metrics import exact_match, normalize_answer
from memedit.scope.words import NO_SPACES

_UNSPACED = NO_SPACES.pattern
_TOKEN = re.compile(rf"{_UNSPACED}[^\w\s]*|(?:(?!{_UNSPACED})\S)+")
_JOINING = frozenset({"and", "et", "und", "y", "和", "与", "與", "及", "と"})
"""What may stand between the parts of a complete answer."""


def is_exact(prediction: str, probe: Probe) -> bool:
    """Whether a prediction is an accepted answer and nothing else; all parts of one where there are parts."""
    return exact_match_all(prediction, probe.parts) if probe.parts else exact_match(prediction, probe.answers)


def is_contained(prediction: str, probe: Probe) -> bool:
    """Whether an accepted answer, or each of its parts, stands within the prediction."""
    return all(contains_answer(prediction, names) for names in probe.parts or (probe.answers,))


def probe_f1(prediction: str, probe: Probe) -> float:
    """Token F1 of the prediction against the best accepted answer, or against all parts together."""
    return token_f1(prediction, references(probe))


def references(probe: Probe) -> tuple[str, ...]:
    """The accepted answers; where there are parts, the one that names each of them by its first name."""
    return (" and ".join(names[0] for names in probe.parts),) if probe.parts else probe.answers


def accepted(probe: Probe) -> list[str] | list[list[str]]:
    """The accepted answers as JSON has them: a list of names, or a list of lists where each part is wanted."""
    return [list(names) for names in probe.parts] if probe.parts else list(probe.answers)


def answer_tokens(text: str) -> list[str]:
    """The normalised text as words; characters where the writing has no spaces.

    Chinese, Japanese, Thai, Lao, Khmer and Burmese are taken apart into characters, each with the
    combining marks behind it (as MLQA, Lewis et al. 2020, does for Chinese): where their words
    end could only be guessed.

    Args:
        text: An answer.
    """
    return split_words(normalize_answer(text))


def split_words(text: str) -> list[str]:
    """The text at its white space, and into characters where the writing has none."""
    return _TOKEN.findall(text)


def contains_answer(prediction: str, answers: str | Iterable[str]) -> bool:
    """Whether an accepted answer stands within the prediction, as whole words.

    Args:
        prediction: What the model said, cut where the answer ends.
        answers: The accepted answer, or several of which any will do.
    """
    found = answer_tokens(prediction)
    accepted = (answers,) if isinstance(answers, str) else answers
    return any(_position(answer_tokens(answer), found) is not None for answer in accepted)


def token_f1(prediction: str, answers: str | Iterable[str]) -> float:
    """Harmonic mean of token precision and recall against the best accepted answer.

    As in SQuAD (Rajpurkar et al. 2016, section 6.1), over `answer_tokens`.

    Args:
        prediction: What the model said, cut where the answer ends.
        answers: The accepted answer, or several of which any will do.

    Returns:
        A number in [0, 1]; 0 where either side has no tokens.
    """
    found = Counter(answer_tokens(prediction))
    accepted = (answers,) if isinstance(answers, str) else answers
    return max((_f1(found, Counter(answer_tokens(answer))) for answer in accepted), default=0.0)


def exact_match_all(prediction: str, wanted: Sequence[Sequence[str]]) -> bool:
    """Whether the prediction names every wanted answer and nothing else, in any order.

    Args:
        prediction: What the model said, cut where the answer ends.
        wanted: One entry for each answer that must be there: its accepted wordings.

    Returns:
        True if it is one wording of each answer, once, with at most joining words ("and") beside them;
        False if nothing is wanted.
    """
    found = tuple(answer_tokens(prediction))
    return bool(wanted) and _names_all(found, tuple(sorted(tuple(map(_tokens, names)) for names in wanted)))


@lru_cache(maxsize=4096)
def _names_all(found: tuple[str, ...], wanted: tuple[tuple[tuple[str, ...], ...], ...]) -> bool:
    """Whether the tokens are one wording of each wanted answer, in any order, with joining words between."""
    if not found:
        return not wanted
    if found[0] in _JOINING and _names_all(found[1:], wanted):
        return True
    return any(
        bool(name)
        and found[: len(name)] == name
        and _names_all(found[len(name) :], wanted[:place] + wanted[place + 1 :])
        for place, names in enumerate(wanted)
        for name in names
    )


def _tokens(text: str) -> tuple[str, ...]:
    return tuple(answer_tokens(text))


def _position(part: Sequence[str], whole: Sequence[str]) -> int | None:
    """Where the tokens of `part` stand next to each other in `whole`; None if nowhere, or if there are none."""
    if not part:
        return None
    starts = range(len(whole) - len(part) + 1)
    return next((start for start in starts if list(whole[start : start + len(part)]) == list(part)), None)


def _f1(found: Counter[str], wanted: Counter[str]) -> float:
    shared = sum((found & wanted).values())
    return 2 * shared / (sum(found.values()) + sum(wanted.values())) if shared else 0.0
