"""`explain()`: why a query is answered by an edit or by the base, in words.

The module is not named after its function: once imported, it would hide `memedit.explain`.
"""

from __future__ import annotations

from typing import Any

from memedit.edits import DEFAULT_NAMESPACE
from memedit.model import EditedModel
from memedit.scope.router import Router


def explain(edited: Any, query: str, namespace: str | None = None) -> str:
    """Tell which edit would answer a query, or why none does.

    Args:
        edited: An `EditedModel`, a pipeline around one (as `wrap` makes it), or a `Router`.
        query: The query; where `edited` is no router, a prompt, whose end is tried first if it is long.
        namespace: Only edits of this namespace are considered; None for the model's own, or
            for the default one where `edited` is a router.

    Returns:
        Several lines of plain text: query, decision, answer, threshold, and a table of the candidates
        with nearest wording, answer, similarity, probability, and what became of each.

    Raises:
        TypeError: `edited` is something else, or `query` is not one string.

    Example:
        >>> print(memedit.explain(pipe, "Who runs Acme?"))  # doctest: +SKIP
        query      Who runs Acme?
        decision   The query means the edit "Who is the chief executive of Acme?" with probability …
    """
    if not isinstance(query, str):
        raise TypeError(f"expected one query as a string, got {type(query).__name__}")
    if isinstance(edited, Router):
        return str(edited.route([query], DEFAULT_NAMESPACE if namespace is None else namespace)[0])
    model = edited if isinstance(edited, EditedModel) else getattr(edited, "model", None)
    if not isinstance(model, EditedModel):
        raise TypeError(f"expected an EditedModel, a pipeline around one or a Router, got {type(edited).__name__}")
    return str(model.explain(query, namespace))
