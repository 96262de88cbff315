"""The ways people really write: no capitals, no question mark, typing errors, courtesy, context."""

from __future__ import annotations

import random
import re
import string

_WRAPS = (
    "Could you tell me: {}", "Hi, quick question: {}", "Please answer this: {}", "{} Thanks!",
    "I was wondering, {}", "Hello! {}", "Do you know this? {}", "{} Please be brief.",
    "Complete the sentence: {}", "Question: {}\nAnswer:", "Q: {}\nA:", "User: {}\nAssistant:",
    "Tell me, {}", "One more thing: {}", "Hey there, {}", "For my homework: {}",
    "Can you help me with this one? {}", "ok so {}",
)  # fmt: skip


class Augmenter:
    """Changes how a query is written and never what it asks.

    The same changes are made to positives and negatives: otherwise the classifier would learn
    that a query behind a sentence of unrelated text is in scope.
    """

    def __init__(self, rng: random.Random, contexts: list[str], *, rate: float = 0.4) -> None:
        """Draw from `rng`.

        Args:
            rng: Source of randomness.
            contexts: Unrelated sentences to put before a query.
            rate: Share of queries that are changed.
        """
        self._rng, self._contexts, self._rate = rng, contexts, rate

    def __call__(self, query: str) -> str:
        """`query`, perhaps written in another way."""
        if self._rng.random() >= self._rate:
            return query
        change = self._rng.choices(
            (str.casefold, _bare, self._mistype, self._wrap, self._after_context, self._before),
            weights=(5, 4, 3, 4, 6, 1),
        )[0]
        return change(query)

    def _mistype(self, text: str) -> str:
        places = [i for i in range(len(text) - 1) if text[i : i + 2].isalpha()]
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
    return re.sub(r"[?.!,;:\"]+", "", text).strip()
