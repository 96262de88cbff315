"""What the bi-encoder finds near a query: the negatives that the classifier will really meet."""

from __future__ import annotations

import random
from collections.abc import Sequence

import faiss
import numpy as np

from memedit.memory.encoding import TextEncoder, encode_texts
from training.scope_data.facts import Fact
from training.scope_data.statements import Statement

Found = list[tuple[Fact, str, list[tuple[Fact, str]]]]


def mine_nearest(facts: Sequence[Fact], encoder: TextEncoder, rng: random.Random, *, queries: int, k: int = 5) -> Found:
    """Search all first wordings of `facts` with texts that ask for some of them.

    Args:
        facts: The memory to search; queries are drawn from the same facts.
        encoder: The encoder used for retrieval.
        rng: Chooses the queries.
        queries: How many to draw; a fact's neighbour prompts are queries as well.
        k: How many near wordings to return for each query.

    Returns:
        For each query: its fact, its text, and the nearest facts but its own, nearest first.
    """
    stored = [rng.choice(fact.wordings) for fact in facts]
    asked = [(place, rng.choice(fact.asked)) for place, fact in enumerate(facts)]
    asked = rng.sample(asked, min(queries, len(asked)))
    near = _nearest(stored, [text for _, text in asked], encoder, k + 1)
    found: Found = []
    for (place, text), row in zip(asked, near, strict=True):
        others = [(facts[n], stored[n]) for n in row if n != place]
        found.append((facts[place], text, others[:k]))
    return found


def mine_statements(
    statements: Sequence[Statement], queries: Sequence[str], encoder: TextEncoder, *, k: int
) -> list[tuple[str, list[Statement]]]:
    """Search all `statements` with `queries`.

    Returns:
        Each query with the k nearest statements that it is no question of, nearest first.
    """
    if not statements or not queries:
        return []
    answered = [{text for part in statement.questions for text in part} for statement in statements]
    near = _nearest([statement.wording for statement in statements], queries, encoder, 2 * k)
    return [
        (query, [statements[n] for n in row if query not in answered[n]][:k])
        for query, row in zip(queries, near, strict=True)
    ]


def _nearest(stored: Sequence[str], asked: Sequence[str], encoder: TextEncoder, k: int) -> list[list[int]]:
    """The places in `stored` of the k texts nearest to each of `asked`, nearest first."""
    vectors = encode_texts(encoder, [*stored, *asked], progress=True)
    index = faiss.IndexFlatIP(encoder.dimension)
    index.add(np.stack([vectors[text] for text in stored]))
    _, near = index.search(np.stack([vectors[text] for text in asked]), min(k, len(stored)))
    return [row.tolist() for row in near]
