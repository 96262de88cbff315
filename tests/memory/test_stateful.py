from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from memedit.errors import InvalidEditError, UnknownEditError
from memedit.memory import EditMemory, RamStore
from memedit.memory.wordings import prompt_key
from tests.memory.hashing import HashingEncoder

PAST, FUTURE = (datetime.now(UTC) + timedelta(days=days) for days in (-1, 1))
prompts = st.lists(st.sampled_from(["red", "Blue", "fish?", "boat."]), min_size=1, max_size=3).map(" ".join)
contents = st.fixed_dictionaries(
    {
        "prompt": prompts,
        "target": st.text("ab", min_size=1),
        "namespace": st.sampled_from(["one", "two"]),
        "aliases": st.lists(prompts, max_size=2).map(tuple),
        "valid_until": st.sampled_from([None, PAST, FUTURE]),
        "tags": st.sampled_from([(), ("x",), ("x", "y")]),
    }
)
Content = dict[str, object]
State = dict[str, Content]


class MemoryAgainstDictionary(RuleBasedStateMachine):
    """A memory beside plain dictionaries: the edits by id, what they were, and what can be undone.

    Attributes:
        model: The current edits, in the order of their first add.
        states: The model after each event; their place in the list is the revision.
        undoable: For each change that can be undone, newest last, the edit and its state before.
        removed: The last state of each edit that was removed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "edits.db"
        self.encoder = HashingEncoder()
        self.memory = self.open()
        self.model: State = {}
        self.states: list[State] = [{}]
        self.undoable: list[tuple[str, Content | None]] = []
        self.removed: State = {}
        self.order: list[str] = []

    def open(self) -> EditMemory:
        """A memory on what was stored before."""
        return EditMemory(self.path, self.encoder)

    def teardown(self) -> None:
        """Close and delete the file."""
        self.memory.close()
        self.folder.cleanup()

    def same(self, content: Content) -> str | None:
        """Id of the model's edit that has this prompt in this namespace."""
        key = (content["namespace"], prompt_key(content["prompt"]))
        for edit_id, other in self.model.items():
            if (other["namespace"], prompt_key(other["prompt"])) == key:
                return edit_id
        return None

    def change(self, edit_id: str, content: Content | None, *, can_be_undone: bool = True) -> None:
        """Note one event of the model."""
        before = self.model.get(edit_id)
        if can_be_undone:
            self.undoable.append((edit_id, before))
        if edit_id not in self.order:
            self.order.append(edit_id)
        after = self.model | {edit_id: content}
        self.model = {each: after[each] for each in self.order if after.get(each) is not None}
        self.states.append(self.model)
        if content is None:
            self.removed[edit_id] = before
        else:
            self.removed.pop(edit_id, None)

    def refused(self, call: Callable[[], object], error: type[Exception]) -> None:
        """Check that a call raises and changes nothing."""
        revision = self.memory.revision
        try:
            call()
        except error:
            assert self.memory.revision == revision
        else:
            raise AssertionError(f"expected {error.__name__}")

    @rule(content=contents)
    def add(self, content: Content) -> None:
        """Add an edit, or update the one that has its prompt."""
        expected = self.same(content)
        edit = self.memory.add(**content)
        assert expected in (None, edit.id)
        self.change(edit.id, content)

    @rule(several=st.lists(contents, max_size=4))
    def add_many(self, several: list[Content]) -> None:
        """Add several, each one change."""
        for edit, content in zip(self.memory.add_many(several), several, strict=True):
            assert self.same(content) in (None, edit.id)
            self.change(edit.id, content)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), content=contents)
    def update(self, data: st.DataObject, content: Content) -> None:
        """Change some fields; another edit's prompt is refused."""
        edit_id = data.draw(st.sampled_from(list(self.model)))
        names = data.draw(st.sets(st.sampled_from(sorted(content)), min_size=1))
        after = self.model[edit_id] | {name: content[name] for name in names}
        if self.same(after) in (None, edit_id):
            self.memory.update(edit_id, **{name: content[name] for name in names})
            self.change(edit_id, after)
        else:
            self.refused(lambda: self.memory.update(edit_id, **after), InvalidEditError)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """Remove one edit."""
        edit_id = data.draw(st.sampled_from(list(self.model)))
        self.memory.remove(edit_id)
        self.change(edit_id, None)

    @precondition(lambda self: self.removed)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        """Bring a removed edit back, unless another one has its prompt by now."""
        edit_id = data.draw(st.sampled_from(list(self.removed)))
        content = self.removed[edit_id]
        if self.same(content) is None:
            self.memory.restore(edit_id)
            self.change(edit_id, content)
        else:
            self.refused(lambda: self.memory.restore(edit_id), InvalidEditError)

    @precondition(lambda self: self.order)
    @rule(data=st.data())
    def purge(self, data: st.DataObject) -> None:
        """Erase an edit from now and from ever; other changes can be undone as before."""
        edit_id = data.draw(st.sampled_from(self.order))
        self.memory.purge(edit_id)
        self.change(edit_id, None, can_be_undone=False)
        self.removed.pop(edit_id)
        self.order.remove(edit_id)
        self.undoable = [each for each in self.undoable if each[0] != edit_id]
        self.states = [{key: value for key, value in state.items() if key != edit_id} for state in self.states]
        self.refused(lambda: self.memory.restore(edit_id), UnknownEditError)

    @rule(namespace=st.sampled_from([None, "one", "two"]))
    def clear(self, namespace: str | None) -> None:
        """Remove all edits of a namespace, each one change."""
        gone = [edit_id for edit_id, content in self.model.items() if namespace in (None, content["namespace"])]
        assert self.memory.clear(namespace) == len(gone)
        for edit_id in gone:
            self.change(edit_id, None)

    @rule(n=st.integers(1, 5))
    def undo(self, n: int) -> None:
        """Go back as many changes as there are, up to n."""
        possible = min(n, len(self.undoable))
        assert len(self.memory.undo(n)) == possible
        for _ in range(possible):
            self.change(*self.undoable.pop(), can_be_undone=False)

    @rule()
    def reopen(self) -> None:
        """Open again; nothing needs encoding."""
        self.memory.close()
        self.encoder.encoded.clear()
        self.memory = self.open()
        assert self.encoder.encoded == []

    @rule(data=st.data())
    def at(self, data: st.DataObject) -> None:
        """Each past state is the model's of that time, and differences are those of the models."""
        first, second = (data.draw(st.integers(0, len(self.states) - 1)) for _ in range(2))
        before, after = self.states[first], self.states[second]
        assert self.contents(self.memory.at(first)) == list(before.items())
        found = self.memory.diff(first, second)
        assert {edit.id for edit in found.added} == after.keys() - before.keys()
        assert {edit.id for edit in found.removed} == before.keys() - after.keys()
        assert {edit.id for _, edit in found.changed} == {
            key for key in after.keys() & before.keys() if after[key] != before[key]
        }

    @rule(namespace=st.sampled_from([None, "one"]), offset=st.integers(0, 3), limit=st.integers(0, 3))
    def page(self, namespace: str | None, offset: int, limit: int) -> None:
        """A page of a filtered list is that part of the model's."""
        wanted = [
            edit_id
            for edit_id, content in self.model.items()
            if namespace in (None, content["namespace"]) and "x" in content["tags"]
        ]
        found = self.memory.list(namespace, tags=["x"], offset=offset, limit=limit)
        assert [edit.id for edit in found] == wanted[offset : offset + limit]
        assert self.memory.count(namespace, tags=["x"]) == len(wanted)

    def contents(self, edits: object) -> list[tuple[str, Content]]:
        """Edits in the model's form, in their order."""
        names = ("prompt", "target", "namespace", "aliases", "valid_until", "tags")
        return [(edit.id, {name: getattr(edit, name) for name in names}) for edit in edits]

    @invariant()
    def same_edits(self) -> None:
        """Memory and model hold the same edits in the same order, at the same revision."""
        assert self.contents(self.memory) == list(self.model.items())
        assert (len(self.memory), self.memory.revision) == (len(self.model), len(self.states) - 1)

    @invariant()
    def same_hits(self) -> None:
        """Exactly the valid edits of a namespace are found, by their best wording."""
        queries = ["red fish?", "Blue boat."]
        vectors = self.encoder.encode(queries)
        for namespace in ("one", "two"):
            expected = {
                edit_id
                for edit_id, content in self.model.items()
                if content["namespace"] == namespace and content["valid_until"] != PAST
            }
            for vector, hits in zip(vectors, self.memory.search(vectors, 100, namespace), strict=True):
                assert sorted(hit.edit.id for hit in hits) == sorted(expected)
                for hit in hits:
                    own = self.encoder.encode(hit.edit.wordings) @ vector
                    assert abs(hit.score - max(own)) < 1e-5


