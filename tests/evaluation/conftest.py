"""An edited model whose every answer is known: verdicts from a table, targets word for word."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from memedit import EditedModel, EditMemory, Router, SentenceEncoder
from memedit.editors.literal import LiteralEditor

MakeEdited = Callable[[dict[str, str]], EditedModel]


class Verdicts:
    """Stands in for the scope classifier: each query is in scope of the wording a table gives."""

    threshold = 0.5

    def __init__(self, meant: dict[str, str]) -> None:
        """Take a table from query to the prompt of the edit it means."""
        self._meant = meant

    def threshold_for(self, wordings: Sequence[str]) -> NDArray[np.float64]:
        """The same for each wording."""
        return np.full(len(wordings), self.threshold)

    def probability(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """0.95 for pairs that agree with the table or are equal, else 0.05."""
        return np.array([0.95 if self._meant.get(q, q) == wording else 0.05 for wording, q in pairs])


@pytest.fixture(scope="session")
def make_edited(
    loaded_mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, encoder: SentenceEncoder
) -> Iterator[MakeEdited]:
    """Makes an edited mini that routes by a table and writes targets word for word."""
    memories = []

    def make(meant: dict[str, str]) -> EditedModel:
        memory = EditMemory(None, encoder)
        memories.append(memory)
        router = Router(memory, Verdicts(meant), floor=-1.0)  # type: ignore[arg-type]
        return EditedModel(loaded_mini, mini_tokenizer, memory, router, LiteralEditor(loaded_mini, mini_tokenizer))

    yield make
    for memory in memories:
        memory.close()
