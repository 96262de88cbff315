"""Show a caller's own callbacks the caller's own prompt, whatever prompt is really decoded."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer


def with_own_prompt(options: dict[str, Any], own: Tensor, decoded_length: int, repeats: int = 1) -> dict[str, Any]:
    """Wrap the logits processors, stopping criteria, allowed-token function and streamer among `options`.

    Args:
        options: Arguments for `generate`; a changed copy is returned.
        own: What the caller's sequences begin with, shape (n, start).
        decoded_length: How many columns the prompt has that is really decoded.
        repeats: How many batch ids an allowed-token function counts for each row.
    """
    swap = _Swap(own, decoded_length)
    options = dict(options)
    if options.get("logits_processor"):
        options["logits_processor"] = LogitsProcessorList(_Processor(p, swap) for p in options["logits_processor"])
    if options.get("stopping_criteria"):
        options["stopping_criteria"] = StoppingCriteriaList(_Criterion(c, swap) for c in options["stopping_criteria"])
    if (allowed := options.get("prefix_allowed_tokens_fn")) is not None:

        def allowed_after_own(batch_id: int, ids: Tensor) -> Any:
            return allowed(batch_id, torch.cat([own[batch_id // repeats], ids[decoded_length:]]))

        options["prefix_allowed_tokens_fn"] = allowed_after_own
    if options.get("streamer") is not None:
        options["streamer"] = _Streamer(options["streamer"], own)
    return options


class _Swap:
    def __init__(self, own: Tensor, decoded_length: int) -> None:
        self._own = own
        self._decoded_length = decoded_length

    def __call__(self, ids: Tensor) -> Tensor:
        # Beams and several returns repeat each row in place.
        own = self._own.repeat_interleave(len(ids) // len(self._own), dim=0)
        return torch.cat([own, ids[:, self._decoded_length :]], dim=1)


class _Processor(LogitsProcessor):  # type: ignore[misc]
    def __init__(self, inner: Any, swap: _Swap) -> None:
        self._inner = inner
        self._swap = swap

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        changed: Tensor = self._inner(self._swap(input_ids), scores)
        return changed


class _Criterion(StoppingCriteria):  # type: ignore[misc]
    def __init__(self, inner: Any, swap: _Swap) -> None:
        self._inner = inner
        self._swap = swap

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Any:
        return self._inner(self._swap(input_ids), scores, **kwargs)


class _Streamer(BaseStreamer):  # type: ignore[misc]
    def __init__(self, inner: Any, own: Tensor) -> None:
        self._inner = inner
        self._prompt: Tensor | None = own.cpu()

    def put(self, value: Tensor) -> None:
        """Pass on new tokens; the first call brings the prompt."""
        self._inner.put(value if self._prompt is None else self._prompt)
        self._prompt = None

    def end(self) -> None:
        """Pass on the end."""
        self._inner.end()
