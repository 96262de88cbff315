from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memedit.edits import Edit, EditKind
from memedit.errors import InvalidEditError

texts = st.text("aé字 \n'\"\\", min_size=1).filter(str.strip)
instants = st.datetimes(timezones=st.just(UTC))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
edits = st.builds(
    Edit,
    id=texts,
    prompt=texts,
    target=texts,
    kind=st.sampled_from(EditKind),
    subject=st.none() | texts,
    aliases=st.lists(texts, max_size=3),
    namespace=texts,
    valid_from=st.none() | st.datetimes(max_value=datetime(2000, 1, 1), timezones=st.just(UTC)),
    valid_until=st.none() | st.datetimes(min_value=datetime(2001, 1, 1), timezones=st.just(UTC)),
    metadata=st.dictionaries(texts, values, max_size=3),
    created_at=instants,
    revision=st.integers(0, 2**40),
)


@given(edits)
def test_json_gives_back_an_equal_edit(edit: Edit) -> None:
    """Every edit survives its JSON form unchanged, and can be a dictionary's key."""
    read = Edit.from_dict(json.loads(json.dumps(edit.to_dict())))
    assert read == edit
    assert {edit: "found"}[read] == "found"


def test_metadata_is_a_copy() -> None:
    """What the caller does to a metadata object later does not change the edit."""
    metadata = {"tags": ["a"], "pair": (1, 2)}
    edit = Edit(id="1", prompt="p", target="t", metadata=metadata)
    metadata["tags"].append("b")
    edit.to_dict()["metadata"]["tags"].append("c")
    assert edit.metadata == {"tags": ["a"], "pair": [1, 2]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "an edit has no field 'colour'"),
        ({"valid_from": "soon"}, "valid_from must be an ISO 8601 string, got 'soon'"),
        ({"valid_until": 3}, "valid_until must be an ISO 8601 string, got 3"),
        ({"created_at": None}, "created_at must be a timezone-aware datetime, got None"),
        ({"created_at": "2020-01-01"}, "created_at must be a timezone-aware datetime"),
        ({"metadata": {"x": {1, 2}}}, "must be JSON-compatible, got set"),
        ({"metadata": {1: 2}}, "metadata keys must be strings, got 1"),
        ({"aliases": 3}, "aliases must be several strings, got 3"),
        ({"prompt": "a\0b"}, "prompt must not contain null characters"),
        ({"prompt": "a\ud800"}, "prompt must be valid Unicode"),
    ],
)
def test_bad_values_are_refused(change: dict[str, object], message: str) -> None:
    """A field that is unknown or invalid gets one clear sentence."""
    with pytest.raises(InvalidEditError, match=message):
        Edit.from_dict({"id": "1", "prompt": "p", "target": "t"} | change)


def test_required_fields_are_named() -> None:
    """A JSON object without a target is told that it needs one."""
    with pytest.raises(InvalidEditError, match="an edit needs the field 'target'"):
        Edit.from_dict({"id": "1", "prompt": "p"})


def test_metadata_that_contains_itself_is_refused() -> None:
    """Endless nesting is an InvalidEditError, not a crash."""
    metadata: dict[str, object] = {}
    metadata["self"] = metadata
    with pytest.raises(InvalidEditError, match="nested 20 levels deep"):
        Edit(id="1", prompt="p", target="t", metadata=metadata)
