"""Methods without a routing decision: one model answers every query, edited or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from memedit.edits import Edit
from memedit.errors import UnsupportedModelError
from memedit.evaluation.cases import Case
from memedit.evaluation.subject import Setup
from memedit.memory.wordings import prompt_key


class Unrouted:
    """A base that answers everything itself, changed while it does.

    Args:
        base: The base; it is unchanged outside of `generate`.
        tokenizer: Its tokenizer.
        changed: Makes a context in which the base is the edited model.
    """

    router = None

    def __init__(
        self, base: Any, tokenizer: Any, changed: Callable[[], AbstractContextManager[Any]] = nullcontext
    ) -> None:
        self.base = base
        self.tokenizer = tokenizer
        self._changed = changed

    def generate(self, *args: Any, queries: Sequence[str] | None = None, **kwargs: Any) -> Any:  # noqa: ARG002 - nothing is routed
        """The base's `generate`, under the change."""
        with self._changed():
            return self.base.generate(*args, **kwargs)


class Unedited:
    """The base as it is: what every other method is measured against."""

    name = "base"

    def __init__(self, setup: Setup) -> None:
        self.model = Unrouted(setup.base, setup.tokenizer)

    def store(self, cases: Sequence[Case], *, progress: bool = False) -> tuple[list[Edit], float]:  # noqa: ARG002 - see `Method`
        """Nothing is stored."""
        return edits_of(cases), 0.0

    def reset(self) -> None:
        """There is nothing to forget."""

    def settings(self) -> dict[str, Any]:
        """None."""
        return {}

    def kept_bytes(self) -> int:
        """Nothing is kept."""
        return 0

    def close(self) -> None:
        """Nothing was put into the base."""


def check_decoder_only(base: Any) -> None:
    """Refuse a base that cannot be trained on prompt and target as one text.

    Raises:
        UnsupportedModelError: It has an encoder.
    """
    if base.config.is_encoder_decoder:
        raise UnsupportedModelError(
            f"expected a decoder-only model to train, got the encoder-decoder {type(base).__name__}"
        )


def edits_of(cases: Sequence[Case]) -> list[Edit]:
    """Edits for methods that keep none: each is named after its prompt, so that one prompt is one edit."""
    return [Edit(prompt_key(case.prompt), case.prompt, case.target, subject=case.subject) for case in cases]
