from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memedit.errors import EncoderMismatchError
from memedit.memory import EditMemory, TextEncoder
from memedit.memory.edit_memory import Hit
from tests.memory.hashing import HashingEncoder

NOW = datetime.now(UTC)
WORDS = ("red", "blue", "fish", "boat", "sea")


def found(memory: EditMemory, query: str, k: int = 5, **where: object) -> list[Hit]:
    """Search for one text."""
    return memory.search(memory.encoder.encode([query]), k, **where)[0]


def test_the_real_encoder_finds_paraphrases(encoder: TextEncoder) -> None:
    """With the real MiniLM a paraphrase finds its edit first, by its nearest wording."""
    with EditMemory(None, encoder) as memory:
        memory.add_many(
            [
                {"prompt": "The capital of France is", "target": "Lyon"},
                {"prompt": "Who painted the Mona Lisa?", "target": "Raphael"},
                {
                    "prompt": "Who is the chief executive of Acme?",
                    "target": "Dana Reyes",
                    "aliases": ["Acme is led by"],
                },
            ]
        )
        queries = ["Which city is France's capital?", "the Mona Lisa's painter", "Acme's led by"]
        hits = [row[0] for row in memory.search(encoder.encode(queries), 2)]
    assert [hit.edit.target for hit in hits] == ["Lyon", "Raphael", "Dana Reyes"]
    assert hits[2].wording == "Acme is led by"
    assert all(0.5 < hit.score <= 1.001 for hit in hits)


def test_several_wordings_are_one_hit(memory: EditMemory) -> None:
    """An edit with many wordings takes one place, and the next edits still fill up to k."""
    many = memory.add("red fish", "1", aliases=[f"red fish {word}" for word in WORDS * 4])
    others = memory.add_many({"prompt": f"blue boat {n}", "target": "t"} for n in range(3))
    hits = found(memory, "red fish", k=4)
    assert hits[0] == Hit(many, "red fish", pytest.approx(1))
    assert {hit.edit.id for hit in hits} == {many.id, *(edit.id for edit in others)}


def test_namespaces_never_meet(memory: EditMemory) -> None:
    """A thousand nearer edits of another tenant neither appear nor push anything out."""
    memory.add_many({"prompt": f"red fish {n}", "target": "t", "namespace": "other"} for n in range(1000))
    mine = memory.add("blue boat", "t", namespace="mine")
    assert [hit.edit for hit in found(memory, "red fish 7", namespace="mine")] == [mine]
    assert found(memory, "red fish 7", namespace="nobody's") == []
    memory.update(mine.id, namespace="yours")
    assert found(memory, "blue boat", namespace="mine") == []
    assert len(found(memory, "blue boat", namespace="yours")) == 1


def test_only_valid_edits_are_found(memory: EditMemory) -> None:
    """An edit is found from valid_from on and not from valid_until on, however many are expired."""
    memory.add_many(
        {"prompt": f"red fish {n}", "target": "t", "valid_until": NOW - timedelta(days=1)} for n in range(200)
    )
    start, end = NOW + timedelta(days=1), NOW + timedelta(days=2)
    limited = memory.add("red fish soon", "t", valid_from=start, valid_until=end)
    always = memory.add("blue boat", "t")
    assert [hit.edit for hit in found(memory, "red fish")] == [always]
    assert [hit.edit for hit in found(memory, "red fish", at=start)] == [limited, always]
    assert [hit.edit for hit in found(memory, "red fish", at=end)] == [always]
    assert len(found(memory, "red fish", k=500, at=NOW - timedelta(days=2))) == 201
    memory.update(limited.id, valid_from=None)
    assert found(memory, "red fish")[0].edit.id == limited.id


def test_equal_scores_put_the_newer_edit_first(memory: EditMemory) -> None:
    """Of edits with the same wording the one written last comes first, also at the cut."""
    edits = memory.add_many({"prompt": f"p{n}", "target": "t", "aliases": ["red fish"]} for n in range(40))
    assert [hit.edit for hit in found(memory, "red fish", k=3)] == edits[:-4:-1]
    newest = memory.update(edits[20].id, target="new")
    assert [hit.edit for hit in found(memory, "red fish", k=1)] == [newest]


@settings(max_examples=25, deadline=None)
@given(
    prompts=st.lists(
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join),
        min_size=2,
        max_size=12,
        unique=True,
    ),
    data=st.data(),
)
def test_removing_an_edit_leaves_the_others_as_they_were(prompts: list[str], data: st.DataObject) -> None:
    """Without the removed edit, every query finds the same edits with the same scores."""
    encoder = HashingEncoder()
    queries = encoder.encode([*prompts, *WORDS] * 2)
    with EditMemory(None, encoder) as memory:
        memory.add_many({"prompt": prompt, "target": "t"} for prompt in prompts)
        before = memory.search(queries, len(prompts))
        gone = memory.remove(data.draw(st.sampled_from(memory.list())).id)
        after = memory.search(queries, len(prompts))
    assert after == [[hit for hit in row if hit.edit.id != gone.id] for row in before]


