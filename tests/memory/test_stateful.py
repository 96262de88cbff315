from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from memedit.errors import InvalidEditError
from memedit.memory import EditMemory
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
    }
)
Content = dict[str, object]


class MemoryAgainstDictionary(RuleBasedStateMachine):
    """The real memory on a file, beside a dictionary from id to content and all earlier ones."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "edits.db"
        self.encoder = HashingEncoder()
        self.memory = EditMemory(self.path, self.encoder)
        self.model: dict[str, Content] = {}
        self.past: list[dict[str, Content]] = []

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

    def change(self, model: dict[str, Content]) -> None:
        """Note one change of the model."""
        self.past.append(self.model)
        self.model = model

    @rule(content=contents)
    def add(self, content: Content) -> None:
        """Add an edit, or update the one that has its prompt."""
        expected = self.same(content)
        edit = self.memory.add(**content)
        assert expected in (None, edit.id)
        self.change(self.model | {edit.id: content})

    @rule(several=st.lists(contents, max_size=4))
    def add_many(self, several: list[Content]) -> None:
        """Add several, each one change."""
        for edit, content in zip(self.memory.add_many(several), several, strict=True):
            assert self.same(content) in (None, edit.id)
            self.change(self.model | {edit.id: content})

    @precondition(lambda self: self.model)
    @rule(data=st.data(), content=contents)
    def update(self, data: st.DataObject, content: Content) -> None:
        """Change some fields; another edit's prompt is refused."""
        edit_id = data.draw(st.sampled_from(sorted(self.model)))
        names = data.draw(st.sets(st.sampled_from(sorted(content)), min_size=1))
        after = self.model[edit_id] | {name: content[name] for name in names}
        if self.same(after) in (None, edit_id):
            self.memory.update(edit_id, **{name: content[name] for name in names})
            self.change(self.model | {edit_id: after})
        else:
            revision = self.memory.revision
            try:
                self.memory.update(edit_id, **after)
            except InvalidEditError:
                assert self.memory.revision == revision
            else:
                raise AssertionError("two edits of one namespace have one prompt")

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """Remove one edit."""
        edit_id = data.draw(st.sampled_from(sorted(self.model)))
        self.memory.remove(edit_id)
        self.change({key: value for key, value in self.model.items() if key != edit_id})

    @rule(namespace=st.sampled_from([None, "one", "two"]))
    def clear(self, namespace: str | None) -> None:
        """Remove all edits of a namespace, each one change."""
        gone = [edit_id for edit_id, content in self.model.items() if namespace in (None, content["namespace"])]
        assert self.memory.clear(namespace) == len(gone)
        for edit in gone:
            self.change({key: value for key, value in self.model.items() if key != edit})

    @rule(n=st.integers(1, 5))
    def undo(self, n: int) -> None:
        """Go back as many changes as there are, up to n."""
        possible = min(n, len(self.past))
        assert len(self.memory.undo(n)) == possible
        for _ in range(possible):
            self.model = self.past.pop()

    @rule()
    def reopen(self) -> None:
        """Close and open again; nothing needs encoding."""
        self.memory.close()
        self.encoder.encoded.clear()
        self.memory = EditMemory(self.path, self.encoder)
        assert self.encoder.encoded == []

    @invariant()
    def same_edits(self) -> None:
        """Memory and model hold the same edits."""
        stored = {edit.id: {name: getattr(edit, name) for name in self.model[edit.id]} for edit in self.memory}
        assert stored == self.model

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


MemoryAgainstDictionary.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
TestMemoryAgainstDictionary = MemoryAgainstDictionary.TestCase
