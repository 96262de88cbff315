"""Labelled pairs of edits written as free statements."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from memedit.scope.augment import Augmenter
from training.scope_data.pairs import Pair
from training.scope_data.statements import Statement


def statement_pairs(
    statements: Sequence[Statement], augment: Augmenter, unrelated: Sequence[str], rng: random.Random
) -> Iterator[Pair]:
    """Pairs of each statement with questions it answers, questions it leaves open, and questions about others.

    Args:
        statements: The edits.
        augment: Changes how a query is written.
        unrelated: Questions that no statement answers.
        rng: Chooses among the questions of a part.
    """
    for statement in statements:
        for part in statement.questions:
            query = rng.choice(part)
            yield Pair(statement.wording, augment(query), in_scope=True, family="statement", plain=query)
        for query in rng.sample(statement.misses, min(3, len(statement.misses))):
            yield Pair(statement.wording, augment(query), in_scope=False, family="statement_miss", plain=query)
        for query in rng.sample(statement.others, min(2, len(statement.others))):
            yield Pair(statement.wording, augment(query), in_scope=False, family="statement_other", plain=query)
        if rng.random() < 0.15:
            query = rng.choice(unrelated)
            yield Pair(statement.wording, augment(query), in_scope=False, family="unrelated", plain=query)


def near_pairs(
    found: Iterable[tuple[str, Sequence[Statement]]], augment: Augmenter, families: Mapping[str, str]
) -> Iterator[Pair]:
    """Pairs, none in scope, of a query with the statements nearest to it (`mining.mine_statements`).

    Args:
        found: Each query with these statements.
        augment: Changes how a query is written.
        families: The family of each query's pairs.
    """
    for query, near in found:
        for statement in near:
            yield Pair(statement.wording, augment(query), in_scope=False, family=families[query], plain=query)


def apart(statements: Sequence[Statement]) -> list[Statement]:
    """The statements of one memory: no question stays open, or is asked of something else, that one of them answers."""
    answered = {text for statement in statements for part in statement.questions for text in part}
    return [
        replace(
            statement,
            misses=tuple(text for text in statement.misses if text not in answered),
            others=tuple(text for text in statement.others if text not in answered),
        )
        for statement in statements
    ]
