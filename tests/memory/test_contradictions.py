from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from memedit.errors import InvalidEditError, MemoryFileError
from memedit.memory import Contradiction, ContradictionError, EditMemory, RamStore
from memedit.scope import ScopeClassifier, SentenceEncoder
from tests.memory.hashing import HashingEncoder

ASKS = "Who runs Acme?"
OTHER_WORDS = "Acme is led by"


class Judge:
    """Holds wordings that name Acme to be one fact, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []

    def __call__(self, wording: str, others: list[str]) -> list[bool]:
        """One verdict for each of `others`."""
        self.asked.append((wording, others))
        return ["Acme" in wording and "Acme" in other for other in others]


@pytest.fixture(params=["file", "ram"])
def memory(request: pytest.FixtureRequest, path: Path, hashing: HashingEncoder) -> Iterator[EditMemory]:
    """A memory with a judge, of each kind of store."""
    store = RamStore() if request.param == "ram" else None
    with EditMemory(None if store else path, hashing, store=store, same_fact=Judge()) as opened:
        yield opened


def test_the_same_prompt_with_another_answer_is_a_contradiction(path: Path, hashing: HashingEncoder) -> None:
    """Also without same_fact it can be refused; the error names the other edit but not its answer."""
    with EditMemory(path, hashing) as memory:
        first = memory.add(ASKS, "Dana Reyes")
        with pytest.raises(ContradictionError, match=f"by edit '{first.id}' .'Who runs Acme") as caught:
            memory.add("who runs acme", "Lee Fox", on_contradiction="refuse")
        assert "Dana" not in str(caught.value)
        assert isinstance(caught.value, InvalidEditError)
        (found,) = caught.value.contradictions
        assert (found.other, found.edit.target, found.same_prompt) == (first, "Lee Fox", True)
        assert memory.list() == [first]
        assert memory.add("who runs acme", "dana reyes.", on_contradiction="refuse").id == first.id
        assert memory.add(ASKS, "Lee Fox", on_contradiction="keep").id == first.id


def test_other_words_for_the_same_fact_are_refused(memory: EditMemory) -> None:
    """With same_fact a contradiction in other words is found, and nothing of the batch is stored."""
    first = memory.add(ASKS, "Dana Reyes", aliases=["The head of Acme"])
    revision = memory.revision
    with pytest.raises(ContradictionError, match=first.id):
        memory.add_many(
            [{"prompt": "Capital of Chad", "target": "Lima"}, {"prompt": OTHER_WORDS, "target": "Lee Fox"}],
            on_contradiction="refuse",
        )
    assert (memory.list(), memory.revision) == ([first], revision)
    assert memory.add(OTHER_WORDS, "Dana Reyes", on_contradiction="refuse").target == "Dana Reyes"
    assert memory.add("Who runs Bolt?", "Lee Fox", on_contradiction="refuse").target == "Lee Fox"


def test_by_default_the_newest_is_to_answer(memory: EditMemory) -> None:
    """The new edit ranks at least as high as what it contradicts, which stays as it is."""
    first = memory.add(ASKS, "Dana Reyes", priority=5)
    second = memory.add(OTHER_WORDS, "Lee Fox")
    assert (second.priority, memory.get(first.id)) == (5, first)
    assert memory.add("Head of Acme", "Ann Lee", priority=7).priority == 7
    assert memory.add("Head of Bolt", "Ann Lee").priority == 0


def test_both_can_be_kept_by_priority(memory: EditMemory) -> None:
    """With "keep" neither edit changes its rank."""
    first = memory.add(ASKS, "Dana Reyes", priority=5)
    second = memory.add(OTHER_WORDS, "Lee Fox", priority=1, on_contradiction="keep")
    assert (first.priority, second.priority, len(memory)) == (5, 1, 2)


def test_a_function_is_told_and_chooses(memory: EditMemory) -> None:
    """Each contradiction is reported with the edit it contradicts, and judged by itself."""
    first, second = memory.add(ASKS, "Dana Reyes", priority=5), memory.add("Acme", "Ann Lee", priority=9)
    told: list[Contradiction] = []

    def choose(found: Contradiction) -> str:
        told.append(found)
        return "keep" if found.other.priority == 9 else "newest"

    edit = memory.add(OTHER_WORDS, "Lee Fox", on_contradiction=choose)
    assert edit.priority == 5
    assert {found.other for found in told} == {first, second}
    assert {(found.edit.prompt, found.edit.target, found.same_prompt) for found in told} == {
        (OTHER_WORDS, "Lee Fox", False)
    }
    memory.add(OTHER_WORDS, "Ann Lee", on_contradiction=choose)
    assert (told[-2].same_prompt, told[-2].other, told[-1].other) == (True, edit, first)


@pytest.mark.parametrize("ask", ["search", "linked", "at", "add"])
def test_a_function_is_told_what_it_may_not_do(memory: EditMemory, hashing: HashingEncoder, ask: str) -> None:
    """It runs inside the change: it may look edits up; searching and changing is an error, and nothing is stored."""
    edit = memory.add(ASKS, "Dana Reyes")
    calls = {
        "search": lambda: memory.search(hashing.encode([ASKS]), 1),
        "linked": lambda: memory.linked(edit.id),
        "at": lambda: memory.at(1),
        "add": lambda: memory.add("p", "t"),
    }

    def policy(found: Contradiction) -> str:
        assert memory.get(found.other.id) == edit
        calls[ask]()
        return "keep"

    with pytest.raises(MemoryFileError, match="cannot be searched or changed by what is called while"):
        memory.add(ASKS, "Max Ono", on_contradiction=policy)
    assert memory.list() == [edit]
    assert memory.search(hashing.encode([ASKS]), 1)[0][0].edit == edit


def test_what_has_expired_contradicts_nothing(memory: EditMemory) -> None:
    """With "refuse", an edit of the same prompt is updated if its time is over, and not if it is only running out."""
    now = datetime.now(UTC)
    over = memory.add(ASKS, "Dana Reyes", valid_until=now - timedelta(days=1))
    assert memory.add(ASKS, "Lee Fox", on_contradiction="refuse").id == over.id
    ends = memory.add("Capital of Chad", "Lima", valid_until=now + timedelta(days=1))
    with pytest.raises(ContradictionError, match=ends.id):
        memory.add("Capital of Chad", "Rome", valid_from=now + timedelta(days=2), on_contradiction="refuse")


def test_what_cannot_contradict_is_not_asked_about(memory: EditMemory) -> None:
    """Edits of another namespace, with the same answer, or not valid then are no contradictions."""
    now = datetime.now(UTC)
    memory.add(ASKS, "Dana Reyes", namespace="other")
    memory.add("Acme", "Lee Fox")
    memory.add("Acme's head", "Ann Lee", valid_until=now + timedelta(days=1))
    memory.same_fact = Judge()
    edit = memory.add(OTHER_WORDS, "lee fox", valid_from=now + timedelta(days=2), on_contradiction="refuse")
    assert edit.target == "lee fox"
    assert memory.same_fact.asked == []


def test_contradictions_of_a_stored_edit_can_be_asked_for(memory: EditMemory, hashing: HashingEncoder) -> None:
    """They are told in both directions, and only by a memory that can compare other words."""
    first, second = memory.add(ASKS, "Dana Reyes"), memory.add(OTHER_WORDS, "Lee Fox")
    memory.add("Capital of Chad", "Lima")
    assert [found.other for found in memory.contradictions(first.id)] == [second]
    assert [found.other for found in memory.contradictions(second.id)] == [first]
    memory.same_fact = None
    with pytest.raises(ValueError, match="expected a memory with same_fact"):
        memory.contradictions(first.id)


def test_items_of_one_call_contradict_each_other_as_if_added_in_turn(memory: EditMemory) -> None:
    """A later item is compared with the earlier ones: refused with the whole call, or the one to answer."""
    items = [
        {"prompt": ASKS, "target": "Dana Reyes", "priority": 4},
        {"prompt": "Capital of Chad", "target": "Lima"},
        {"prompt": "Acme's head", "target": "Ann Lee", "namespace": "other", "priority": 9},
        {"prompt": OTHER_WORDS, "target": "Lee Fox"},
    ]
    with pytest.raises(ContradictionError, match="Who runs Acme"):
        memory.add_many(items, on_contradiction="refuse")
    assert (memory.list(), memory.revision) == ([], 0)
    told: list[Contradiction] = []
    first, *_, last = memory.add_many(items, on_contradiction=lambda found: told.append(found) or "newest")
    assert [(found.other, found.edit.target, found.same_prompt) for found in told] == [(first, "Lee Fox", False)]
    assert last.priority == 4


def test_an_item_that_updates_stands_for_what_it_updates(memory: EditMemory) -> None:
    """What an earlier item of a call has changed is no contradiction any more, and what it says now is one."""
    memory.add(ASKS, "Dana Reyes")
    same = memory.add_many(
        [{"prompt": ASKS, "target": "Lee Fox"}, {"prompt": OTHER_WORDS, "target": "Lee Fox"}],
        on_contradiction=lambda found: "keep" if found.same_prompt else "refuse",
    )
    assert [edit.target for edit in memory] == [edit.target for edit in same] == ["Lee Fox", "Lee Fox"]
    with pytest.raises(ContradictionError, match="Who runs Acme"):
        memory.add_many(
            [
                {"prompt": OTHER_WORDS, "target": "Ann Lee", "aliases": ["Head of Acme"]},
                {"prompt": ASKS, "target": "Ann Lee"},
                {"prompt": ASKS, "target": "Dana Reyes"},
                {"prompt": "The boss of Acme", "target": "Ann Lee"},
            ],
            on_contradiction=lambda found: "keep" if found.edit.prompt == ASKS else "refuse",
        )


@pytest.mark.parametrize("policy", ["newest", "keep"])
def test_adding_at_once_is_adding_in_turn(hashing: HashingEncoder, policy: str) -> None:
    """Whatever the items are, one call makes the memory that as many calls make."""
    draw = random.Random(policy)
    names = ("Acme", "Bolt", "Chad")
    items = [
        {
            "prompt": f"{draw.choice(['Who runs', 'The head of', 'Boss of'])} {draw.choice(names)}",
            "target": draw.choice("abc"),
            "priority": draw.randrange(4),
            "aliases": draw.sample(["chief", "led by", "Acme of old"], draw.randrange(3)),
            "namespace": draw.choice(["one", "two"]),
        }
        for _ in range(60)
    ]

    def judge(wording: str, others: list[str]) -> list[bool]:
        return [any(name in wording and name in other for name in names) for other in others]

    def contents(memory: EditMemory) -> list[tuple[object, ...]]:
        return [(edit.prompt, edit.target, edit.priority, edit.aliases, edit.namespace) for edit in memory]

    with (
        EditMemory(None, hashing, same_fact=judge) as at_once,
        EditMemory(None, hashing, same_fact=judge) as in_turn,
    ):
        at_once.add_many(items, on_contradiction=policy)
        for item in items:
            in_turn.add(**item, on_contradiction=policy)
        assert contents(at_once) == contents(in_turn)
        assert at_once.revision == in_turn.revision == len(items)


def test_bad_policies_and_judges_are_refused(memory: EditMemory) -> None:
    """A policy that is none, and a judge that gives too few verdicts, store nothing."""
    first = memory.add(ASKS, "Dana Reyes")
    with pytest.raises(ValueError, match="on_contradiction must be one of newest, refuse, keep, got 'oldest'"):
        memory.add("p", "t", on_contradiction="oldest")
    with pytest.raises(ValueError, match="got 'oldest'"):
        memory.add(OTHER_WORDS, "Lee Fox", on_contradiction=lambda _: "oldest")
    memory.same_fact = lambda wording, others: []
    with pytest.raises(ValueError, match="same_fact must give one value for each of 1 wordings, got 0"):
        memory.add(OTHER_WORDS, "Lee Fox")
    assert memory.list() == [first]


def test_what_another_writer_adds_meanwhile_is_found(path: Path, hashing: HashingEncoder) -> None:
    """An edit that another process stores while this one compares is not overlooked."""
    with EditMemory(path, hashing) as other, EditMemory(path, hashing) as memory:
        memory.add("Acme", "Ann Lee")

        def slow(wording: str, others: list[str]) -> list[bool]:
            if len(other) == 1:
                other.add(ASKS, "Dana Reyes")
            return ["runs" in text for text in others]

        memory.same_fact = slow
        with pytest.raises(ContradictionError, match="Who runs Acme"):
            memory.add(OTHER_WORDS, "Lee Fox", on_contradiction="refuse")
        assert [edit.target for edit in memory] == ["Ann Lee", "Dana Reyes"]


def test_the_scope_classifier_can_judge(encoder: SentenceEncoder, classifier: ScopeClassifier) -> None:
    """With the shipped classifier as judge, other wordings are contradictions and other facts are not."""

    def same_fact(wording: str, others: list[str]) -> list[bool]:
        return list(
            classifier.probability([(wording, other) for other in others]) >= classifier.threshold_for([wording])
        )

    with EditMemory(None, encoder, same_fact=same_fact) as memory:
        first = memory.add("Who is the mother of Orla Venn?", "Ada Venn")
        memory.add("Who is the father of Orla Venn?", "Odo Venn", on_contradiction="refuse")
        memory.add("Who is the mother of Iva Lund?", "Ida Lund", on_contradiction="refuse")
        with pytest.raises(ContradictionError, match=first.id):
            memory.add("What is the name of Orla Venn's mother?", "Una Venn", on_contradiction="refuse")
