"""Which stored edits are considered for a query."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from memedit.memory import EditMemory
from memedit.scope import SentenceEncoder
from memedit.scope.retrieval import Retrieval, last_sentence

BEFORE = "The ferry was late again and the harbour smelt of tar. Nobody had brought an umbrella. "


@pytest.mark.parametrize(
    ("query", "end"),
    [
        ("Who is the mother of Orla Venn?", None),
        ("It rained. Who is the mother of Orla Venn?", "Who is the mother of Orla Venn?"),
        ("Some notes\nThe mother of Orla Venn is", "The mother of Orla Venn is"),
        ("今天下雨了。奥拉的母亲叫什么名字呢？", "奥拉的母亲叫什么名字呢？"),
        ("Who is the mother of Orla Venn? Thanks!", None),
        ("", None),
    ],
)
def test_the_last_sentence_of_several_is_found(query: str, end: str | None) -> None:
    """The end of a query is a text of its own if it is long enough to ask something."""
    assert last_sentence(query) == end


def test_an_edit_is_found_behind_other_sentences(encoder: SentenceEncoder) -> None:
    """What stands before a question takes no place from the edit that the question means."""
    with EditMemory(None, encoder) as memory:
        memory.add("Orla Venn's mother is", "Ada Venn")
        memory.add_many(
            {"prompt": f"The ferry to {place} leaves the harbour at", "target": "noon"} for place in ("Bray", "Howth")
        )
        found = Retrieval(k=1, floor=0.25, margin=None)(
            memory, [BEFORE + "Who is Orla Venn's mother?"], "default", datetime.now(UTC)
        )
    assert "Orla Venn's mother is" in [hit.wording for hit in found[0]]


def test_no_edit_is_found_twice(encoder: SentenceEncoder) -> None:
    """An edit near the query and near its end is one hit, with the better of its similarities."""
    with EditMemory(None, encoder) as memory:
        memory.add("Orla Venn's mother is", "Ada Venn")
        query = "I forgot who is who. Orla Venn's mother is"
        (hits,) = Retrieval(k=8, floor=0.25, margin=0.2)(memory, [query], "default", datetime.now(UTC))
    assert len(hits) == 1
    assert hits[0].score == pytest.approx(1.0, abs=1e-3)
