"""BM25 over the wordings of stored edits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

from memedit.edits import Edit
from memedit.evaluation.scoring import answer_tokens
from memedit.memory import EditMemory, Hit


class BM25:
    """Ranks edits by the words that a wording of theirs shares with the query.

    Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", section 3.4;
    the inverse document frequency as log(1 + (N - n + 0.5) / (n + 0.5)), which is never negative.
    Words as `answer_tokens` gives them: without case, punctuation and articles, and of writings without
    spaces each character is one.

    Args:
        memory: The edits; what changes in it is seen at the next question.
    """

    k1 = 1.2
    b = 0.75

    def __init__(self, memory: EditMemory) -> None:
        self._memory = memory
        self._revision: int | None = None
        self._wordings: list[tuple[Edit, str]] = []
        self._counter = CountVectorizer(analyzer=answer_tokens, binary=True)
        self._weights: Any = None

    def best(self, queries: Sequence[str]) -> list[Hit | None]:
        """The edit with the highest score for each query, of equal ones the newest; None if no word agrees."""
        if self._memory.revision != self._revision:
            self._read()
        if not self._wordings:
            return [None] * len(queries)
        scores = (self._counter.transform(queries) @ self._weights).toarray()
        # Wordings are in the order of storing, and the first of the reversed row is the newest.
        newest = scores.shape[1] - 1 - scores[:, ::-1].argmax(axis=1)
        return [self._hit(int(place), row[place]) for row, place in zip(scores, newest, strict=True)]

    def _hit(self, place: int, score: float) -> Hit | None:
        edit, wording = self._wordings[place]
        return Hit(edit, wording, float(score)) if score > 0 else None

    def _read(self) -> None:
        self._revision = self._memory.revision
        self._wordings = [(edit, wording) for edit in self._memory for wording in edit.wordings]
        if not self._wordings:
            return
        counts = CountVectorizer(analyzer=answer_tokens)
        frequency = counts.fit_transform([wording for _, wording in self._wordings]).tocoo()
        self._counter = CountVectorizer(analyzer=answer_tokens, binary=True, vocabulary=counts.vocabulary_)
        lengths = np.bincount(frequency.row, weights=frequency.data, minlength=len(self._wordings))
        containing = np.bincount(frequency.col, minlength=frequency.shape[1])
        inverse = np.log1p((len(self._wordings) - containing + 0.5) / (containing + 0.5))
        normal = self.k1 * (1 - self.b + self.b * lengths / lengths.mean())
        saturated = frequency.data * (self.k1 + 1) / (frequency.data + normal[frequency.row])
        frequency.data = saturated * inverse[frequency.col]
        self._weights = frequency.T.tocsr()
