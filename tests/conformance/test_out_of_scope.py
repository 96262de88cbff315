"""Calls without a row in scope: the base's own outputs, errors, callbacks and random numbers."""

from __future__ import annotations

import pytest

from memedit import EditedModel
from tests.conformance.calls import CALLS
from tests.conformance.comparing import assert_same, outcome
from tests.conformance.conftest import WHOLE, Wrapped
from tests.conformance.families import EDIT, FAMILIES, base_of
from tests.conformance.inputs import PROMPTS, in_scope

ASKED = [
    (family, name)
    for turn, family in enumerate(FAMILIES)
    for place, (name, call) in enumerate(CALLS.items())
    if family not in call.without and (WHOLE or (turn + place) % 4 == 0)
]
"""Each call with each family; for an ordinary run, with one family in four."""
RESTORED = ("greedy, left", "sampling, left", "beams, left", "sampled returns, right", "static cache", "model output")


def test_the_table_is_long_enough() -> None:
    """At least 150 distinct calls are asked of each of at least six families, beside those that are refused."""
    for family in FAMILIES:
        assert sum(family not in call.without and not call.raises for call in CALLS.values()) >= 150
    assert len(FAMILIES) >= 6


@pytest.mark.parametrize(("family", "name"), ASKED, ids=[f"{family}: {name}" for family, name in ASKED])
def test_a_call_without_a_row_in_scope_is_the_bases(family: str, name: str, wrapped: Wrapped) -> None:
    """With no edit in scope, and with none stored, nothing tells the model from its base."""
    call = CALLS[name]
    expected = outcome(base_of(family), call, family, PROMPTS)
    assert (expected.error is not None) == call.raises, expected.error
    for stored in (True, False):
        assert_same(outcome(wrapped(family, stored), call, family, PROMPTS), expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_removing_the_last_edit_gives_the_base_back(family: str, wrapped: Wrapped) -> None:
    """After an edit has answered and was removed, its own queries are the base's again, bit for bit."""
    model = wrapped(family, False)
    rows = [in_scope(PROMPTS[0]), *PROMPTS[1:]]
    for name in RESTORED:
        expected = outcome(base_of(family), CALLS[name], family, rows)
        edit = model.edits.add(*EDIT)
        _assert_answers(model, name, family, rows)
        model.edits.remove(edit.id)
        assert_same(outcome(model, CALLS[name], family, rows), expected)


def _assert_answers(model: EditedModel, name: str, family: str, rows: list[list[int]]) -> None:
    assert outcome(model, CALLS[name], family, rows).error is None
    assert [route.in_scope for route in model.last_routes] == [True, *[False] * (len(rows) - 1)]
