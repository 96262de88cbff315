"""What the router remembers, and for how long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from numpy.typing import NDArray

from memedit.errors import MemoryFileError
from memedit.memory import EditMemory
from memedit.memory.wordings import prompt_key
from memedit.scope import Route, Router, ScopeClassifier, SentenceEncoder
from tests.memory.hashing import HashingEncoder
from tests.scope.conftest import QUICK, world_pairs

NOW = datetime(2030, 1, 1, tzinfo=UTC)
QUERY = "red fish"


class SharedWords:
    """Stands in for the scope classifier: the share of common words is the probability."""

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = threshold
        self.read: list[tuple[str, str]] = []

    def threshold_for(self, wordings: Sequence[str]) -> NDArray[np.float64]:
        """The same for each wording."""
        return np.full(len(wordings), self.threshold)

    def probability(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """Common words by all words."""
        self.read.extend(pairs)
        sets = [(set(prompt_key(a).split()), set(prompt_key(b).split())) for a, b in pairs]
        return np.array([len(a & b) / len(a | b) for a, b in sets])


class Setup:
    """A memory, its encoder, a classifier, and a router over them."""

    def __init__(self, memory: EditMemory, encoder: HashingEncoder, size: int = 1024) -> None:
        self.memory, self.encoder, self.classifier = memory, encoder, SharedWords()
        self.router = Router(memory, self.classifier, floor=-1.0, margin=None, cache_size=size)  # type: ignore[arg-type]

    def works_for(self, query: str, namespace: str = "default", at: datetime = NOW) -> bool:
        """Whether the query reaches the encoder; if it does not, it must not reach the classifier."""
        encoded, read = len(self.encoder.encoded), len(self.classifier.read)
        self.router.route([query], namespace, at)
        reached = len(self.encoder.encoded) > encoded
        assert reached or len(self.classifier.read) == read
        return reached


@pytest.fixture
def setup() -> Iterator[Setup]:
    """A router over one edit in RAM that has decided on one query."""
    encoder = HashingEncoder()
    with EditMemory(None, encoder) as memory:
        memory.add("Red fish?", "herring")
        made = Setup(memory, encoder)
        made.router.route([QUERY], at=NOW)
        yield made


def test_a_repeated_query_reaches_neither_encoder_nor_classifier(setup: Setup) -> None:
    """The second answer is the first one, but for its time, alone and among others."""
    [first], [second] = setup.router.route([QUERY], at=NOW), setup.router.route([QUERY], at=NOW)
    assert first.edit is not None
    assert _decision(first) == _decision(second)
    assert not setup.works_for(QUERY)
    setup.encoder.encoded.clear()
    routes = setup.router.route(["blue", QUERY, "boat"], at=NOW)
    assert setup.encoder.encoded == ["blue", "boat"]
    assert [route.query for route in routes] == ["blue", QUERY, "boat"]


def test_every_change_of_the_memory_voids_what_was_remembered(setup: Setup) -> None:
    """After an add, an update, a removal and an undo the query is decided anew, once."""
    edit = setup.memory.list()[0]
    changes = (
        lambda: setup.memory.add("boat", "skiff"),
        lambda: setup.memory.update(edit.id, target="perch"),
        lambda: setup.memory.remove(edit.id),
        lambda: setup.memory.undo(),
    )
    targets = []
    for change in changes:
        change()
        assert setup.works_for(QUERY)
        assert not setup.works_for(QUERY)
        [route] = setup.router.route([QUERY], at=NOW)
        targets.append(route.edit and route.edit.target)
    assert targets == ["herring", "perch", None, "perch"]


def test_a_decision_does_not_outlive_the_validity_of_an_edit(setup: Setup) -> None:
    """It holds until the next instant at which an edit of its namespace begins or ends to apply."""
    day = timedelta(days=1)
    setup.memory.add("red", "x", valid_from=NOW - day, valid_until=NOW + 2 * day)
    setup.memory.add("fish", "x", valid_from=NOW + day)
    setup.memory.add("fish", "x", namespace="other", valid_from=NOW + day / 2)
    assert setup.works_for(QUERY)
    instants = [NOW + day / 2, NOW + day, NOW + 1.5 * day, NOW + 2 * day, NOW + 400 * day]
    assert [setup.works_for(QUERY, at=at) for at in instants] == [False, True, False, True, False]
    assert setup.works_for(QUERY, at=NOW), "a decision says nothing about earlier instants"


def test_a_change_by_another_opener_is_noticed(tmp_path: Path) -> None:
    """A decision does not outlive a change that somebody else made in the file; nor the memory's closing."""
    encoder = HashingEncoder()
    with EditMemory(tmp_path / "edits.db", encoder) as memory, EditMemory(tmp_path / "edits.db", encoder) as other:
        setup = Setup(memory, encoder)
        assert setup.works_for(QUERY)
        assert not setup.works_for(QUERY)
        edit = other.add("red fish", "herring")
        setup.encoder.encoded.clear()
        [route] = setup.router.route([QUERY], at=NOW)
        assert route.edit == edit
        memory.close()
        with pytest.raises(MemoryFileError, match="closed"):
            setup.router.route([QUERY], at=NOW)


def test_namespaces_do_not_share_decisions(setup: Setup) -> None:
    """What was decided in one namespace is not handed out in another."""
    assert setup.works_for(QUERY, "other")
    assert setup.router.route([QUERY], "other", NOW)[0].edit is None
    assert not setup.works_for(QUERY)


