"""From pairs of texts to padded batches of token ids, long queries cut where it hurts least."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase

Pair = tuple[str, str]
"""An edit's wording and a query."""

WHOLE = 104
"""Tokens of a wording up to which it is read at once: no passage that the shipped classifier learned from has more."""
PART, SHIFT = 80, 40
"""Tokens of each part of a longer one, and from one part to the next: what takes up to 40 is whole in one of them."""
BATCH_TOKENS = 384
"""Enough to keep a processor's arithmetic busy. With more, pairs of unlike lengths are padded, and what passes between
layers leaves the cache: 768 take an eighth longer for the two dozen pairs of a mixed batch of sixteen queries."""


@dataclass(frozen=True)
class EncodedPair:
    """Token ids of `[CLS] wording [SEP] query [SEP]`.

    Attributes:
        ids: The token ids.
        first: How many of them belong to the wording, its special tokens included.
    """

    ids: list[int]
    first: int


@dataclass(frozen=True)
class PairBatch:
    """Right-padded pairs.

    Attributes:
        ids: Token ids, int64 (pairs, tokens).
        mask: 1 where there is a token, 0 where there is padding, int64 (pairs, tokens).
        segments: 0 for the wording, 1 for the query, int64 (pairs, tokens).
    """

    ids: torch.Tensor
    mask: torch.Tensor
    segments: torch.Tensor

    def to(self, device: torch.device) -> PairBatch:
        """The same batch on `device`."""
        return PairBatch(self.ids.to(device), self.mask.to(device), self.segments.to(device))


class PairTokenizer:
    """Encodes pairs; each distinct text is tokenized once per call."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> None:
        """Use `tokenizer`, with at most `max_tokens` tokens for a pair."""
        self._tokenizer, self._max_tokens = tokenizer, max_tokens
        self._begin = _required(tokenizer.cls_token_id, "cls_token")
        self._between = _required(tokenizer.sep_token_id, "sep_token")
        self.padding = _required(tokenizer.pad_token_id, "pad_token")

    def __call__(self, pairs: Sequence[Pair]) -> list[EncodedPair]:
        """The token ids of each pair; texts that are too long are cut.

        A wording keeps its beginning. A query keeps its end, where the question stands when a
        conversation or a passage comes before it.
        """
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        if not texts:
            return []
        rows = self._tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        ids = dict(zip(texts, rows, strict=True))
        return [self._join(ids[wording], ids[query]) for wording, query in pairs]

    def in_parts(self, wordings: Iterable[str]) -> dict[str, list[str]]:
        """Of each wording the parts to read it in: itself, or overlapping parts of one that is too long.

        Parts are cut by characters, as long as the tokens that they have on the average; so a word may be cut in one
        of two parts, on a tokenizer of any kind.
        """
        return {wording: self._parts(wording) for wording in dict.fromkeys(wordings)}

    def _parts(self, wording: str) -> list[str]:
        # No tokenizer makes more tokens than there are bytes.
        if len(wording.encode()) <= WHOLE:
            return [wording]
        tokens = len(self._tokenizer(wording, add_special_tokens=False, verbose=False)["input_ids"])
        if tokens <= WHOLE:
            return [wording]
        size, shift = (math.ceil(part * len(wording) / tokens) for part in (PART, SHIFT))
        return [wording[start : start + size] for start in (*range(0, len(wording) - size, shift), len(wording) - size)]

    def _join(self, wording: list[int], query: list[int]) -> EncodedPair:
        room = self._max_tokens - 3
        if len(wording) + len(query) > room:
            half = room // 2
            wording = wording[: max(half, room - len(query))]
            query = query[-(room - len(wording)) :]
        first = [self._begin, *wording, self._between]
        return EncodedPair([*first, *query, self._between], len(first))

    def collate(self, pairs: Sequence[EncodedPair]) -> PairBatch:
        """`pairs` as one batch, padded to the longest."""
        width = max(len(pair.ids) for pair in pairs)
        ids = torch.full((len(pairs), width), self.padding)
        mask = torch.zeros((len(pairs), width), dtype=torch.long)
        segments = torch.zeros((len(pairs), width), dtype=torch.long)
        for row, pair in enumerate(pairs):
            ids[row, : len(pair.ids)] = torch.tensor(pair.ids)
            mask[row, : len(pair.ids)] = 1
            segments[row, pair.first : len(pair.ids)] = 1
        return PairBatch(ids, mask, segments)


def length_batches(lengths: Sequence[int], size: int, tokens: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Positions in batches, similar lengths together: little padding.

    Args:
        lengths: Tokens of each item.
        size: The most items in a batch.
        tokens: The most tokens in a batch, padding included; an item that is longer stands alone.
    """
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        # Rows come by rising length, so this one is what the batch would be padded to.
        if batch and (len(batch) == size or (len(batch) + 1) * lengths[row] > tokens):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _required(token: int | None, name: str) -> int:
    if token is None:
        raise ValueError(f"expected a tokenizer with a {name}, got one without")
    return token
