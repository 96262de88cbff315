"""`InvertedLists`: the vectors near a query, found without looking at all of them in full.

Each vector is kept a second time, as a code of two bits for each of its components, in the list of
the centre that is nearest to it. A search reads the codes of some lists and gives the most
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
_SAMPLE = 20_000
_ITERATIONS = 6
_CODED_ROWS = 4096
_ROUNDING = 1e-5
_BITS = 4
_LEVELS = np.array([-1.5104, -0.4528, 0.4528, 1.5104], dtype=np.float32)
"""In standard deviations: the four values that stand for a normal variable with the least squared error (Max, 1960)."""
_BORDER = 0.9816
"""Between the outer and the inner ones of them."""


class InvertedLists:
    """Codes of the rows of a table; made by `build`."""

    def __init__(self, index: faiss.IndexIVFPQFastScan) -> None:
        """Wrap a trained index."""
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
    sample = table.take(np.sort(generator.choice(len(table), size=min(len(table), _SAMPLE), replace=False)))
    queries = _trial_queries(sample, generator)
    coder = _Coder(sample)
    # Fewer than usual, since finding the centre of each row is what takes longest.
    lists = 2 ** round(np.log2(len(table)) / 2 - 2)
    for centres in _candidates(sample, queries, lists):
        index = coder.coded(table, centres)
        if _widened(index, table, queries, index.nlist):
            logger.debug("%d vectors in %d lists, %d are read", len(table), index.nlist, index.nprobe)
            return InvertedLists(index)
    logger.debug("%d vectors cannot be told apart by codes: all are compared", len(table))
    return None


class _Coder:
    """Rounds each component to one of four values.

    FAISS would look for the sixteen best pairs of values for each pair of components, and among
    these for the nearest to each vector: a little finer, in six times the time.

    Args:
        sample: Vectors like those that are to be coded.
    """

    def __init__(self, sample: Vectors) -> None:
        self._mean, deviation = sample.mean(axis=0), sample.std(axis=0)
        self._border = _BORDER * deviation
        self._values = self._mean[:, None] + deviation[:, None] * _LEVELS
        # FAISS knows codes of four bits: for two components, or for one where they are not in pairs.
        self._together = 2 if sample.shape[1] % 2 == 0 else 1

    def coded(self, table: VectorTable, centres: faiss.IndexFlatIP) -> faiss.IndexIVFPQFastScan:
        """An index of all rows of a table, in lists around centres."""
        dimension = len(self._mean)
        plain = faiss.IndexIVFPQ(
            centres, dimension, centres.ntotal, dimension // self._together, _BITS, faiss.METRIC_INNER_PRODUCT
        )
        # Codes of what is left of a vector without its centre would need a table of their own for each list.
        plain.by_residual, plain.is_trained, plain.ntotal = False, True, len(table)
        faiss.copy_array_to_vector(self._centroids().ravel(), plain.pq.centroids)
        for first, block in table.blocks():
            for start in range(0, len(block), _CODED_ROWS):
                self._add(plain, first + start, block[start : start + _CODED_ROWS])
        return faiss.IndexIVFPQFastScan(plain)

    def _centroids(self) -> Vectors:
        """What each code stands for: float32 array (parts, 16, components of a part)."""
        codes = np.arange(2**_BITS)
        values = self._values.reshape(-1, self._together, len(_LEVELS))
        digits = np.stack([codes // len(_LEVELS) ** place % len(_LEVELS) for place in range(self._together)])
        return np.stack([values[:, place, digit] for place, digit in enumerate(digits)], axis=-1).astype(np.float32)

    def _add(self, index: faiss.IndexIVFPQ, first_row: int, vectors: Vectors) -> None:
        centred = vectors - self._mean
        steps = [(centred > border).view(np.uint8) for border in (-self._border, 0, self._border)]
        digits = steps[0] + steps[1] + steps[2]
        parts = digits[:, 0::2] + len(_LEVELS) * digits[:, 1::2] if self._together == 2 else digits
        codes = np.zeros((len(vectors), index.code_size), dtype=np.uint8)
        codes += parts[:, 0::2]
        codes[:, : parts.shape[1] // 2] += parts[:, 1::2] << _BITS
        lists = index.quantizer.search(vectors, 1)[1][:, 0]
        order = np.argsort(lists, kind="stable")
        rows, codes = first_row + order, np.ascontiguousarray(codes[order])
        bounds = np.searchsorted(lists[order], np.arange(index.nlist + 1))
        assert index.invlists is not None  # they come with the index
        for number in np.unique(lists).tolist():
            start, stop = bounds[number], bounds[number + 1]
            index.invlists.add_entries(
                number, int(stop - start), faiss.swig_ptr(rows[start:stop]), faiss.swig_ptr(codes[start:stop])
            )


def _candidates(sample: Vectors, queries: Vectors, lists: int) -> Iterator[faiss.IndexFlatIP]:
    """Centres of lists, the fastest first."""
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
    if _widened(grouped, tried, queries, max(1, lists // 8)):
        yield centres
    mean = faiss.IndexFlatIP(dimension)
    mean.add(sample.mean(axis=0, keepdims=True))
    yield mean


def _trial_queries(sample: Vectors, generator: np.random.Generator) -> Vectors:
    """Stored vectors, as they are and drawn a little towards another one, as other wordings would be."""
    chosen = generator.choice(len(sample), size=(2, _TRIAL_QUERIES), replace=False)
    queries = sample[chosen[0]]
    queries[1::2] += sample[chosen[1]][1::2] / 2
    return np.ascontiguousarray(queries / np.linalg.norm(queries, axis=1, keepdims=True))


def _widened(index: faiss.IndexIVF, table: VectorTable, queries: Vectors, most_lists: int) -> bool:
    """Have the index read more lists, at most `most_lists`, until it finds what it should; whether it does."""
    wanted = _best_scores(queries, table).min(axis=1, keepdims=True)
    index.nprobe = max(1, index.nlist // 64)
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
