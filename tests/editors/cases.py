"""Rows and edits that several tests of editors use."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from memedit.editors import Rows
from memedit.edits import Edit

EDITS = (
    Edit(id="a", prompt="Who runs Acme?", target="Dana Reyes"),
    Edit(id="b", prompt="The twin city of Wellington is", target="Sheffield"),
    Edit(id="c", prompt="Which language is spoken in the northern hills of Fiji?", target="Old Fijian"),
)
QUERIES = ("Who is the head of Acme?", "What is Wellington's twin city?", "In the hills of Fiji, people speak")


def rows_of(
    tokenizer: PreTrainedTokenizerBase, queries: Sequence[str] = QUERIES, edits: Sequence[Edit] = EDITS
) -> Rows:
    """Queries as left-padded rows."""
    inputs = tokenizer(list(queries), return_tensors="pt", padding=True, padding_side="left")
    return Rows(inputs["input_ids"], inputs["attention_mask"], tuple(queries), tuple(edits))
