"""What an evaluation needs of the model it judges, so that other editors can be judged as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from memedit.edits import Edit


class RoutedQuery(Protocol):
    """What became of one query; `memedit.scope.router.Route` is one."""

    @property
    def edit(self) -> Edit | None:
        """The edit that answers, None if the base does."""
        ...

    @property
    def probability(self) -> float:
        """Probability that the query is in scope of the best candidate, 0 without one."""
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
    """A model with edits, the base below it, and a decision between the two."""

    base: Any
    tokenizer: Any
    edits: Any
    router: Any

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """As the base's `generate`, with `queries`: the texts by which rows are routed."""
        ...


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
def routes_remembered(model: EvaluatedModel) -> Iterator[RememberedRoutes]:
    """Let the model decide each query once; the memory must not change meanwhile.

    Routing is scored apart from generating, and both need the same decisions; taking them twice
    would double the time of an evaluation.
    """
    router = model.router
    model.router = RememberedRoutes(router)
    try:
        yield model.router
    finally:
        model.router = router
