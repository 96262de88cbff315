from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memedit.errors import UnknownEditError
from memedit.memory import Action, EditMemory, RamStore
from tests.memory.hashing import HashingEncoder


@pytest.fixture(params=["file", "ram"])
def memory(request: pytest.FixtureRequest, path: Path, hashing: HashingEncoder) -> Iterator[EditMemory]:
    """An empty memory, of each kind of store."""
    store = RamStore() if request.param == "ram" else None
    with EditMemory(None if store else path, hashing, store=store) as opened:
        yield opened


def test_each_past_state_can_be_seen(memory: EditMemory) -> None:
    """A view lists, counts and looks up exactly what the memory held after an event."""
    seen = [memory.list()]
    first = memory.add("red fish", "1")
    seen.append(memory.list())
    second = memory.add("blue boat", "2", namespace="other")
    seen.append(memory.list())
    for change in (
        lambda: memory.update(first.id, target="3"),
        lambda: memory.remove(first.id),
        lambda: memory.restore(first.id),
        lambda: memory.undo(2),
        lambda: memory.clear("other"),
    ):
        change()
        seen.extend([memory.list()] * (memory.revision + 1 - len(seen)))
    for revision in (0, 1, 2, 3, 4, 5, 7, 8):
        view = memory.at(revision)
        assert (view.revision, view.list(), list(view), len(view)) == (
            (revision, seen[revision], seen[revision], len(seen[revision]))
        )
    view = memory.at(2)
    assert (view.get(first.id), view.list("other"), view.count("other")) == (first, [second], 1)
    assert first.id in view
    assert first.id not in memory.at(4)
    with pytest.raises(UnknownEditError, match=first.id):
        memory.at(4).get(first.id)


def test_a_view_stays_what_it_is(memory: EditMemory) -> None:
    """Later changes, and closing the memory, do not reach a view."""
    edit = memory.add("red fish", "1")
    view = memory.at(memory.revision)
    memory.clear()
    memory.close()
    assert view.list() == [edit]


def test_revisions_that_never_were_are_refused(memory: EditMemory) -> None:
    """A revision before the first or after the last one is named with the range there is."""
    memory.add("red fish", "1")
    for call in (lambda: memory.at(2), lambda: memory.at(-1), lambda: memory.diff(0, 2)):
        with pytest.raises(ValueError, match=r"revision must be between 0 and 1, got (2|-1)"):
            call()


def test_the_difference_of_two_revisions(memory: EditMemory) -> None:
    """A difference tells what was added, changed and removed, and turns round with its arguments."""
    kept, changed, gone, back = memory.add_many({"prompt": f"p {n}", "target": "1"} for n in range(4))
    memory.update(changed.id, target="2")
    memory.remove(gone.id)
    memory.update(back.id, target="2")
    memory.update(back.id, target="1")
    new = memory.add("q", "1")
    found = memory.diff(4, memory.revision)
    assert (found.added, found.removed) == ((new,), (gone,))
    assert found.changed == ((changed, memory.get(changed.id)),)
    turned = memory.diff(memory.revision, 4)
    assert (turned.added, turned.removed) == (found.removed, found.added)
    assert turned.changed == ((memory.get(changed.id), changed),)
    assert kept.id not in str(found)
    assert not memory.diff(3, 3)
    assert found


def test_a_purged_edit_leaves_a_tombstone(memory: EditMemory, hashing: HashingEncoder) -> None:
    """After purge nothing finds the edit, and its history tells what was done but not of what."""
    edit = memory.add("red fish", "herring", subject="Bloop", tags=["secret"], namespace="firm", metadata={"a": "b"})
    memory.update(edit.id, target="cod", aliases=["pink fish"])
    kept = memory.add("blue boat", "skiff", namespace="firm")
    event = memory.purge(edit.id)
    assert (event.action, event.revision) == (Action.PURGED, memory.revision)
    assert memory.list() == [kept]
    assert edit.id not in memory
    assert [hit.edit for hit in memory.search(hashing.encode(["red fish"]), 5, "firm")[0]] == [kept]
    history = memory.history(edit.id)
    assert [event.action for event in history] == ["added", "updated", "purged"]
    for event in history:
        assert event.edit.id == edit.id
        assert not any(word in str(event) for word in ("fish", "herring", "cod", "Bloop", "secret", "firm", "'b'"))
    assert (memory.at(2).list(), memory.diff(0, 2).added) == ([], ())
    with pytest.raises(UnknownEditError, match="was purged; nothing of it is left to restore"):
        memory.restore(edit.id)


def test_a_purge_is_passed_over_by_undo(memory: EditMemory) -> None:
    """Undo takes back other changes, older and newer, and never brings back what was purged."""
    before = memory.add("one", "1")
    purged = memory.add("two", "2")
    memory.remove(purged.id)
    memory.purge(purged.id)
    after = memory.add("two", "3")
    assert after.id != purged.id
    assert [event.edit.id for event in memory.undo(5)] == [after.id, before.id]
    assert memory.list() == []


def test_purging_again_changes_nothing(memory: EditMemory) -> None:
    """A second purge of an edit is one event all the same."""
    edit = memory.add("one", "1")
    assert memory.purge(edit.id) == memory.purge(edit.id) == memory.history(edit.id)[-1]
    assert memory.revision == 2


def test_an_edit_purged_while_removed_is_gone(memory: EditMemory) -> None:
    """A removed edit can be purged; its place stays empty after opening again."""
    edit = memory.add("one", "1")
    memory.remove(edit.id)
    memory.purge(edit.id)
    assert (len(memory), memory.revision, len(memory.history(edit.id))) == (0, 3, 3)
