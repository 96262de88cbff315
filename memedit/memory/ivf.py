"""`InvertedLists`: the vectors near a query, found without looking at all of them in full.

Each vector is kept a second time, as a code of four bits for every two of its components, in the
list of the centre that is nearest to it. A search reads the codes of some lists and gives the most
promising rows, whose true scores the caller then computes. How many lists are read is chosen by
measurement against the exact search: where the vectors form groups, a few; where they do not, all
are kept in one list, which still is about ten times faster than computing all true scores.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import faiss
import numpy as np

from memedit.memory.encoding import Vectors
from memedit.memory.table import Rows, VectorTable

logger = logging.getLogger(__name__)

WANTED_RECALL = 0.995
"""Above the 0.99 that is promised, because it is measured on few queries."""
FETCH = 1024
"""How many rows are looked up by their codes, to have the nearest few among them."""
_K = 8
_TRIAL_QUERIES = 48
_SAMPLE_PER_LIST = 40
_SAMPLE_PER_CODE = 64
_ITERATIONS = 6
_BITS = 4
_ROUNDING = 1e-5


class InvertedLists:
    """Codes of the rows of a table; made by `build`."""

    def __init__(self, index: faiss.IndexIVFPQFastScan) -> None:
        """Wrap a trained index that holds no rows yet."""
        self._index = index

    def add(self, first_row: int, vectors: Vectors) -> None:
        """Add rows of the table, numbered from `first_row`."""
        self._index.add_with_ids(vectors, np.arange(first_row, first_row + len(vectors), dtype=np.int64))

    def nearest(self, queries: Vectors, fetch: int) -> Rows:
        """Rows that are likely to have the largest inner products.

        Args:
            queries: float32 array (n, dimension).
            fetch: How many rows are wanted.

        Returns:
            Array (n, fetch), in no order to rely on; -1 where the lists have no more rows.
        """
        rows: Rows = self._index.search(queries, fetch)[1]
        return rows


def build(table: VectorTable) -> InvertedLists | None:
    """Make lists for all rows of a table that find at least `WANTED_RECALL` of the nearest rows.

    Args:
        table: At least a few thousand rows.

    Returns:
        The lists; None if these vectors cannot be told apart by such codes.
    """
    generator = np.random.default_rng(0)
    lists = 2 ** round(np.log2(len(table)) / 2)
    rows = generator.choice(len(table), size=min(len(table), _SAMPLE_PER_LIST * lists), replace=False)
    sample = table.take(rows)
    queries = _trial_queries(sample, generator)
    for index in _candidates(sample, queries, lists):
        found = InvertedLists(index)
        for first, vectors in table.blocks():
            found.add(first, vectors)
        if _widened(index, table, queries, index.nlist):
            logger.debug("%d vectors in %d lists, %d are read", len(table), index.nlist, index.nprobe)
            return found
    logger.debug("%d vectors cannot be told apart by codes: all are compared", len(table))
    return None


def _candidates(sample: Vectors, queries: Vectors, lists: int) -> Iterator[faiss.IndexIVFPQFastScan]:
    """Trained indexes without rows, the fastest first."""
    # Tried on the sample alone, whose neighbours are farther away than those in the whole table:
    # where they lie in few lists, they do so in the whole table. Codes do not matter for that.
    dimension = sample.shape[1]
    centres = faiss.IndexFlatIP(dimension)
    grouped = faiss.IndexIVFFlat(centres, dimension, lists, faiss.METRIC_INNER_PRODUCT)
    grouped.cp.spherical, grouped.cp.niter = True, _ITERATIONS
    grouped.train(sample)
    grouped.add(sample)
    tried = VectorTable(dimension)
    tried.append(sample)
    grouped.nprobe = lists // 8
    if _widened(grouped, tried, queries, grouped.nprobe):
        yield _coded(sample, lists, centres)
    # The centre of a single list is the mean: shorter remainders make finer codes.
    mean = faiss.IndexFlatIP(dimension)
    mean.add(sample.mean(axis=0, keepdims=True))
    yield _coded(sample, 1, mean)


def _coded(sample: Vectors, lists: int, centres: faiss.Index) -> faiss.IndexIVFPQFastScan:
    """An index with these centres, and codes for what is left of a vector without its centre."""
    dimension = sample.shape[1]
    parts = dimension // 2 if dimension % 2 == 0 else dimension
    index = faiss.IndexIVFPQFastScan(centres, dimension, lists, parts, _BITS, faiss.METRIC_INNER_PRODUCT)
    index.pq.cp.niter = _ITERATIONS
    index.pq.cp.max_points_per_centroid = _SAMPLE_PER_CODE
    index.train(sample)
    return index


def _trial_queries(sample: Vectors, generator: np.random.Generator) -> Vectors:
    """Stored vectors, as they are and drawn a little towards another one, as other wordings would be."""
    chosen = generator.choice(len(sample), size=(2, _TRIAL_QUERIES), replace=False)
    queries = sample[chosen[0]]
    queries[1::2] += sample[chosen[1]][1::2] / 2
    return np.ascontiguousarray(queries / np.linalg.norm(queries, axis=1, keepdims=True))


def _widened(index: faiss.IndexIVF, table: VectorTable, queries: Vectors, most_lists: int) -> bool:
    """Have the index read more lists, at most `most_lists`, until it finds what it should; whether it does."""
    wanted = _best_scores(queries, table).min(axis=1, keepdims=True)
    index.nprobe = max(index.nprobe, index.nlist // 64)
    while True:
        scores = _scores(queries, table, index.search(queries, FETCH)[1])
        # Compared by score: of equal vectors any will do.
        hits = np.minimum(_K, (scores >= wanted - _ROUNDING).sum(axis=1))
        if hits.mean() >= WANTED_RECALL * _K:
            return True
        if index.nprobe >= most_lists:
            return False
        index.nprobe = min(most_lists, 2 * index.nprobe)


def _best_scores(queries: Vectors, table: VectorTable) -> Vectors:
    """The `_K` largest inner products of each query with all rows, in any order."""
    best = np.empty((len(queries), 0), dtype=np.float32)
    for _, block in table.blocks():
        # For many queries at once numpy takes a third of the time that FAISS does.
        scores = np.hstack((best, queries @ block.T))
        best = np.partition(scores, scores.shape[1] - _K, axis=1)[:, -_K:]
    return best


def _scores(queries: Vectors, table: VectorTable, rows: Rows) -> Vectors:
    """Inner products of each query with its rows, float32 array (queries, rows); -1 where a row is missing."""
    scores = np.stack([table.take(np.maximum(own, 0)) @ query for query, own in zip(queries, rows, strict=True)])
    return np.where(rows < 0, np.float32(-1), scores)
