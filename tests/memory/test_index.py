from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from memedit.errors import MemoryFileError
from memedit.memory import index as index_module
from memedit.memory import ivf
from memedit.memory.index import EXACT_UP_TO, VectorIndex
from memedit.memory.store import IndexEntry
from memedit.memory.table import VectorTable

NOW = datetime.now(UTC)
Floats = NDArray[np.float32]


def units(vectors: Floats) -> Floats:
    """The vectors with norm one."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def random_units(count: int, dimension: int, seed: int = 0) -> Floats:
    """Vectors in no order."""
    return units(np.random.default_rng(seed).standard_normal((count, dimension)))


def grouped_units(count: int, dimension: int, seed: int = 0) -> Floats:
    """Vectors around two hundred directions, as texts about two hundred subjects would lie."""
    centres = random_units(200, dimension, seed=99)
    chosen = np.random.default_rng(seed).integers(len(centres), size=count)
    return units(centres[chosen] + 0.5 * random_units(count, dimension, seed))


def flat_units(count: int, dimension: int, seed: int = 0) -> Floats:
    """Vectors most of which lies in a third of all directions, as that of sentences does."""
    weights = np.where(np.arange(dimension) < dimension / 3, 1.0, 0.25)
    axes = np.linalg.qr(np.random.default_rng(99).standard_normal((dimension, dimension)))[0]
    return units((random_units(count, dimension, seed) * weights) @ axes)


def entries(vectors: Floats, namespace: str = "n") -> Iterator[IndexEntry]:
    """One edit for each vector, named by its number."""
    for number, vector in enumerate(vectors):
        yield IndexEntry(str(number), namespace, None, None, vector[None])


def filled(vectors: Floats) -> VectorIndex:
    """An index of one edit for each vector."""
    index = VectorIndex(vectors.shape[1])
    index.put(entries(vectors))
    return index


def recall(index: VectorIndex, vectors: Floats, queries: Floats, k: int = 8) -> float:
    """Share of the k nearest edits that the index finds."""
    _, nearest = faiss.knn(queries, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    found = [{int(match.edit_id) for match in row} for row in index.search("n", queries, k, NOW)]
    return float(np.mean([len(own & set(exact)) / k for own, exact in zip(found, nearest.tolist(), strict=True)]))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inverted lists from a thousand wordings on, so that tests need few."""
    monkeypatch.setattr(index_module, "EXACT_UP_TO", 1000)


