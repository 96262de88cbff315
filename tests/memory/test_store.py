"""What every `EditStore` promises; a new store is added to `STORES` here and to the stateful test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memedit.edits import Edit, EditKind
from memedit.errors import MemoryFileError
from memedit.memory import Action, EditStore, RamStore
from memedit.memory.selection import Selection
from memedit.memory.sqlite import SQLiteStore
from memedit.memory.store import PURGED_TEXT, EncoderStamp
from memedit.memory.wordings import prompt_key

STORES: dict[str, Callable[[Path], EditStore]] = {
    "file": SQLiteStore,
    "sqlite in ram": lambda _: SQLiteStore(None),
    "ram": lambda _: RamStore(),
}
ODD = "'; DROP TABLE events; -- \u202e 漢字 \U0001f600 {} %s ?1"


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, path: Path) -> Iterator[EditStore]:
    """A new store of each kind, stamped by an encoder of three dimensions."""
    opened = STORES[request.param](path)
    with opened.transaction():
        opened.stamp(EncoderStamp("e", 3))
    yield opened
    opened.close()


def rows(count: int, first: float = 1.0) -> np.ndarray:
    """Vectors for so many wordings."""
    return np.full((count, 3), first, dtype=np.float32)


def put(store: EditStore, action: Action, edit: Edit, vectors: np.ndarray | None = None) -> Edit:
    """Append one event; the edit as it is then."""
    with store.transaction():
        return store.append(action, edit, vectors).edit


def filled(store: EditStore) -> tuple[Edit, Edit, Edit]:
    """Three edits, the second one updated and the third one removed."""
    first = put(store, Action.ADDED, Edit("a", "one", "x", subject="S", namespace="n"), rows(1))
    second = put(store, Action.ADDED, Edit("b", "two", "y", aliases=("zwei",)), rows(2))
    third = put(store, Action.ADDED, Edit("c", "three", "z"), rows(1))
    second = put(store, Action.UPDATED, replace(second, target="S"))
    put(store, Action.REMOVED, third)
    return first, second, third


def test_revisions_have_no_gaps_and_are_never_given_twice(store: EditStore) -> None:
    """Each event has the next number, also after a transaction was rolled back."""
    assert store.revision == 0
    filled(store)
    with suppress(KeyError), store.transaction():
        assert store.append(Action.ADDED, Edit("d", "p", "t"), rows(1)).revision == 6
        raise KeyError
    assert (store.revision, store.get(["d"]), list(store.history("d"))) == (5, {}, [])
    assert put(store, Action.ADDED, Edit("e", "p", "t"), rows(1)).revision == 6


def test_edits_are_told_by_id_by_prompt_and_in_the_order_of_their_first_event(store: EditStore) -> None:
    """Lists, pages, counts and look-ups agree; a restored edit is in its old place."""
    first, second, third = filled(store)
    assert store.edits() == [first, second]
    assert store.get(["b", "c", "nobody"]) == {"b": second}
    assert store.find("n", "one") == first
    assert (store.find("default", "one"), store.find("default", "three")) == (None, None)
    third = put(store, Action.RESTORED, third, rows(1))
    first = put(store, Action.UPDATED, replace(first, target="new"))
    assert store.edits() == [first, second, third]
    assert (store.edits(limit=1, offset=1), store.edits("n"), store.count("default")) == ([second], [first], 2)
    chosen = Selection.of(text="ZWEI")
    assert (store.edits(selection=chosen), store.count(selection=chosen)) == ([second], 1)


def test_the_past_is_kept(store: EditStore) -> None:
    """Each state is there at each revision, and each edit has its events."""
    first, second, third = filled(store)
    before = replace(second, target="y", revision=2)
    assert store.states_at(0) == []
    assert store.states_at(3) == [first, before, third]
    assert store.states_at(5, ["b", "c"]) == [second]
    assert [(event.revision, event.action) for event in store.history("c")] == [(3, "added"), (5, "removed")]
    assert [event.edit for event in store.history("b")] == [before, second]
    assert store.touched(3) == {"b", "c"}


def test_what_can_be_undone_is_told_newest_first(store: EditStore) -> None:
    """Events that undo others, or are undone, or are of a purged edit, are passed over."""
    _, second, third = filled(store)
    assert [event.revision for event in store.undoable(3)] == [5, 4, 3]
    newest, update, added = store.undoable(3)
    assert store.state_before(newest) == third
    assert store.state_before(update).target == "y"
    assert store.state_before(added) is None
    with store.transaction():
        store.append(Action.RESTORED, third, rows(1), reverts=newest.revision)
        store.purge(second.id)
    assert [event.revision for event in store.undoable(9)] == [3, 1]


def test_edits_are_found_by_the_entities_they_name(store: EditStore) -> None:
    """By subject or else by prompt, and by a target that is no refusal, each in its namespace."""
    first, second, _ = filled(store)
    refusal = put(store, Action.ADDED, Edit("r", "what S hides", "S", EditKind.ERASE), rows(1))
    assert store.about("n", "s") == [first]
    assert store.about("default", "s") == [refusal]
    assert store.answering("default", "s", exactly=True) == [second]
    assert store.answering("default", "who is s", exactly=False) == [second]
    assert store.answering("n", "s", exactly=True) == []


def test_vectors_go_with_the_wordings(store: EditStore) -> None:
    """They are kept by an update without new ones, dropped by a removal, and replaced for a state that still is."""
    first, second, _ = filled(store)
    assert {entry.edit_id: len(entry.vectors) for entry in store.entries()} == {"a": 1, "b": 2}
    with store.transaction():
        store.put_vectors({first: rows(1, 5.0), replace(second, target="old"): rows(2, 5.0)})
    found = {entry.edit_id: entry.vectors[0, 0] for entry in store.entries()}
    assert found == {"a": 5.0, "b": 1.0}
    [entry] = store.entries(["a", "c"])
    assert (entry.namespace, entry.vectors.dtype, entry.vectors.shape) == ("n", np.float32, (1, 3))
    assert store.encoder == EncoderStamp("e", 3)
    with store.transaction():
        store.stamp(EncoderStamp("f", 3))
    assert [entry.vectors for entry in store.entries()] == [None, None]
    assert store.encoder == EncoderStamp("f", 3)


def test_purging_leaves_the_tombstone(store: EditStore) -> None:
    """All events of a purged edit stay, without what it held; nothing else of it is there."""
    _, second, _ = filled(store)
    with store.transaction():
        assert store.purge("b").action is Action.PURGED
    store.scrub()
    events = store.history("b")
    assert [event.action for event in events] == ["added", "updated", "purged"]
    assert {(event.edit.prompt, event.edit.target, event.edit.aliases) for event in events} == {
        (PURGED_TEXT, PURGED_TEXT, ())
    }
    assert (store.find("default", "two"), store.get([second.id]), store.states_at(2, ["b"])) == (None, {}, [])
    assert [entry.edit_id for entry in store.entries()] == ["a"]


def test_what_is_derived_agrees_and_can_be_derived_again(store: EditStore) -> None:
    """A store in good health disagrees in nothing, and rebuilding changes nothing but drops vectors."""
    first, second, _ = filled(store)
    assert store.disagreeing() == set()
    with store.transaction():
        store.rebuild(["b", "c"])
    assert (store.edits(), store.disagreeing()) == ([first, second], set())
    assert {entry.edit_id: entry.vectors is None for entry in store.entries()} == {"a": False, "b": True}


def test_anything_an_edit_can_hold_comes_back_and_is_never_a_command(store: EditStore) -> None:
    """Odd texts in every field are stored, found and listed as they are."""
    odd = Edit(ODD, ODD, ODD, subject=ODD, aliases=(ODD,), namespace=ODD, metadata={ODD: [ODD, None, 0.1]}, tags=(ODD,))
    odd = put(store, Action.ADDED, odd, rows(2))
    assert store.edits(ODD) == list(store.get([ODD]).values()) == [odd]
    assert store.find(ODD, prompt_key(ODD)) == odd
    assert store.about(ODD, prompt_key(ODD)) == store.answering(ODD, prompt_key(ODD), exactly=False) == [odd]
    assert store.history(ODD)[0].edit == odd


def test_a_closed_store_says_so(store: EditStore) -> None:
    """After close every call raises, and closing again does nothing."""
    store.close()
    store.close()
    for call in (lambda: store.revision, store.edits, lambda: store.history("a"), lambda: list(store.entries())):
        with pytest.raises(MemoryFileError, match="is closed"):
            call()
