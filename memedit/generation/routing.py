"""Which edit answers each row of a request."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from memedit.errors import UnsupportedCallError
from memedit.generation.request import Request
from memedit.queries import Query, check_queries, texts_of_ids, texts_of_prompt, texts_of_query
from memedit.scope.router import Route, Router

logger = logging.getLogger("memedit.generation")


def route_rows(
    request: Request,
    router: Router,
    tokenizer: PreTrainedTokenizerBase | None,
    queries: Sequence[Query] | None,
    namespace: str,
    context_turns: int,
) -> tuple[Route, ...]:
    """Decide on every row of a request, by one look into the memory.

    Args:
        request: What was asked.
        router: Decides on texts.
        tokenizer: Turns ids into text; None if every call brings `queries`.
        queries: What to route by, one for each row; None to read it from the ids.
        namespace: Only edits of this namespace are considered.
        context_turns: How many earlier user turns may help to understand the last one.

    Returns:
        One route for each row; none at all if nothing could be routed.

    Raises:
        UnsupportedCallError: There are queries and nothing to answer after them.
        ValueError: There is not one query for each row.
    """
    if queries is not None:
        if not request.count:
            raise UnsupportedCallError("queries were given without input_ids; an edited row needs both")
        rows = [texts_of_query(query, context_turns) for query in check_queries(queries, request.count)]
    elif request.ids is not None and tokenizer is not None:
        # Beside a cache of the caller's the mask may reach further back than the ids.
        mask = request.mask[:, -request.ids.shape[1] :]
        rows = texts_of_ids(request.ids, mask, tokenizer, context_turns)
    else:
        logger.warning("no edit is considered: routing needs the prompt's ids and a tokenizer, or queries=[…]")
        return ()
    # One call for all wordings of all rows: the whole request sees one state of the memory.
    decided = iter(router.route([text for texts in rows for text in texts], namespace))
    routes = tuple(_first_in_scope([next(decided) for _ in texts]) for texts in rows)
    logger.info(
        "routed %d rows, %d in scope: %s",
        len(routes),
        sum(route.in_scope for route in routes),
        ", ".join(f"{route.edit.id if route.edit else 'base'} {route.probability:.3f}" for route in routes),
    )
    return routes


def route_prompt(router: Router, prompt: str, namespace: str) -> Route:
    """The decision on one prompt that is no chat, as `route_rows` takes it."""
    return _first_in_scope(router.route(list(texts_of_prompt(prompt)), namespace))


def _first_in_scope(routes: Sequence[Route]) -> Route:
    return next((route for route in routes if route.in_scope), routes[0])