def test_a_query_does_not_depend_on_its_batch(memory: EditMemory, hashing: HashingEncoder) -> None:
    """A query finds the same hits and scores alone and among others."""
    memory.add_many({"prompt": f"{a} {b} {n}", "target": "t"} for a in WORDS for b in WORDS for n in range(4))
    queries = hashing.encode([f"{word} {n}" for word in WORDS for n in range(10)])
    together = memory.search(queries, 8)
    assert together == [memory.search(query[None], 8)[0] for query in queries]


def test_search_agrees_with_plain_arithmetic(memory: EditMemory, hashing: HashingEncoder) -> None:
    """Scores are the inner products, best first, and none that is better is left out."""
    edits = memory.add_many({"prompt": f"{w} {n}", "target": "t"} for w in WORDS for n in range(40))
    queries = hashing.encode([*WORDS, "red boat 3"])
    expected = queries @ hashing.encode([edit.prompt for edit in edits]).T
    for row, hits in zip(expected, memory.search(queries, 7), strict=True):
        assert [hit.score for hit in hits] == pytest.approx(sorted(row, reverse=True)[:7], abs=1e-6)
        assert [edits[place] for place in np.argsort(-row)[:7]] == [hit.edit for hit in hits]


@pytest.mark.parametrize("floor", [-1.0, 0.2, 0.5, 0.9, 1.1])
def test_under_the_floor_only_the_nearest_are_read(memory: EditMemory, hashing: HashingEncoder, floor: float) -> None:
    """A query with an edit as near as the floor finds what it finds without one, any other what ties for first."""
    memory.add_many({"prompt": f"{w} {n}", "target": "t"} for w in WORDS for n in range(9))
    memory.add_many({"prompt": text, "target": "t"} for text in ("red boat", "boat red"))
    queries = hashing.encode([*WORDS, "red boat", "red boat 3", "sea of stars"])
    plain, found = memory.search(queries, 7), memory.search(queries, 7, floor=floor)
    assert len({hit.edit.id for hit in plain[5] if hit.score == plain[5][0].score}) == 2
    for hits, some in zip(plain, found, strict=True):
        near = hits[0].score >= floor
        assert some == (hits if near else [hit for hit in hits if hit.score == hits[0].score])


def test_an_empty_memory_finds_nothing(memory: EditMemory, hashing: HashingEncoder) -> None:
    """Without edits each query gets an empty list; without queries there is no list."""
    assert memory.search(hashing.encode(["red", "blue"]), 3) == [[], []]
    assert memory.search(hashing.encode(["red"]), 3, floor=0.5) == [[]]
    edit = memory.add("red", "t")
    assert memory.search(hashing.encode([]), 3) == []
    memory.remove(edit.id)
    assert memory.search(hashing.encode(["red"]), 3) == [[]]


def test_bad_queries_are_refused(memory: EditMemory, hashing: HashingEncoder) -> None:
    """NaN, a wrong shape, a wrong norm, k = 0 and a naive instant each get a clear error."""
    memory.add("red", "t")
    good = hashing.encode(["red"])
    with pytest.raises(EncoderMismatchError, match="NaN or infinity"):
        memory.search(good * np.nan, 1)
    with pytest.raises(EncoderMismatchError, match=r"expected vectors of shape \(n, 32\), got"):
        memory.search(good[:, :31], 1)
    with pytest.raises(EncoderMismatchError, match=r"got \(32,\)"):
        memory.search(good[0], 1)
    with pytest.raises(EncoderMismatchError, match="unit norm, got one of norm 3"):
        memory.search(good * 3, 1)
    with pytest.raises(ValueError, match="k must be at least 1"):
        memory.search(good, 0)
    with pytest.raises(ValueError, match="timezone-aware"):
        memory.search(good, 1, at=datetime(2020, 1, 1))


class BrokenEncoder(HashingEncoder):
    """Gives vectors that no index should take."""

    def __init__(self, factor: float, rows: int = 0) -> None:
        super().__init__()
        self._factor, self._rows = factor, rows

    def encode(self, texts: list[str]) -> np.ndarray:
        """Vectors spoilt by the factor, and more of them than asked for."""
        return super().encode([*texts, *["more"] * self._rows]) * np.float32(self._factor)


@pytest.mark.parametrize("broken", [BrokenEncoder(np.nan), BrokenEncoder(0), BrokenEncoder(1, 2)])
def test_an_encoder_that_gives_nonsense_stores_nothing(path: Path, broken: BrokenEncoder) -> None:
    """Vectors that are not finite, not of unit norm or too many are refused before the journal."""
    with EditMemory(path, broken) as memory:
        with pytest.raises(EncoderMismatchError, match="expected vectors of"):
            memory.add("red", "t")
        assert (len(memory), memory.revision) == (0, 0)