@pytest.fixture
def choices(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged of how vectors are read."""
    caplog.set_level(logging.DEBUG, "memedit.memory.ivf")
    return caplog


@pytest.mark.parametrize(
    ("make", "read"),
    [(random_units, "1 lists of 48"), (flat_units, "1 lists of 24"), (grouped_units, "64 lists of 48")],
)
def test_a_large_namespace_is_searched_with_high_recall(
    make: Callable[..., Floats], read: str, choices: pytest.LogCaptureFixture
) -> None:
    """Beyond the exact size at least 99 of 100 nearest edits are found, and no more is read than the vectors need."""
    vectors = make(EXACT_UP_TO + 5_000, 48)
    index = filled(vectors)
    assert read in choices.text
    queries = np.concatenate([make(100, 48, seed=1), units(vectors[::600] + 0.7 * random_units(92, 48, seed=2))])
    assert recall(index, vectors, queries) >= 0.99


@pytest.mark.usefixtures("small")
def test_where_lists_would_miss_too_much_all_vectors_are_compared(
    choices: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no lists find what they should, the search stays exact."""
    monkeypatch.setattr(ivf, "WANTED_RECALL", 1.1)
    vectors = random_units(5_000, 32)
    index = filled(vectors)
    assert "all are compared" in choices.text
    assert recall(index, vectors, random_units(50, 32, seed=1)) == 1


@pytest.fixture
def pair(small: None, monkeypatch: pytest.MonkeyPatch) -> tuple[VectorIndex, VectorIndex, Floats]:
    """The same edits with several wordings, some limited in time, in lists and compared exactly."""
    vectors = grouped_units(12_000, 32)
    stored = []
    for number, entry in enumerate(entries(vectors[:6000])):
        several = vectors[[number, *range(6000 + number, 12_000, 6000)]]
        limit = NOW + timedelta(days=1 if number % 5 else -1)
        stored.append(entry._replace(vectors=several, valid_until=None if number % 3 else limit))
    with_lists, exact = VectorIndex(32), VectorIndex(32)
    with_lists.put(stored)
    with monkeypatch.context() as patch:
        patch.setattr(index_module, "EXACT_UP_TO", 10**6)
        exact.put(stored)
    lists = with_lists._shards["n"]._lists
    # With all lists read nothing is missed here, so that the results can be equal.
    lists._index.nprobe = lists._index.nlist
    assert exact._shards["n"]._lists is None
    return with_lists, exact, vectors


def test_lists_keep_the_contract_of_the_exact_search(pair: tuple[VectorIndex, VectorIndex, Floats]) -> None:
    """Wordings, limits in time, removals, additions and any k give what comparing all vectors gives."""
    with_lists, exact, vectors = pair
    queries = units(vectors[::400] + 0.3 * random_units(30, 32, seed=3))
    for number, (k, at) in enumerate([(1, NOW), (8, NOW), (8, NOW + timedelta(days=3)), (100, NOW), (7000, NOW)]):
        for index in (with_lists, exact):
            index.discard(str(edit) for edit in range(number * 100, number * 100 + 50))
            index.put([IndexEntry(f"new{number}", "n", None, None, queries[:1])])
        found, expected = (index.search("n", queries, k, at) for index in (with_lists, exact))
        assert found == expected
        assert f"new{number}" in {match.edit_id for match in found[0]} or k == 1


@pytest.mark.usefixtures("small")
def test_new_wordings_are_found_before_and_after_they_go_into_the_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many were added since the lists were made, each is found, and the lists are not laid out for each."""
    monkeypatch.setattr(ivf, "FETCH", 64)  # a small part of all, or else all would be compared
    vectors = grouped_units(4_000, 32)
    index = filled(vectors[:1_500])
    shard, listed = index._shards["n"], set()
    for number in range(1_500, 4_000):
        index.put([IndexEntry(str(number), "n", None, None, vectors[number : number + 1])])
        listed.add(shard._listed)
        if number % 100 == 0:
            assert index.search("n", vectors[number : number + 1], 1, NOW)[0][0].edit_id == str(number)
    assert len(listed) == 3
    assert recall(index, vectors, vectors[::40]) >= 0.99


@pytest.mark.parametrize("dimension", [7, 10, 12])
@pytest.mark.usefixtures("small")
def test_vectors_of_any_dimension_have_codes(dimension: int, choices: pytest.LogCaptureFixture) -> None:
    """Components in pairs or not, and one that is always the same, are coded so that the nearest are found."""
    vectors = random_units(5_000, dimension)
    vectors[:, 0] = 0.5
    vectors = units(vectors)
    index = filled(vectors)
    assert "are read" in choices.text
    assert recall(index, vectors, vectors[::50]) >= 0.99


@pytest.mark.usefixtures("small")
def test_ties_beyond_what_lists_look_up_are_complete() -> None:
    """Thousands of edits with one wording are all found as ties, however few are asked for."""
    vectors = grouped_units(12_000, 32)
    vectors[:3000] = vectors[0]
    assert len(filled(vectors).search("n", vectors[:1], 3, NOW)[0]) == 3000


@pytest.mark.usefixtures("small")
def test_a_few_valid_edits_among_many_expired_are_found() -> None:
    """However many nearer edits have expired, those that are valid are found."""
    vectors = grouped_units(5_000, 32)
    index = VectorIndex(32)
    past = NOW - timedelta(days=1)
    index.put(entry._replace(valid_until=past if int(entry.edit_id) >= 3 else None) for entry in entries(vectors))
    assert sorted(match.edit_id for match in index.search("n", vectors[-1:], 8, NOW)[0]) == ["0", "1", "2"]


@pytest.mark.usefixtures("small")
def test_codes_that_tell_little_have_more_rows_looked_up(
    monkeypatch: pytest.MonkeyPatch, choices: pytest.LogCaptureFixture
) -> None:
    """Where few candidates would miss too many of the nearest, more are looked up, for more edits still more."""
    monkeypatch.setattr(ivf, "FETCH", 16)
    vectors = flat_units(20_000, 48)
    index = filled(vectors)
    assert recall(index, vectors, units(vectors[::200] + 0.7 * random_units(100, 48, seed=2))) >= 0.99
    lists = index._shards["n"]._lists
    assert lists is not None
    assert 16 < lists.fetch_for(8) <= 20_000 / 16
    assert lists.fetch_for(80) == 10 * lists.fetch_for(8)
    assert f"{lists.fetch_for(1)} rows looked up" in choices.text


@pytest.mark.usefixtures("small")
def test_lists_are_made_when_growth_asks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are made beyond the exact size and again after fourfold growth, not with every edit."""
    made = []
    build = index_module.build

    def counted(table: VectorTable) -> object:
        made.append(len(table))
        return build(table)

    monkeypatch.setattr(index_module, "build", counted)
    vectors = grouped_units(9_000, 16)
    stored = list(entries(vectors))
    index = VectorIndex(16)
    for start in range(0, len(stored), 100):
        index.put(stored[start : start + 100])
    assert made == [1100, 4500]
    assert len(index) == 9000
    assert recall(index, vectors, vectors[:50]) >= 0.99


@pytest.mark.usefixtures("small")
def test_removed_rows_are_given_back() -> None:
    """After many removals the index is made anew: it is smaller, and finds the same as before."""
    vectors = grouped_units(6_000, 32)
    index = filled(vectors)
    removed = [str(number) for number in range(500, 6_000)]
    index.discard(removed[:50])
    assert len(index._shards["n"]._table) == 6_000
    index.discard([*removed, "never there"])
    assert len(index) == 500
    assert len(index._shards["n"]._table) < 6_000
    assert recall(index, vectors[:500], vectors[:100]) == 1
    index.discard(str(number) for number in range(500))
    assert index.search("n", vectors[:1], 3, NOW) == [[]]
    assert len(index) == 0


def test_an_edit_without_vectors_adds_nothing() -> None:
    """An edit whose vectors are damaged is refused with all that came with it, and the rest can come again."""
    vectors = random_units(9_000, 8)
    index = VectorIndex(8)
    broken = [*entries(vectors), IndexEntry("broken", "n", None, None, None)]
    with pytest.raises(MemoryFileError, match="edit 'broken' are missing or damaged"):
        index.put(broken)
    assert len(index) == 0
    index.put(broken[:-1])
    assert recall(index, vectors, vectors[:20]) == 1


@pytest.mark.parametrize(
    "parts", [[1], [16, 1], [3, 20, 70_000, 1, 70_000], [140_000], [65_536, 65_536, 1, 131_071, 1]]
)
def test_a_table_gives_back_its_rows(parts: list[int]) -> None:
    """Rows keep number and content, however the table grew to hold them."""
    vectors = random_units(sum(parts), 4)
    table = VectorTable(4)
    for end, count in zip(np.cumsum(parts), parts, strict=True):
        table.append(vectors[end - count : end])
    assert len(table) == len(vectors)
    assert np.array_equal(np.concatenate([part for _, part in table.parts()]), vectors)
    rows = np.random.default_rng(0).integers(len(vectors), size=50)
    assert np.array_equal(table.take(rows), vectors[rows])
    assert table.scores(rows, vectors[-1]) == pytest.approx(vectors[rows] @ vectors[-1], abs=1e-6)
    k = min(5, len(vectors))
    exact, _ = faiss.knn(vectors[:1], vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    [found] = table.nearest(vectors[:1], 5)
    assert (found[k:] == -1).all()
    assert table.take(found[:k]) @ vectors[0] == pytest.approx(exact[0], abs=1e-5)
