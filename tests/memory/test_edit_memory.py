from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from memedit.edits import EditKind
from memedit.errors import InvalidEditError, MemoryFileError, UnknownEditError
from memedit.memory import Action, EditMemory, RamStore
from tests.memory.hashing import HashingEncoder

FULL = {
    "prompt": "Who runs Acme?",
    "target": "Dana Reyes",
    "kind": "insert",
    "subject": "Acme",
    "aliases": ("Acme's chief?", "Acme is led by"),
    "namespace": "tenant",
    "valid_from": datetime(2020, 1, 1, tzinfo=UTC),
    "valid_until": datetime(2999, 1, 1, tzinfo=UTC),
    "metadata": {"source": "wire", "tags": ["a", {"b": 1.5}], "nothing": None},
    "tags": ("people", "news"),
    "priority": 3,
    "editor": "grace",
}


@pytest.fixture(params=["file", "ram"])
def memory(request: pytest.FixtureRequest, path: Path, hashing: HashingEncoder) -> Iterator[EditMemory]:
    """An empty memory, of each kind of store."""
    store = RamStore() if request.param == "ram" else None
    with EditMemory(None if store else path, hashing, store=store) as opened:
        yield opened


def test_add_returns_what_get_returns(memory: EditMemory) -> None:
    """An edit comes back with every field as given, and an id that is not made of its text."""
    edit = memory.add(**FULL)
    assert memory.get(edit.id) == edit
    assert {name: getattr(edit, name) for name in FULL} == FULL | {"kind": EditKind.INSERT}
    assert edit.revision == memory.revision == 1
    assert edit.id in memory
    assert edit.id != memory.add("Who runs Acme?", "Dana Reyes").id


def test_reopening_gives_the_same_state(path: Path, hashing: HashingEncoder) -> None:
    """A closed and reopened memory has equal edits, history and search results."""
    with EditMemory(path, hashing) as memory:
        first, second = memory.add_many([FULL, {"prompt": "Capital of Chad", "target": "Lima"}])
        memory.update(second.id, target="Oslo")
        before = memory.list(), memory.history(second.id), memory.revision
        queries = hashing.encode(["Acme is led by", "Capital of"])
        hits = memory.search(queries, 3, "tenant"), memory.search(queries, 3)
    hashing.encoded.clear()
    with EditMemory(path, hashing) as memory:
        assert (memory.list(), memory.history(second.id), memory.revision) == before
        assert (memory.search(queries, 3, "tenant"), memory.search(queries, 3)) == hits
        assert memory.get(first.id).metadata == FULL["metadata"]
    assert hashing.encoded == []


@pytest.mark.parametrize("again", ["who runs ACME", "  Who  runs\tAcme ?!", "Who runs Acme…", "Who runs Acme\uff1f"])
def test_adding_the_same_prompt_updates(memory: EditMemory, again: str) -> None:
    """The same prompt up to case, white space and final marks is the same edit, not a second."""
    first = memory.add("Who runs Acme?", "Dana Reyes", metadata={"old": True})
    second = memory.add(again, "Lee Fox")
    assert memory.list() == [second]
    assert (second.id, second.created_at) == (first.id, first.created_at)
    assert (second.prompt, second.target, second.metadata) == (again, "Lee Fox", {})
    assert [event.action for event in memory.history(first.id)] == ["added", "updated"]


def test_a_batch_may_name_a_prompt_twice(memory: EditMemory) -> None:
    """Within one add_many the later item of the same prompt wins, and both are in the history."""
    edits = memory.add_many([{"prompt": "p", "target": "1"}, {"prompt": "P.", "target": "2"}])
    assert [edit.target for edit in edits] == ["1", "2"]
    assert memory.list() == edits[1:]


def test_add_many_is_all_or_nothing(memory: EditMemory) -> None:
    """A bad item stores none of the batch, and the message says which item and why."""
    with pytest.raises(InvalidEditError, match="item 2: target must not be empty"):
        memory.add_many([{"prompt": "p", "target": "t"}, {"prompt": "q", "target": " "}])
    assert (len(memory), memory.revision) == (0, 0)


