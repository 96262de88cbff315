"""The ways people really write: no capitals, no question mark, typing errors, courtesy, context."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Sequence

_WRAPS = (
    "Could you tell me: {}", "Hi, quick question: {}", "Please answer this: {}", "{} Thanks!",
    "I was wondering, {}", "Hello! {}", "Do you know this? {}", "{} Please be brief.",
    "Complete the sentence: {}", "Question: {}\nAnswer:", "Q: {}\nA:", "User: {}\nAssistant:",
    "Tell me, {}", "One more thing: {}", "Hey there, {}", "For my homework: {}",
    "Can you help me with this one? {}", "ok so {}",
)  # fmt: skip

CONTEXTS = (
    "I am writing a short article.", "It has been raining here all day.", "Thanks for your help with the last one.",
    "We were talking about this at lunch.", "My sister told me something else yesterday.",
    "The train leaves at ten past four.", "I could not find it in the book.",
    "There are three more questions on the list.", "Retrieved on 4 May 2019.", "The match ended in a draw.",
    "Let me check one more thing.",
    "He bought two tickets for the concert.", "The shop is closed on Mondays.", "I read about it in the newspaper.",
    "She put the letter back on the table.", "This is for a quiz with friends.",
)  # fmt: skip
"""Sentences about nothing in particular, for those who have none of their own domain."""


class Augmenter:
    """Changes how a query is written and never what it asks.

    The same changes are made to positives and negatives: otherwise the classifier would learn
    that a query behind a sentence of unrelated text is in scope.
    """

    def __init__(self, rng: random.Random, contexts: Sequence[str] = CONTEXTS, *, rate: float = 0.4) -> None:
        """Draw from `rng`.

        Args:
            rng: Source of randomness.
            contexts: Unrelated sentences to put before a query.
            rate: Share of queries that are changed.
        """
        self._rng, self._contexts, self._rate = rng, contexts, rate

    def __call__(self, query: str) -> str:
        """`query`, perhaps written in another way."""
        return query if self._rng.random() >= self._rate else self.always(query)

    def always(self, query: str) -> str:
        """`query` written in another way."""
        change = self._rng.choices(
            (str.casefold, _bare, self._mistype, self._wrap, self._after_context, self._before),
            weights=(5, 4, 5, 4, 6, 1),
        )[0]
        return change(query)

    def _mistype(self, text: str) -> str:
        # In longer words only: a short word with another letter is another word.
        places = [at for word in re.finditer(r"[^\W\d_]{5,}", text) for at in range(word.start(), word.end() - 1)]
        if not places:
            return text
        at = self._rng.choice(places)
        kind = self._rng.randrange(4)
        if kind == 0:
            return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        if kind == 1:
            return text[:at] + text[at + 1 :]
        middle = text[at] if kind == 2 else self._rng.choice(string.ascii_lowercase)
        return text[: at + 1] + middle + text[at + 1 :]

    def _wrap(self, text: str) -> str:
        wrapped = self._rng.choice(_WRAPS).format(text.replace("{", "(").replace("}", ")"))
        return wrapped.casefold() if self._rng.random() < 0.3 else wrapped

    def _after_context(self, text: str) -> str:
        return f"{self._rng.choice(self._contexts)} {text}"

    def _before(self, text: str) -> str:
        if not text.rstrip().endswith("?"):
            return self._after_context(text)
        return f"{text} {self._rng.choice(self._contexts)}"


def _bare(text: str) -> str:
    # Not inside a word: "Windows 1.0" without its point is another version.
    return re.sub(r"[?.!,;:\"]+(?=\s|$)|(?<!\S)[\"]+", "", text).strip()
