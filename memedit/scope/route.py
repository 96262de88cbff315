"""`Route`: the decision on one query, with the evidence for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from memedit.edits import Edit

TIE = 1e-4
"""Probabilities closer than this are equal, but for that of an edit in the query's own words, which is 1."""

_WIDEST = 60
"""Characters of a text that are shown in the table of candidates."""


@dataclass(frozen=True)
class Candidate:
    """One edit that was considered.

    Attributes:
        edit: The edit.
        wording: The wording of it (prompt or alias) that was nearest to the query.
        similarity: Cosine similarity of that wording and the query.
        probability: Calibrated probability that the query is in scope of the edit.
        threshold: Probability from which it is in scope.
    """

    edit: Edit
    wording: str
    similarity: float
    probability: float
    threshold: float

    @property
    def in_scope(self) -> bool:
        """Whether it may answer."""
        return self.probability >= self.threshold


@dataclass(frozen=True)
class Route:
    """The decision on one query; `str()` of it tells the decision in several lines.

    Attributes:
        query: The query.
        edit: The edit that answers it; None if the base does.
        probability: The chosen edit's probability, or the best candidate's; 0 without any.
        threshold: Probability from which that edit fires.
        candidates: What was considered: the winner, then by falling probability, those that tie
            with the most probable one by falling similarity.
        reason: The decision in one English sentence.
        seconds: Time of the `route` call divided by its number of queries.
    """

    states_probability: ClassVar[bool] = True
    """Whether `probability` is one, and not a score of another kind."""

    query: str
    edit: Edit | None
    probability: float
    threshold: float
    candidates: tuple[Candidate, ...]
    reason: str
    seconds: float

    @property
    def in_scope(self) -> bool:
        """Whether an edit answers the query."""
        return self.edit is not None

    def __str__(self) -> str:
        """Query, decision, answer, threshold and a table of the candidates, as plain text."""
        lines = [f"query      {_short(self.query)}", f"decision   {self.reason}"]
        if self.edit is not None:
            lines.append(f"answer     {_short(self.edit.target)} (edit {self.edit.id}, {self.edit.kind.value})")
        lines.append(f"threshold  {self.threshold:.3f}")
        if self.candidates:
            head = ("candidate", "answer", "similarity", "probability", "why")
            rows = [
                (
                    _short(candidate.wording),
                    _short(candidate.edit.target),
                    f"{candidate.similarity:.3f}",
                    f"{candidate.probability:.4f}",
                    self._why(candidate),
                )
                for candidate in self.candidates
            ]
            lines += ["", *_aligned([head, *rows])]
        return "\n".join(lines)

    def _why(self, candidate: Candidate) -> str:
        """What became of one candidate, in a few words."""
        if not candidate.in_scope:
            return "below the threshold"
        winner = self.candidates[0]
        if candidate is winner:
            return "in scope, answers"
        if candidate.probability < lowest_of_ties(winner.probability):
            return "in scope, lost: less probable"
        if candidate.probability <= winner.probability + TIE and candidate.similarity < winner.similarity:
            return "in scope, lost: as probable, less similar"
        return "in scope, lost: a newer or higher-ranked edit of the best one's fact"


def lowest_of_ties(probability: float) -> float:
    """The lowest probability that ties with `probability`, if that is the highest of the candidates in scope."""
    return probability - TIE if probability < 1.0 else probability


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines whose columns begin at the same place."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _short(text: str) -> str:
    """`text` on one line, its end cut off if it is long."""
    line = " ".join(text.split())
    return line if len(line) <= _WIDEST else line[: _WIDEST - 1] + "…"