class RamMemoryAgainstDictionary(MemoryAgainstDictionary):
    """The same with the store that has no file; opening again is another memory on that store."""

    def open(self) -> EditMemory:
        """A memory on the store of the one before."""
        before = getattr(self, "memory", None)
        return EditMemory(None, self.encoder, store=before._store if before is not None else RamStore())

    @rule()
    def reopen(self) -> None:
        """Let another memory take over; nothing needs encoding."""
        self.encoder.encoded.clear()
        self.memory = self.open()
        assert self.encoder.encoded == []


RamMemoryAgainstDictionary.TestCase.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
MemoryAgainstDictionary.TestCase.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
TestMemoryAgainstDictionary = MemoryAgainstDictionary.TestCase
TestRamMemoryAgainstDictionary = RamMemoryAgainstDictionary.TestCase


def test_a_store_in_ram_keeps_nothing_of_a_failed_change(hashing: HashingEncoder) -> None:
    """What goes wrong inside a transaction leaves journal, edits and vectors as they were."""
    with closing(RamStore()) as store:
        memory = EditMemory(None, hashing, store=store)
        edit = memory.add("p", "t", aliases=["q"])
        before = memory.list(), memory.history(edit.id), store.revision
        try:
            with store.transaction():
                store.purge(edit.id)
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        assert (memory.list(), memory.history(edit.id), store.revision) == before
        assert memory.search(hashing.encode(["q"]), 1)[0][0].edit == edit
