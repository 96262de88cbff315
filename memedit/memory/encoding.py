"""What the memory asks of a sentence encoder, and the check on what it gives back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from memedit.errors import EncoderMismatchError

Vectors = NDArray[np.float32]

BATCH_TEXTS = 512
NORM_TOLERANCE = 1e-2
"""How far a vector's norm may be from one; encoders that run in bfloat16 need this much."""


class TextEncoder(Protocol):
    """A frozen function from texts to unit vectors whose inner product is their similarity."""

    @property
    def id(self) -> str:
        """Name and weights hash: two encoders with one id give the same vectors."""
        ...

    @property
    def dimension(self) -> int:
        """Number of components of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of `texts`: float32 array (len(texts), dimension), each row of unit norm."""
        ...


def checked_vectors(vectors: ArrayLike, dimension: int, *, rows: int | None = None) -> Vectors:
    """`vectors` as a contiguous float32 array (rows, dimension), if they are usable.

    FAISS takes NaN without a word and then finds nothing, so this is checked here.

    Args:
        vectors: The array to check, each row of unit norm.
        dimension: Number of columns it must have.
        rows: Number of rows it must have; None for any.

    Raises:
        EncoderMismatchError: Wrong shape, a number that is not finite, or a norm other than one.
    """
    array = np.ascontiguousarray(vectors, dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != dimension or rows not in (None, len(array)):
        expected = f"({'n' if rows is None else rows}, {dimension})"
        raise EncoderMismatchError(f"expected vectors of shape {expected}, got {array.shape}")
    norms = np.linalg.norm(array, axis=1)
    if not np.isfinite(norms).all():
        raise EncoderMismatchError("expected vectors of finite numbers, got NaN or infinity")
    if (np.abs(norms - 1) > NORM_TOLERANCE).any():
        worst = norms[np.abs(norms - 1).argmax()]
        raise EncoderMismatchError(f"expected vectors of unit norm, got one of norm {worst:.4g}")
    return array


def encode_texts(encoder: TextEncoder, texts: Iterable[str], *, progress: bool = False) -> dict[str, Vectors]:
    """Encode each distinct text once, in batches.

    Args:
        encoder: The encoder to use.
        texts: Any number of texts; duplicates cost nothing.
        progress: Whether to show a progress bar.

    Returns:
        Each text's vector: float32 array (dimension,).

    Raises:
        EncoderMismatchError: The encoder's vectors are unusable (see `checked_vectors`).
    """
    distinct = list(dict.fromkeys(texts))
    found: dict[str, Vectors] = {}
    with tqdm(total=len(distinct), unit="text", disable=not progress) as bar:
        for start in range(0, len(distinct), BATCH_TEXTS):
            batch = distinct[start : start + BATCH_TEXTS]
            vectors = checked_vectors(encoder.encode(batch), encoder.dimension, rows=len(batch))
            found.update(zip(batch, vectors, strict=True))
            bar.update(len(batch))
    return found