def test_other_settings_void_what_was_remembered(setup: Setup) -> None:
    """Another threshold, classifier, or setting of the router means another decision."""
    setup.classifier.threshold = 0.9
    assert setup.works_for(QUERY)
    for name, value in (("k", 1), ("floor", 0.1), ("margin", 0.15), ("classifier", SharedWords())):
        setattr(setup.router, name, value)
        setup.encoder.encoded.clear()
        setup.router.route([QUERY], at=NOW)
        assert setup.encoder.encoded == [QUERY]


def test_fitting_and_calibrating_void_what_was_remembered(encoder: SentenceEncoder) -> None:
    """A real classifier that was trained on, or calibrated anew, is asked again."""
    pairs, labels = (values[::7] for values in world_pairs())
    brief = replace(QUICK, epochs=1)
    classifier = ScopeClassifier(encoder.files).fit(pairs, labels, brief)
    with EditMemory(None, encoder) as memory:
        memory.add("The capital of Iva Lund is", "Lundby")
        router = Router(memory, classifier)
        query = "Which city is the capital of Iva Lund?"
        found = [router.route([query])[0].probability]
        assert router.route([query])[0].probability == found[0]
        for change in (
            lambda: classifier.fit(pairs, labels, brief),
            lambda: classifier.calibrate(pairs, labels, locality=0.9),
        ):
            change()
            found.append(router.route([query])[0].probability)
    assert len(set(found)) == 3


def test_no_more_than_the_stated_number_is_remembered() -> None:
    """The queries that were asked last are kept; a size of 0 turns the cache off."""
    encoder = HashingEncoder()
    with EditMemory(None, encoder) as memory:
        setup = Setup(memory, encoder, size=2)
        assert [setup.works_for(query) for query in "abacab"] == [True, True, False, True, False, True]
        setup.router.route(["d", "e", "f"], at=NOW)
        assert [setup.works_for(query) for query in "efd"] == [False, False, True]
        off = Setup(memory, encoder, size=0)
        assert [off.works_for(QUERY) for _ in range(2)] == [True, True]


words = st.lists(st.sampled_from(["red", "blue", "fish"]), min_size=1, max_size=3).map(" ".join)
instants = st.one_of(st.none(), st.integers(0, 9).map(lambda hours: NOW + timedelta(hours=hours)))


class CachedAgainstUncached(RuleBasedStateMachine):
    """Two routers over one memory, of which one remembers: they must always agree."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = EditMemory(None, HashingEncoder())
        self.classifier = SharedWords()
        self.cached, self.uncached = (
            Router(self.memory, self.classifier, floor=-1.0, cache_size=size)  # type: ignore[arg-type]
            for size in (5, 0)
        )
        self.at = NOW
        self.asked: set[str] = {QUERY}

    def teardown(self) -> None:
        """Release the memory."""
        self.memory.close()

    @rule(prompt=words, start=instants, end=instants, namespace=st.sampled_from(["default", "other"]))
    def add(self, prompt: str, start: datetime | None, end: datetime | None, namespace: str) -> None:
        """Store an edit, possibly one that is valid for a while only."""
        if start and end and start >= end:
            start = None
        self.memory.add(prompt, "t", valid_from=start, valid_until=end, namespace=namespace)

    @precondition(lambda self: len(self.memory))
    @rule(data=st.data(), end=instants)
    def update(self, data: st.DataObject, end: datetime | None) -> None:
        """Change the validity of an edit."""
        edit = data.draw(st.sampled_from(self.memory.list()))
        self.memory.update(edit.id, valid_from=None, valid_until=end)

    @precondition(lambda self: len(self.memory))
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """Remove an edit."""
        self.memory.remove(data.draw(st.sampled_from(self.memory.list())).id)

    @rule(n=st.integers(1, 3))
    def undo(self, n: int) -> None:
        """Take changes back."""
        self.memory.undo(n)

    @rule(minutes=st.sampled_from([0, 20, 60, 150, -30]))
    def wait(self, minutes: int) -> None:
        """Let time pass; a clock may also be set back."""
        self.at += timedelta(minutes=minutes)

    @rule(threshold=st.sampled_from([0.4, 0.6]))
    def calibrate(self, threshold: float) -> None:
        """Move the threshold."""
        self.classifier.threshold = threshold

    @rule(query=words)
    def ask(self, query: str) -> None:
        """Ask something else."""
        self.asked.add(query)

    @invariant()
    def agree(self) -> None:
        """Both decide alike on whatever was asked so far."""
        for namespace in ("default", "other"):
            queries = sorted(self.asked)
            found = [router.route(queries, namespace, self.at) for router in (self.cached, self.uncached)]
            assert [_decision(route) for route in found[0]] == [_decision(route) for route in found[1]]


TestCachedAgainstUncached = CachedAgainstUncached.TestCase
TestCachedAgainstUncached.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)


def _decision(route: Route) -> tuple[object, ...]:
    """All of a route but its time."""
    return (route.query, route.edit, route.probability, route.threshold, route.candidates, route.reason)


def test_one_request_sees_one_state_of_the_memory(setup: Setup) -> None:
    """When an edit is removed while a request is decided, a remembered decision from before is taken again."""
    [edit] = setup.memory.list()
    decide = setup.classifier.probability

    def meanwhile(pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        if edit.id in setup.memory:
            setup.memory.remove(edit.id)
        return decide(pairs)

    setup.classifier.probability = meanwhile  # type: ignore[method-assign]
    remembered, other = setup.router.route([QUERY, "blue fish"], at=NOW)
    assert remembered.edit is None
    assert other.edit is None