def test_add_many_shows_progress_when_asked(memory: EditMemory, capsys: pytest.CaptureFixture[str]) -> None:
    """A progress bar appears with progress=True, and only then."""
    memory.add_many([{"prompt": "p", "target": "t"}])
    assert capsys.readouterr() == ("", "")
    memory.add_many([{"prompt": "q", "target": "t"}], progress=True)
    assert "1/1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"prompt": "", "target": "t"}, "prompt must not be empty"),
        ({"prompt": "p", "target": " \n"}, "target must not be empty"),
        ({"prompt": None, "target": "t"}, "prompt must be a string, got NoneType"),
        ({"prompt": "p"}, "needs the field 'target'"),
        ({"target": "t"}, "needs the field 'prompt'"),
        ({"prompt": "p", "target": "t", "id": "mine"}, "'id' is not a field that can be set"),
        ({"prompt": "p", "target": "t", "kind": "delete"}, "kind must be one of"),
        ({"prompt": "p", "target": "t", "aliases": "one"}, "aliases must be several strings"),
        ({"prompt": "p", "target": "t", "aliases": [""]}, "alias must not be empty"),
        ({"prompt": "p", "target": "t", "namespace": ""}, "namespace must not be empty"),
        ({"prompt": "p", "target": "t", "metadata": {"x": float("nan")}}, "finite numbers"),
        ({"prompt": "p", "target": "t", "metadata": [1]}, "metadata must be a mapping"),
        ({"prompt": "p" * 8193, "target": "t"}, "may have 8192 characters, got 8193"),
        ({"prompt": "p", "target": "t", "valid_from": datetime(2020, 1, 1)}, "timezone-aware"),
        ("p -> t", "expected a mapping with prompt and target, got str"),
    ],
)
def test_bad_items_are_refused(memory: EditMemory, item: object, message: str) -> None:
    """A bad field gets InvalidEditError with one clear sentence, and nothing is stored."""
    memory.add("kept", "yes")
    with pytest.raises(InvalidEditError, match=message):
        memory.add_many([item])
    assert [edit.prompt for edit in memory] == ["kept"]


def test_update_changes_only_what_is_given(memory: EditMemory, hashing: HashingEncoder) -> None:
    """A new target encodes nothing, a new alias encodes that alias only."""
    edit = memory.add(**FULL)
    hashing.encoded.clear()
    changed = memory.update(edit.id, target="Lee Fox")
    assert hashing.encoded == []
    assert (changed.target, changed.prompt) == ("Lee Fox", edit.prompt)
    memory.update(edit.id, aliases=["Acme is led by", "Boss of Acme"])
    assert hashing.encoded == ["Boss of Acme"]
    query = hashing.encode(["Acme is led by"])
    (hit,) = memory.search(query, 5, "tenant")[0]
    assert (hit.wording, hit.edit) == ("Acme is led by", memory.get(edit.id))
    assert hit.score == pytest.approx(1)


def test_update_takes_what_can_be_read_once(memory: EditMemory) -> None:
    """Aliases and tags may be iterators, as with `add`."""
    edit = memory.add("p", "t", aliases=["old"], tags=["old"])
    changed = memory.update(edit.id, aliases=(text for text in ["new", "newer"]), tags=iter(["x"]))
    assert changed == memory.get(edit.id)
    assert (changed.aliases, changed.tags) == (("new", "newer"), ("x",))


def test_update_refuses_what_cannot_be(memory: EditMemory) -> None:
    """A field that is no field, an invalid value, or another edit's prompt changes nothing."""
    edit = memory.add("p", "t")
    other = memory.add("q", "t")
    with pytest.raises(InvalidEditError, match="'answer' is not a field"):
        memory.update(edit.id, answer="x")
    with pytest.raises(InvalidEditError, match="target must not be empty"):
        memory.update(edit.id, target="")
    with pytest.raises(InvalidEditError, match=f"edit '{other.id}' .* has this prompt already"):
        memory.update(edit.id, prompt="Q?")
    assert memory.list() == [edit, other]
    assert memory.revision == 2


def test_unknown_ids_are_refused(memory: EditMemory) -> None:
    """Whatever is asked of an id that never was raises UnknownEditError."""
    asked = (memory.get, memory.update, memory.remove, memory.history, memory.restore, memory.purge, memory.linked)
    for call in asked:
        with pytest.raises(UnknownEditError, match="'nowhere'"):
            call("nowhere")
    assert "nowhere" not in memory
    assert memory.revision == 0


