from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memedit.editors.grace import Codebook, Entry, Rule
from memedit.edits import Edit


def entry(name: str, key: list[float], radius: float = 1.0, target: str = "x", **more: object) -> Entry:
    """An entry with a key in the plane."""
    return Entry(name, 0, target, 0, torch.zeros(1, 2), torch.tensor(key, dtype=torch.float32), radius, **more)  # type: ignore[arg-type]


def insert(codebook: Codebook, name: str, key: list[float], target: str, radius: float = 1.0) -> Rule:
    """What the published method does with one edit."""
    placed = codebook.place(torch.tensor(key, dtype=torch.float32), target, radius)
    if placed.shared is None:
        codebook.put(entry(name, key, placed.radius, target))
    return placed.rule


def test_a_far_edit_has_a_key_of_its_own() -> None:
    """Beyond both radii nothing of the nearest entry changes."""
    codebook = Codebook()
    assert insert(codebook, "a", [0, 0], "x") is Rule.NEW
    assert insert(codebook, "b", [2.5, 0], "y") is Rule.NEW
    assert [item.radius for item in codebook] == [1.0, 1.0]


def test_a_near_edit_of_the_same_label_expands() -> None:
    """The radius grows to reach the edit, and never shrinks."""
    codebook = Codebook([entry("a", [0, 0])])
    assert insert(codebook, "b", [1.5, 0], "x") is Rule.EXPANDED
    assert [item.radius for item in codebook] == [1.5]
    assert insert(codebook, "c", [0.5, 0], "x") is Rule.EXPANDED
    assert [item.radius for item in codebook] == [1.5]


def test_a_near_edit_of_another_label_splits() -> None:
    """Both keys share the way between them, and their balls do not touch."""
    codebook = Codebook([entry("a", [0, 0])])
    assert insert(codebook, "b", [1, 0], "y") is Rule.SPLIT
    radii = [item.radius for item in codebook]
    assert radii == pytest.approx([0.5, 0.5], abs=1e-4)
    assert sum(radii) < 1


def test_of_two_edits_at_one_place_the_newer_wins() -> None:
    """Another label for the very same activation replaces the entry."""
    codebook = Codebook([entry("a", [0, 0])])
    assert insert(codebook, "b", [0, 0], "y") is Rule.REPLACED
    assert [(item.edit_id, item.radius) for item in codebook] == [("b", 1.0)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-8, 8), st.integers(-8, 8), st.sampled_from("xyz")), min_size=1, max_size=12))
def test_the_newest_edit_is_always_found_again(edits: list[tuple[int, int, str]]) -> None:
    """Whatever came before, the key of the last edit leads to an entry with its label."""
    codebook = Codebook()
    for number, (x, y, target) in enumerate(edits):
        insert(codebook, str(number), [float(x), float(y)], target)
        ((found, share),) = codebook.nearest([torch.tensor([[float(x), float(y)]])])
        assert found.target == target
        assert share <= 1 + 1e-5
        assert len({item.edit_id for item in codebook}) == len(codebook) <= number + 1


def test_the_layer_is_deferred_to_outside_of_every_radius() -> None:
    """The nearest entry is given with its distance as a share of its radius; an empty codebook gives nothing."""
    codebook = Codebook([entry("a", [0, 0]), entry("b", [10, 0], radius=2)])
    found = codebook.nearest([torch.tensor([[5.0, 5.0], [9.0, 0.0]]), torch.tensor([[0.0, 3.0]])])
    assert [(item.edit_id, pytest.approx(share)) for item, share in found] == [("b", 0.5), ("a", 3.0)]
    assert Codebook().nearest([torch.zeros(1, 2)]) == []


def test_a_subjects_key_has_to_be_met_too() -> None:
    """With two keys the farther one decides, and the subject may stand anywhere."""
    codebook = Codebook([entry("a", [0, 0], subject_key=torch.tensor([5.0, 5.0]), subject_radius=1.0)])
    last = [0.5, 0.0]
    with_subject, without = torch.tensor([[5.0, 5.2], [9.0, 9.0], last]), torch.tensor([[9.0, 9.0], last])
    shares = [share for _, share in codebook.nearest([with_subject, without])]
    assert shares[0] == pytest.approx(0.5)
    assert shares[1] > 1


def test_the_state_that_is_fitted_last_replaces_any_other() -> None:
    """An edit has one entry; after a memory went back to an older state, it is the older one's."""
    old, new = (Edit(id="a", prompt="p", target=target, revision=n) for n, target in enumerate("xy"))
    codebook = Codebook([entry("a", [0, 0])])
    assert codebook.get(old) is not None
    codebook.put(Entry("a", 1, "y", 0, torch.ones(1, 2), torch.zeros(2), 1.0))
    assert codebook.get(old) is None
    assert codebook.get(new) is not None
    codebook.put(entry("a", [3, 3]))
    assert codebook.get(old) is not None
    assert codebook.get(new) is None
    assert len(codebook) == 1


def test_entries_of_removed_edits_are_pruned() -> None:
    """Only the edits named stay, and the lookup forgets the others."""
    codebook = Codebook([entry("a", [0, 0]), entry("b", [9, 0])])
    codebook.nearest([torch.zeros(1, 2)])
    assert codebook.prune({"b", "c"}) == 1
    assert [item.edit_id for item, _ in codebook.nearest([torch.zeros(1, 2)])] == ["b"]
