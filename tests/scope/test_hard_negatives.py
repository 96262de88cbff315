"""Labelled pairs made from a user's own edits."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from memedit.edits import Edit
from memedit.memory.wordings import prompt_key
from memedit.scope import SentenceEncoder
from memedit.scope.hard_negatives import asks_something_else, pairs_from_edits
from memedit.scope.pairing import Pair

PERU = Edit("1", "The capital of Peru is", "Cusco", subject="Peru", aliases=("Peru's capital city is",))
CHILE = Edit("2", "The capital of Chile is", "Arica", subject="Chile")
SEAT = Edit("3", "Which city is Peru's seat of government?", "Cusco", subject="Peru")
BOLIVIA = Edit("4", "The capital of Bolivia is", "Potosi", subject="Bolivia")


def _labelled(edits: Sequence[Edit], encoder: SentenceEncoder, **options: int) -> dict[Pair, int]:
    pairs, labels = pairs_from_edits(edits, encoder, **options)
    assert len(set(pairs)) == len(pairs) == len(labels)
    return dict(zip(pairs, labels, strict=True))


def test_own_edits_make_pairs_of_both_kinds(encoder: SentenceEncoder) -> None:
    """Other wordings are positives both ways, near edits negatives, what may be the same fact neither."""
    labelled = _labelled([PERU, CHILE, SEAT], encoder)
    assert labelled["The capital of Peru is", "Peru's capital city is"] == 1
    assert labelled["Peru's capital city is", "The capital of Peru is"] == 1
    assert labelled["The capital of Chile is", "Which city is Peru's seat of government?"] == 0
    assert not any(
        query == SEAT.prompt or (wording == SEAT.prompt and query in PERU.wordings)
        for wording, query in labelled
        if wording in PERU.wordings
    )


def test_every_query_comes_as_people_write_it_too(encoder: SentenceEncoder) -> None:
    """Both labels hold queries that no edit has word for word."""
    labelled = _labelled([PERU, CHILE, BOLIVIA], encoder)
    stored = {text for edit in (PERU, CHILE, BOLIVIA) for text in edit.wordings}
    for label in (0, 1):
        queries = [query for (_, query), found in labelled.items() if found == label]
        assert any(query not in stored for query in queries)


def test_subjects_are_swapped(encoder: SentenceEncoder) -> None:
    """The edit's own words about another edit's subject are out of scope, also where nothing is stored of it."""
    painter = Edit("5", "Who painted the Blue Gate?", "Lund", subject="the Blue Gate")
    labelled = _labelled([PERU, painter], encoder)
    swapped = ("Who painted Peru?", "The capital of the Blue Gate is", "the Blue Gate's capital city is")
    assert {query for (_, query), label in labelled.items() if label == 0} & set(swapped)
    assert all(label == 0 for (_, query), label in labelled.items() if query in swapped)


def test_labels_never_contradict_each_other(encoder: SentenceEncoder) -> None:
    """A wording that two edits share is never a near-miss of either."""
    other = Edit("5", "Peru is governed from", "Puno", aliases=("the capital of peru is",), subject="Peru")
    labelled = _labelled([PERU, other, CHILE], encoder)
    for (wording, query), label in labelled.items():
        if label == 0:
            assert prompt_key(wording) != prompt_key(query)
            assert {wording, query} - {*PERU.wordings, *other.wordings}


@pytest.mark.parametrize(
    ("first", "second", "differ"),
    [
        (PERU, CHILE, True),
        (PERU, SEAT, False),
        (PERU, PERU, False),
        (Edit("1", "Where was Corot born?", "Paris", subject="Corot"),
         Edit("2", "France's capital is", "paris", subject="France"), True),
        (Edit("1", "Where was Corot born?", "Paris"), Edit("2", "France's capital is", "Paris"), False),
        (Edit("1", "Who runs Acme?", "Li"), Edit("2", "who runs acme", "Wei", namespace="other"), False),
    ],
)  # fmt: skip
def test_only_what_is_surely_another_fact_counts(first: Edit, second: Edit, differ: bool) -> None:
    """Same target or same words may be the same fact; different subjects settle it."""
    assert asks_something_else(first, second) is differ


def test_near_misses_can_come_from_more_edits(encoder: SentenceEncoder) -> None:
    """Pairs are made for the given edits only, near-misses from all that are named."""
    pairs, labels = pairs_from_edits([PERU], encoder, among=[PERU, CHILE, BOLIVIA])
    assert {wording for wording, _ in pairs} <= set(PERU.wordings)
    assert any(query == CHILE.prompt for (_, query), label in zip(pairs, labels, strict=True) if label == 0)


def test_the_seed_decides(encoder: SentenceEncoder) -> None:
    """The same seed gives the same pairs in the same order."""
    edits = [PERU, CHILE, SEAT, BOLIVIA]
    assert pairs_from_edits(edits, encoder, seed=1) == pairs_from_edits(edits, encoder, seed=1)
    assert pairs_from_edits(edits, encoder, seed=1) != pairs_from_edits(edits, encoder, seed=2)


def test_one_edit_makes_positives_only(encoder: SentenceEncoder) -> None:
    """A single edit has no near-miss and no edits make no pairs."""
    assert set(_labelled([Edit("1", "Who runs Acme?", "b")], encoder).values()) == {1}
    assert pairs_from_edits([], encoder) == ([], [])


def test_a_negative_number_of_neighbours_is_refused(encoder: SentenceEncoder) -> None:
    """How many near edits to take is a count."""
    with pytest.raises(ValueError, match="near must not be negative"):
        pairs_from_edits([PERU], encoder, near=-1)


class _Random:
    """Vectors without a model, so that the search alone is measured."""

    id = "random"
    dimension = 16

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.random.default_rng(len(texts)).normal(size=(len(texts), self.dimension))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_many_edits_need_no_square_of_memory() -> None:
    """Ten thousand edits take far less than the 400 MB of their similarities."""
    edits = [Edit(str(n), f"Question {n}?", f"Answer {n}") for n in range(10_000)]
    tracemalloc.start()
    pairs, _ = pairs_from_edits(edits, _Random(), near=2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(pairs) > 40_000
    assert peak < 150e6