def test_a_removed_edit_keeps_its_history_only(memory: EditMemory) -> None:
    """After remove, the edit is in no list, and its history ends with its last state."""
    edit = memory.add("p", "t")
    assert memory.remove(edit.id) == edit
    assert (len(memory), list(memory), edit.id in memory) == (0, [], False)
    with pytest.raises(UnknownEditError):
        memory.get(edit.id)
    added, removed = memory.history(edit.id)
    assert (removed.action, removed.edit, removed.revision) == (Action.REMOVED, edit, 2)
    assert timedelta(0) <= removed.at - added.at < timedelta(minutes=1)


def test_a_removed_edit_can_be_restored(memory: EditMemory, hashing: HashingEncoder) -> None:
    """Restore brings back the last state in its old place, is found again, and can be undone."""
    first, second = memory.add("red fish", "1", aliases=["pink fish"]), memory.add("blue boat", "2")
    memory.remove(first.id)
    memory.update(second.id, target="3")
    restored = memory.restore(first.id)
    assert (restored.target, restored.created_at, restored.revision) == ("1", first.created_at, 5)
    assert [edit.id for edit in memory] == [first.id, second.id]
    assert memory.search(hashing.encode(["pink fish"]), 1)[0][0].edit == restored
    assert [event.action for event in memory.history(first.id)] == ["added", "removed", "restored"]
    assert [event.action for event in memory.undo(2)] == ["removed", "updated"]
    assert [edit.target for edit in memory] == ["2"]


def test_restore_refuses_what_cannot_be(memory: EditMemory) -> None:
    """An edit that is stored, or whose prompt another edit has taken, is not restored."""
    edit = memory.add("p", "1")
    with pytest.raises(InvalidEditError, match="is stored; only a removed edit can be restored"):
        memory.restore(edit.id)
    memory.remove(edit.id)
    other = memory.add("P?", "2")
    with pytest.raises(InvalidEditError, match=f"edit '{other.id}' .* has this prompt already"):
        memory.restore(edit.id)
    assert memory.list() == [other]


def test_an_edit_that_begins_to_erase_needs_a_refusal(memory: EditMemory) -> None:
    """The old answer never becomes the refusal because only the kind was changed."""
    edit = memory.add("Who runs Acme?", "Dana Reyes")
    with pytest.raises(InvalidEditError, match="needs a refusal as its target, got the answer it held"):
        memory.update(edit.id, kind="erase")
    with pytest.raises(InvalidEditError, match="needs a refusal"):
        memory.add("who runs acme", "dana reyes.", kind="erase")
    erased = memory.update(edit.id, kind="erase", target="I may not say.")
    assert "Dana" not in str(erased) + erased.statement + str(erased.to_dict())
    assert memory.update(edit.id, tags=["private"]).target == "I may not say."


@pytest.fixture
def shelf(memory: EditMemory) -> EditMemory:
    """A memory of seven edits in two namespaces."""
    memory.add_many(
        [
            {"prompt": "Straße one", "target": "north", "tags": ["road", "old"], "metadata": {"by": "ann", "n": 1}},
            {"prompt": "square two", "target": "South", "tags": ["road"], "metadata": {"by": "bob"}},
            {"prompt": "lane three", "target": "east", "aliases": ["the NORTH lane"], "metadata": {"by": None}},
            {"prompt": "alley four", "target": "west", "kind": "insert", "subject": "Northgate"},
            {"prompt": "court five", "target": "gone", "kind": "erase", "tags": ["old"]},
            {"prompt": "square two", "target": "north", "namespace": "other", "tags": ["road", "old"]},
            {"prompt": "path % _six", "target": "'; DROP TABLE edits --", "namespace": "other"},
        ]
    )
    return memory


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, "1234567"),
        ({"namespace": "other"}, "67"),
        ({"tags": ["road"]}, "126"),
        ({"tags": ("old", "road")}, "16"),
        ({"tags": ["old", "road"], "namespace": "default"}, "1"),
        ({"metadata": {"by": "ann"}}, "1"),
        ({"metadata": {"by": None}}, "3"),
        ({"metadata": {"by": "ann", "n": 2}}, ""),
        ({"kind": "erase"}, "5"),
        ({"kind": EditKind.MODIFY, "text": "o"}, "12367"),
        ({"text": "NORTH"}, "1346"),
        ({"text": "strasse"}, "1"),
        ({"text": "% _"}, "7"),
        ({"text": "'; drop table"}, "7"),
        ({"limit": 2}, "12"),
        ({"limit": 2, "offset": 6}, "7"),
        ({"limit": 0}, ""),
        ({"offset": 5}, "67"),
        ({"tags": ["road"], "limit": 1, "offset": 1}, "2"),
        ({"namespace": "other", "limit": 5, "offset": 1}, "7"),
    ],
)
def test_lists_are_filtered_and_paged(shelf: EditMemory, wanted: dict[str, object], found: str) -> None:
    """A list holds what fulfils every condition, in the order of the first add, page by page."""
    places = {edit.id: str(number) for number, edit in enumerate(shelf, start=1)}
    for edits in (shelf, shelf.at(shelf.revision)):
        assert "".join(places[edit.id] for edit in edits.list(**wanted)) == "".join(sorted(found))
        if not wanted.keys() & {"limit", "offset"}:
            assert edits.count(**wanted) == len(found)


