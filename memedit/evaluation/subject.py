"""What an evaluation needs of the model it judges, so that other editors can be judged as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from memedit.edits import Edit
from memedit.evaluation.cases import Case


class RoutedQuery(Protocol):
    """What became of one query; `memedit.scope.router.Route` is one."""

    @property
    def edit(self) -> Edit | None:
        """The edit that answers, None if the base does."""
        ...

    @property
    def probability(self) -> float:
        """Probability that the query is in scope of the best candidate, 0 without one.

        A router that decides by another score, or always takes the best candidate, gives that score.
        """
        ...

    @property
    def states_probability(self) -> bool:
        """Whether that is a probability, and not such a score."""
        ...

    @property
    def candidates(self) -> Sequence[Any]:
        """The edits that were considered, the best first."""
        ...


class QueryRouter(Protocol):
    """Decides which edit, if any, a query means."""

    def route(self, queries: Sequence[str], namespace: str = ...) -> Sequence[RoutedQuery]:
        """One decision per query."""
        ...


class EvaluatedModel(Protocol):
    """A model with edits, the base below it, and a decision between the two.

    Attributes:
        base: The base as it was before any edit; locality is measured against its answers.
        tokenizer: The base's tokenizer.
        router: Decides on queries; None where the method takes no such decision.
    """

    base: Any
    tokenizer: Any
    router: Any

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """As the base's `generate`, with `queries`: the texts by which rows are routed."""
        ...


class Method(Protocol):
    """A way of editing a base, as an evaluation drives it.

    Attributes:
        name: How it is called in reports.
        model: What is asked.
    """

    name: str
    model: EvaluatedModel

    def store(self, cases: Sequence[Case], *, progress: bool = False) -> tuple[list[Edit], float]:
        """Store further edits beside those that are stored.

        Args:
            cases: In their order; of one fact the newest is to answer.
            progress: Whether to show a progress bar.

        Returns:
            The edit that each case became, and the seconds that one edit takes.
        """
        ...

    def reset(self) -> None:
        """Forget all edits."""
        ...

    def settings(self) -> dict[str, Any]:
        """What a reader needs to know to run it again, as JSON-compatible values."""
        ...

    def kept_bytes(self) -> int | None:
        """How much the method keeps beside the base, in bytes; None if that is not known."""
        ...

    def close(self) -> None:
        """Take everything out of the base that was put into it, and free what is open."""
        ...


@dataclass(frozen=True, slots=True)
class Setup:
    """What every method of a comparison is made from.

    Attributes:
        base: The frozen base model that all of them share; a method gives it back as it was.
        tokenizer: Its tokenizer.
        encoder: The sentence encoder of edit memories.
        classifier: The scope classifier.
        folder: Where a method may keep files; empty at first.
        seed: Decides what a method draws.
        counterfactual: Checkpoint of a counterfactual model; None for the one that ships.
    """

    base: Any
    tokenizer: Any
    encoder: Any
    classifier: Any
    folder: Path
    seed: int = 0
    counterfactual: Path | None = None


class RememberedRoutes:
    """A router that decides each query once and remembers it.

    Args:
        router: Decides what was not asked before.
    """

    def __init__(self, router: QueryRouter) -> None:
        """Begin with nothing remembered."""
        self._router = router
        self._routes: dict[tuple[str, str], RoutedQuery] = {}

    def route(self, queries: Sequence[str], namespace: str = "default") -> list[RoutedQuery]:
        """One decision per query, from memory where there is one."""
        missing = [q for q in dict.fromkeys(queries) if (q, namespace) not in self._routes]
        if missing:
            routes = self._router.route(missing, namespace)
            self._routes.update({(q, namespace): r for q, r in zip(missing, routes, strict=True)})
        return [self._routes[query, namespace] for query in queries]


@contextmanager
def routes_remembered(model: EvaluatedModel) -> Iterator[RememberedRoutes | None]:
    """Let the model decide each query once; the memory must not change meanwhile.

    Routing is scored apart from generating, and both need the same decisions; taking them twice
    would double the time of an evaluation.

    Yields:
        The remembered decisions; None for a model that takes none.
    """
    router = model.router
    if router is None:
        yield None
        return
    remembered = model.router = RememberedRoutes(router)
    try:
        yield remembered
    finally:
        model.router = router
