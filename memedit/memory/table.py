"""`VectorTable`: vectors in RAM, and which of them are nearest to a query, exactly."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import faiss
import numpy as np
from numpy.typing import NDArray

from memedit.memory.encoding import Vectors

Rows = NDArray[np.int64]

_FIRST_ROWS = 16
_GROWTH = 8
_BLOCK_ROWS = 65_536
"""Rows of the first block. Each further one has as many as all before it: growing copies the first alone, and what is
looked up lies in few."""


class VectorTable:
    """Rows of vectors, numbered in the order in which they were appended; not thread-safe.

    Args:
        dimension: Components of a vector.
    """

    def __init__(self, dimension: int) -> None:
        """Make an empty table."""
        self._dimension = dimension
        self._blocks: list[Vectors] = []
        self._starts: list[int] = []
        self._rows = 0

    def __len__(self) -> int:
        """Number of rows."""
        return self._rows

    def append(self, vectors: Vectors) -> None:
        """Add rows, float32 array (n, dimension)."""
        while len(vectors):
            block, used = self._block_with_room()
            part = vectors[: len(block) - used]
            block[used : used + len(part)] = part
            self._rows += len(part)
            vectors = vectors[len(part) :]

    def take(self, rows: Rows) -> Vectors:
        """The vectors of some rows: float32 array (len(rows), dimension)."""
        if len(self._blocks) == 1:
            return self._blocks[0][rows]
        found = np.empty((len(rows), self._dimension), dtype=np.float32)
        for places, block, own in self._by_block(rows):
            found[places] = block[own]
        return found

    def scores(self, rows: Rows, query: Vectors) -> Vectors:
        """Inner products of some rows with a query, in single precision and without copying the rows.

        Args:
            rows: int64 array (n,) of numbers of rows.
            query: float32 array (dimension,).

        Returns:
            float32 array (n,).
        """
        found = np.empty(len(rows), dtype=np.float32)
        query = np.ascontiguousarray(query)
        for places, block, own in self._by_block(rows):
            part = np.empty(len(own), dtype=np.float32)
            arrays = (faiss.swig_ptr(array) for array in (part, query, block, own))
            faiss.fvec_inner_products_by_idx(*arrays, self._dimension, 1, len(own))  # type: ignore[attr-defined]
            found[places] = part
        return found

    def parts(self, rows: int = _BLOCK_ROWS) -> Iterator[tuple[int, Vectors]]:
        """All rows in order, at most `rows` of them at a time: the number of the first row, and the vectors."""
        for start, block in zip(self._starts, self._blocks, strict=True):
            for first in range(start, min(start + len(block), self._rows), rows):
                yield first, block[first - start : min(first + rows, self._rows) - start]

    def nearest(self, queries: Vectors, k: int) -> Rows:
        """The rows with the largest inner products, by looking at all of them.

        Args:
            queries: float32 array (n, dimension).
            k: How many rows are wanted.

        Returns:
            Array (n, k), best first; -1 where the table has no more rows.
        """
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        rows = np.full((len(queries), k), -1, dtype=np.int64)
        for first, block in self.parts():
            more_scores, more = faiss.knn(queries, block, min(k, len(block)), metric=faiss.METRIC_INNER_PRODUCT)
            scores, rows = np.hstack((scores, more_scores)), np.hstack((rows, more + first))
            best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            scores, rows = np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)
        return rows

    def _by_block(self, rows: Rows) -> Iterator[tuple[Rows, Vectors, Rows]]:
        """For each block that holds any of `rows`: their places in `rows`, the block, and their numbers in it."""
        order = np.argsort(rows)
        bounds = [*np.searchsorted(rows[order], self._starts).tolist(), len(rows)]
        for number, (start, stop) in enumerate(pairwise(bounds)):
            if start < stop:
                places = order[start:stop]
                yield places, self._blocks[number], rows[places] - self._starts[number]

    def _block_with_room(self) -> tuple[Vectors, int]:
        """The last block, and how many of its rows are used."""
        if not self._blocks or self._rows == max(_BLOCK_ROWS, self._starts[-1] + len(self._blocks[-1])):
            # Only the first block starts small: there is one table per namespace.
            self._starts.append(self._rows)
            self._blocks.append(self._fresh(self._rows or _FIRST_ROWS))
        last, used = self._blocks[-1], self._rows - self._starts[-1]
        if used == len(last):
            larger = self._fresh(min(_BLOCK_ROWS, _GROWTH * used))
            larger[:used] = last
            self._blocks[-1] = last = larger
        return last, used

    def _fresh(self, rows: int) -> Vectors:
        """Room for rows; what is not written to takes no memory yet."""
        return np.empty((rows, self._dimension), dtype=np.float32)