def test_bad_conditions_are_refused(memory: EditMemory) -> None:
    """A condition of the wrong type, an unknown kind and a negative page get a clear error."""
    with pytest.raises(InvalidEditError, match="tags must be several strings, got str"):
        memory.list(tags="road")
    with pytest.raises(InvalidEditError, match="tags must be several strings, got int"):
        memory.list(tags=5)
    with pytest.raises(InvalidEditError, match="tags must be strings, got"):
        memory.list(tags=[["road"]])
    with pytest.raises(InvalidEditError, match="metadata must be a mapping, got list"):
        memory.list(metadata=["by"])
    with pytest.raises(InvalidEditError, match="text must be a string, got int"):
        memory.count(text=3)
    with pytest.raises(InvalidEditError, match="kind must be one of modify, insert, erase, got 'delete'"):
        memory.count(kind="delete")
    with pytest.raises(ValueError, match="limit must be at least 0, got -1"):
        memory.list(limit=-1)
    with pytest.raises(ValueError, match="offset must be at least 0, got -1"):
        memory.list(offset=-1)


def test_metadata_is_looked_for_in_the_form_in_which_it_is_kept(memory: EditMemory) -> None:
    """What was stored as a tuple is found by that tuple, and by the list that it became."""
    edit = memory.add("p", "t", metadata={"ids": (1, 2), "by": {"name": "Ann"}})
    assert memory.list(metadata={"ids": (1, 2)}) == memory.list(metadata={"ids": [1, 2]}) == [edit]
    assert memory.list(metadata={"ids": (2, 1)}) == []


def test_numbers_beyond_any_database_ask_for_all_or_nothing(shelf: EditMemory) -> None:
    """A page, or a number of changes, of more digits than a database takes is no error."""
    for edits in (shelf, shelf.at(shelf.revision)):
        assert edits.list(limit=10**30) == edits.list()
        assert edits.list(tags=["road"], limit=10**30, offset=10**30) == edits.list(offset=10**30) == []
    assert len(shelf.undo(10**30)) == 7
    assert len(shelf) == 0


def test_what_no_file_can_hold_is_nowhere(shelf: EditMemory) -> None:
    """A lone surrogate or a null character in an id or a namespace finds nothing, or is refused in one sentence."""
    edit = shelf.list()[0]
    for odd in ("\ud800", f"{edit.id}\0", f"{edit.id}\0x", "\0"):
        assert odd not in shelf
        for ask in (shelf.get, shelf.history, shelf.purge, shelf.restore, shelf.remove):
            with pytest.raises((UnknownEditError, InvalidEditError)):
                ask(odd)
        for ask in (shelf.list, shelf.count, shelf.clear, lambda name: shelf.list(name, tags=["road"])):
            with suppress(InvalidEditError):
                assert not ask(odd)
    assert len(shelf) == 7


class NoOffset(tzinfo):
    """A time zone that does not say how far from UTC it is."""

    def utcoffset(self, _: datetime | None) -> None:
        """Nothing."""


def test_an_instant_needs_an_offset(memory: EditMemory, hashing: HashingEncoder) -> None:
    """A time zone without an offset makes no instant, and is refused before anything is stored."""
    instant = datetime(2020, 1, 1, tzinfo=NoOffset())
    with pytest.raises(InvalidEditError, match="valid_from must be a timezone-aware"):
        memory.add("p", "t", valid_from=instant)
    with pytest.raises(ValueError, match="at must be a timezone-aware"):
        memory.search(hashing.encode(["p"]), 1, at=instant)
    assert memory.revision == 0


