from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from memedit.memory import EditMemory, RamStore
from tests.memory.hashing import HashingEncoder


@pytest.fixture(params=["file", "ram"])
def memory(request: pytest.FixtureRequest, path: Path, hashing: HashingEncoder) -> Iterator[EditMemory]:
    """An empty memory, of each kind of store."""
    store = RamStore() if request.param == "ram" else None
    with EditMemory(None if store else path, hashing, store=store) as opened:
        yield opened


def test_edits_about_the_answer_are_linked(memory: EditMemory) -> None:
    """An edit's target is found as another's subject or by name in its prompt, in both directions."""
    head = memory.add("The head of Acme is", "Dana Reyes")
    home = memory.add("Where does DANA  REYES live?", "Oslo")
    wife = memory.add("The spouse of her is", "Lee Fox", subject="dana reyes.")
    about_other = memory.add("Dana Reyes was taught by", "Ann Lee", subject="Ann Lee's pupils")
    links = memory.linked(head.id)
    assert (links.onward, links.back) == ((home, wife), ())
    assert memory.linked(home.id).back == (head,)
    assert memory.linked(wife.id).back == (head,)
    assert memory.linked(about_other.id).back == ()


def test_links_are_followed_as_far_as_asked(memory: EditMemory) -> None:
    """With a depth of n, edits that are n links away are found, the nearest first."""
    chain = [memory.add(f"After town{n} comes", f"town{n + 1}") for n in range(4)]
    assert memory.linked(chain[0].id).onward == (chain[1],)
    assert memory.linked(chain[0].id, depth=2).onward == tuple(chain[1:3])
    assert memory.linked(chain[0].id, depth=9).onward == tuple(chain[1:])
    assert memory.linked(chain[3].id, depth=9).back == (chain[2], chain[1], chain[0])


def test_a_circle_of_facts_ends(memory: EditMemory) -> None:
    """Edits that lead back to where they began are each told once, the first one never."""
    first = memory.add("The twin of Castor is", "Pollux")
    second = memory.add("The twin of Pollux is", "Castor")
    itself = memory.add("The friend of Narcissus is", "Narcissus")
    for edit, other in ((first, second), (second, first)):
        links = memory.linked(edit.id, depth=50)
        assert (links.onward, links.back) == ((other,), (other,))
    assert (memory.linked(itself.id).onward, memory.linked(itself.id).back) == ((), ())


@pytest.mark.parametrize(
    ("target", "prompt", "is_linked"),
    [
        ("Oslo", "The mayor of Oslo's port is", True),
        ("Oslo", "Oslo", True),
        ("Oslo", "The mayor of Oslofjord is", False),
        ("Oslo", "Oslofjord, not Oslo, lies at", True),
        ("a", "The capital of a country is", False),
        ("法国", "法国的首都是", True),
        ("Straße", "Die STRASSE hat", True),
    ],
)
def test_names_are_whole_words(memory: EditMemory, target: str, prompt: str, is_linked: bool) -> None:
    """A name counts where it stands as a word, or in a script that puts no space between words."""
    edit, other = memory.add("The place is", target), memory.add(prompt, "whatever")
    assert (other in memory.linked(edit.id).onward) is is_linked
    assert (edit in memory.linked(other.id).back) is is_linked


def test_other_tenants_refusals_and_expired_edits_are_not_linked(memory: EditMemory) -> None:
    """Links stay in the namespace, end at a refusal, and hold at an instant."""
    now = datetime.now(UTC)
    head = memory.add("The head of Acme is", "Dana Reyes")
    memory.add("Dana Reyes lives in", "Oslo", namespace="other")
    old = memory.add("Dana Reyes worked at", "Bolt", valid_until=now)
    erased = memory.add("The nickname of Dana Reyes is", "I may not say", kind="erase")
    memory.add("I may not say", "why")
    assert memory.linked(head.id).onward == (erased,)
    assert memory.linked(erased.id).onward == ()
    assert memory.linked(head.id, at=now - timedelta(days=1)).onward == (old, erased)


def test_bad_arguments_are_refused(memory: EditMemory) -> None:
    """A depth of zero and an instant without a time zone get a clear error."""
    edit = memory.add("p", "t")
    with pytest.raises(ValueError, match="depth must be at least 1, got 0"):
        memory.linked(edit.id, depth=0)
    with pytest.raises(ValueError, match="timezone-aware"):
        memory.linked(edit.id, at=datetime(2020, 1, 1))
