"""Names and answers that no model has seen, so that reading them means copying them."""

from __future__ import annotations

import random

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_ONSETS = (
    "b",
    "c",
    "d",
    "f",
    "g",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "qu",
    "r",
    "s",
    "t",
    "v",
    "w",
    "z",
    "br",
    "ch",
    "cl",
    "dr",
    "gr",
    "kh",
    "pl",
    "sch",
    "sh",
    "st",
    "str",
    "th",
    "tr",
    "zh",
    "",
)
_VOWELS = ("a", "e", "i", "o", "u", "ai", "au", "ea", "ie", "oo", "ö", "é", "y", "á", "ü")
_CODAS = (
    "",
    "",
    "",
    "n",
    "r",
    "l",
    "s",
    "t",
    "ck",
    "m",
    "nd",
    "rt",
    "ng",
    "x",
    "v",
    "ss",
    "lm",
    "č",
)


class Names:
    """A source of subjects and targets: real ones, real ones recombined, and invented ones.

    Args:
        subjects: Names of entities that may be trained on.
        objects: Answers that may be trained on.
        sentences: Plain sentences, from which spans serve as long answers.
    """

    def __init__(self, subjects: list[str], objects: list[str], sentences: list[str]) -> None:
        self._subjects = sorted(set(subjects))
        self._objects = sorted(set(objects))
        self._sentences = sentences
        self._words = sorted({word for name in self._subjects for word in name.split()})

    def subject(self, rng: random.Random) -> str:
        """A name of one to four words."""
        kind = rng.random()
        if kind < 0.45:
            return rng.choice(self._subjects)
        if kind < 0.8:
            return " ".join(rng.choice(self._words) for _ in range(rng.randint(1, 3)))
        return self._invented(rng)

    def target(self, rng: random.Random) -> str:
        """An answer: a name, a number, a date, or a few words."""
        kind = rng.random()
        if kind < 0.35:
            return rng.choice(self._objects)
        if kind < 0.58:
            return self.subject(rng)
        if kind < 0.75:
            return self._invented(rng)
        if kind < 0.90:
            return _number(rng)
        words = rng.choice(self._sentences).rstrip(".!?").split()
        length = rng.randint(2, 8)
        start = rng.randrange(max(1, len(words) - length))
        return " ".join(words[start : start + length]).strip(",;:\"'") or "nothing"

    def _invented(self, rng: random.Random) -> str:
        words = []
        for _ in range(rng.randint(1, 3)):
            syllables = (
                rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(rng.randint(1, 4))
            )
            words.append("".join(syllables).capitalize())
        return " ".join(words)


def _number(rng: random.Random) -> str:
    kind = rng.randrange(9)
    if kind < 3:
        return str(rng.randint(1000, 2100))
    if kind == 3:
        return f"{rng.randint(1, 28)} {rng.choice(_MONTHS)} {rng.randint(1500, 2050)}"
    if kind == 4:
        return f"{rng.choice(_MONTHS)} {rng.randint(1, 28)}, {rng.randint(1500, 2050)}"
    if kind == 5:
        return f"{rng.randint(1, 999):,},{rng.randint(0, 999):03d}"
    if kind == 6:
        return f"{rng.uniform(0, 200):.1f}{rng.choice((' million', '%', ' km', ' metres', ' billion', ''))}"
    if kind == 7:
        return f"{rng.choice('€$£')}{rng.randint(1, 9999)}"
    return str(rng.randint(0, 99999))
