"""Which stored edits are considered for a query."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memedit.memory import EditMemory, Hit
from memedit.scope import SentenceEncoder
from memedit.scope.retrieval import Retrieval, last_sentence
from memedit.scope.words import SharedNames

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


NAMES = ("Orla Venn", "Iva Lund", "Tam Orr", "Odo Brandt", "Nell Price", "Hugo Sand", "Ines Falk", "Bo Quist")


MOTHER_TONGUES = tuple(f"The mother tongue of {name} is" for name in NAMES[1:])
OTHER_RELATIONS = tuple(f"The {relation} of Orla Venn is" for relation in ("dentist", "landlord"))


@pytest.mark.parametrize(("others", "found"), [((), 2), (MOTHER_TONGUES, 2), (OTHER_RELATIONS, 4)])
def test_what_names_the_same_is_found_beyond_the_margin(
    encoder: SentenceEncoder, others: tuple[str, ...], found: int
) -> None:
    """An edit far less similar than the nearest is considered if it has what the query names, or if there are few."""
    with EditMemory(None, encoder) as memory:
        memory.add("The mother tongue of Orla Venn is", "Breton")
        memory.add_many({"prompt": other, "target": "Breton"} for other in others)
        same = memory.add("Orla Venn, a native speaker of", "Manx")
        (hits,) = Retrieval(k=8, floor=0.25, margin=0.05)(
            memory, ["the mother tongue of orla venn is"], "default", datetime.now(UTC)
        )
    assert hits[0].score - next(hit.score for hit in hits if hit.edit.id == same.id) > 0.05
    assert len(hits) == found


def test_an_edit_with_the_querys_rare_words_is_found_among_nearer_ones(encoder: SentenceEncoder) -> None:
    """A long statement that alone has the query's words is considered, though k short edits are more like the query."""
    note = (
        "Note for the file: we have had the painters in again, the cat is well, the stairs need a new carpet and the "
        "boiler was looked at twice; by the way, Ysolde Quarm was given the key to the archive in Fennick Lane."
    )
    with EditMemory(None, encoder) as memory:
        memory.add_many({"prompt": f"Who has the key of {name}?", "target": "Ada"} for name in NAMES[:6])
        memory.add(note, "Bo has it")
        retrieval = Retrieval(k=2, floor=0.0, margin=None)
        for query, is_found in (("Who has the key, Ysolde Quarm?", True), ("Who has the key of Odo Brandt?", False)):
            (hits,) = retrieval(memory, [query], "default", datetime.now(UTC))
            assert (note in [hit.wording for hit in hits]) == is_found
            assert len(hits) == 2 + is_found


def test_an_edit_that_alone_has_the_querys_names_is_found_far_down(encoder: SentenceEncoder) -> None:
    """Where no near edit has the names of a query, more of those beyond are searched for one that has them."""
    note = (
        "Minutes, 4 May: the roof was mended, the cat is well, the stairs need a new carpet and the boiler was looked "
        "at; Ysolde Quarm has the key."
    )
    query = "Who gave the key to Ysolde Quarm?"
    with EditMemory(None, encoder) as memory:
        memory.add_many(
            {"prompt": f"Who has the key of {name}'s room {number}?", "target": "Ada"}
            for name in NAMES[:6]
            for number in range(4)
        )
        memory.add(note, "Bo")
        (every,) = memory.search(encoder.encode([query]), 25)
        (hits,) = Retrieval(k=1, floor=0.0, margin=None)(memory, [query], "default", datetime.now(UTC))
    assert 4 <= [hit.wording for hit in every].index(note) < 16
    assert [hit.wording for hit in hits] == [every[0].wording, note]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Who is the mayor of Kaelnston?", ["The mayor of Kaelnston is", "Kaelnston is governed by"]),
        ("who is the mayor of kaelnston", ["The mayor of Kaelnston is", "Kaelnston is governed by"]),
        ("Who is the mayor of Kaelston?", None),
        ("WHO IS THE MAYOR?", None),
    ],
)
def test_an_edit_without_the_names_that_the_nearest_has_is_not_considered(
    encoder: SentenceEncoder, query: str, found: list[str] | None
) -> None:
    """However alike it is else; but where the nearest has no name of the query either, all within the margin are."""
    wordings = ["The mayor of Kaelnston is", "Kaelnston is governed by", "The mayor of Kaelrburg is"]
    with EditMemory(None, encoder) as memory:
        memory.add_many({"prompt": wording, "target": "Ada"} for wording in wordings)
        (hits,) = Retrieval(k=8, floor=0.0, margin=1.0)(memory, [query], "default", datetime.now(UTC))
    assert sorted(hit.wording for hit in hits) == sorted(found or wordings)


@settings(deadline=None)
@given(margin=st.floats(0, 0.5), floor=st.floats(-1, 1), k=st.integers(1, 8))
def test_a_margin_leaves_out_only_what_is_beyond_it(filled: EditMemory, margin: float, floor: float, k: int) -> None:
    """Of edits with the query's names, those within the margin are considered, and none under the floor ever is."""
    query = "Who is Orla Venn's mother?"
    (every,) = Retrieval(k, -1.0, None)(filled, [query], "default", datetime.now(UTC))
    (hits,) = Retrieval(k, floor, margin)(filled, [query], "default", datetime.now(UTC))
    assert hits[0] == every[0]
    assert set(map(id_of, hits)) <= set(map(id_of, every))
    for hit in every[1:]:
        if hit.score >= max(floor, every[0].score - margin):
            assert (hit in hits) == SharedNames(query, every[0].wording).are_in(hit.wording)
        if hit.score < floor:
            assert hit not in hits


def id_of(hit: Hit) -> str:
    """The id of the edit that was found."""
    return hit.edit.id


@pytest.fixture(scope="module")
def filled(encoder: SentenceEncoder) -> Iterator[EditMemory]:
    """Two relations of six people."""
    with EditMemory(None, encoder) as memory:
        memory.add_many(
            {"prompt": f"Who is the {relation} of {name}?", "target": "Una"}
            for name in NAMES
            for relation in ("mother", "employer")
        )
        yield memory
