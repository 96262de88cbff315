"""A sentence encoder without a model: fast, deterministic, near for texts that share words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class HashingEncoder:
    """Each word is a random direction; a text is the normalised sum. Counts what it encodes."""

    def __init__(self, dimension: int = 32, name: str = "hashing") -> None:
        self.dimension = dimension
        self.id = f"{name}-{dimension}"
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, float32 array (len(texts), dimension)."""
        self.encoded.extend(texts)
        rows = [self._vector(text) for text in texts]
        return np.array(rows, dtype=np.float32).reshape(len(texts), self.dimension)

    def _vector(self, text: str) -> NDArray[np.float64]:
        total = sum(self._direction(word) for word in (text.split() or [text]))
        return total / np.linalg.norm(total)

    def _direction(self, word: str) -> NDArray[np.float64]:
        seed = hashlib.sha256(f"{self.id} {word}".encode()).digest()[:8]
        return np.random.default_rng(int.from_bytes(seed)).standard_normal(self.dimension)