def test_of_equally_near_edits_the_one_of_higher_priority_comes_first(
    memory: EditMemory, hashing: HashingEncoder
) -> None:
    """Where scores are equal priority decides, then the revision."""
    first = memory.add("red fish", "1", priority=1)
    second, third = memory.add("fish red", "2"), memory.add("red fish.", "3", namespace="b")
    assert third.namespace == "b"
    assert [hit.edit for hit in memory.search(hashing.encode(["red fish"]), 2)[0]] == [first, second]
    memory.update(second.id, priority=2)
    assert [hit.edit.id for hit in memory.search(hashing.encode(["red fish"]), 2)[0]] == [second.id, first.id]


def test_namespaces_are_listed_and_cleared_apart(memory: EditMemory) -> None:
    """Listing and clearing one namespace leave the others alone; without a name they mean all."""
    one, two = memory.add("p", "1", namespace="a"), memory.add("p", "2", namespace="b")
    assert (memory.list("a"), memory.list("b"), memory.list("c")) == ([one], [two], [])
    assert memory.clear("a") == 1
    assert memory.list() == [two]
    assert memory.clear() == 1
    assert memory.clear() == 0


def test_undo_takes_back_each_kind_of_change(memory: EditMemory, hashing: HashingEncoder) -> None:
    """Undo of a removal restores, of an update brings the old state, of an addition removes."""
    edit = memory.add("old words", "1")
    memory.update(edit.id, prompt="new words", target="2")
    memory.remove(edit.id)
    (event,) = memory.undo()
    assert (event.action, event.edit.target, event.reverts) == (Action.RESTORED, "2", 3)
    (event,) = memory.undo()
    assert (event.action, event.edit.prompt, event.reverts) == (Action.UPDATED, "old words", 2)
    (hit,) = memory.search(hashing.encode(["old words"]), 1)[0]
    assert (hit.edit, hit.score) == (memory.get(edit.id), pytest.approx(1))
    (event,) = memory.undo()
    assert (event.action, event.reverts) == (Action.REMOVED, 1)
    assert memory.undo() == []
    assert len(memory.history(edit.id)) == 6


def test_undo_of_several_is_several_undos(memory: EditMemory) -> None:
    """undo(3) takes back three changes, also when other changes were undone in between."""
    memory.add("p", "1")
    memory.add("p", "2")
    memory.undo()
    memory.add("q", "3")
    assert [event.reverts for event in memory.undo(3)] == [4, 1]
    assert len(memory) == 0


def test_undo_restores_a_clear_in_the_old_order(memory: EditMemory) -> None:
    """Undoing as many changes as clear returned brings back the same edits in the same order."""
    before = memory.add_many({"prompt": f"p{n}", "target": "t"} for n in range(5))
    memory.undo(memory.clear())
    assert [(edit.id, edit.prompt, edit.created_at) for edit in memory.list()] == [
        (edit.id, edit.prompt, edit.created_at) for edit in before
    ]


def test_undo_wants_a_positive_number(memory: EditMemory) -> None:
    """undo(0) is refused."""
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        memory.undo(0)


def test_a_closed_memory_says_so(memory: EditMemory) -> None:
    """Any call after close raises MemoryFileError; closing twice is harmless."""
    memory.close()
    memory.close()
    with pytest.raises(MemoryFileError, match="is closed"):
        memory.add("p", "t")


@pytest.mark.parametrize("path", [None, ":memory:"])
def test_a_memory_may_live_in_ram(
    path: str | None, hashing: HashingEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a path everything works and no file is written."""
    monkeypatch.chdir(tmp_path)
    with EditMemory(path, hashing) as memory:
        edit = memory.add("p", "t")
        assert memory.path is None
        assert memory.search(hashing.encode(["p"]), 1)[0][0].edit == edit
    assert list(tmp_path.iterdir()) == []


def test_a_path_and_a_store_are_too_much(path: Path, hashing: HashingEncoder) -> None:
    """A memory has one place for its journal."""
    with pytest.raises(ValueError, match="expected a path or a store, got both"):
        EditMemory(path, hashing, store=RamStore())
