from __future__ import annotations

import json
from dataclasses import fields
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
    tags=st.lists(texts, max_size=3),
    priority=st.integers(-1_000_000, 1_000_000),
    editor=st.none() | st.from_regex("[a-z][a-z0-9_-]{0,63}", fullmatch=True),
)


@given(edits)
def test_json_gives_back_an_equal_edit(edit: Edit) -> None:
    """Every edit survives its JSON form unchanged, and can be a dictionary's key."""
    read = Edit.from_dict(json.loads(json.dumps(edit.to_dict())))
    assert read == edit
    assert {edit: "found"}[read] == "found"


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=5)
    | st.sampled_from(["erase", "2020-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "x" * 10**6, "\x00", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.fixed_dictionaries({"id": texts, "prompt": texts, "target": texts}), st.data())
def test_whatever_a_file_holds_is_an_edit_or_refused(values: dict[str, object], data: st.DataObject) -> None:
    """Any JSON value in any field gives an edit that can be written again, or InvalidEditError."""
    name = data.draw(st.sampled_from([item.name for item in fields(Edit)]))
    values[name] = data.draw(anything)
    try:
        edit = Edit.from_dict(values)
    except InvalidEditError:
        return
    assert Edit.from_dict(json.loads(json.dumps(edit.to_dict(), ensure_ascii=False).encode())) == edit


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
        ({"valid_from": "x" * 10**6}, "valid_from must be an ISO 8601 string, got '.{59}…$"),
        ({"metadata": {"x" * 10**6: {1}}}, r"metadata\['.{59}…\] must be JSON-compatible"),
        ({"valid_until": 3}, "valid_until must be an ISO 8601 string, got 3"),
        ({"created_at": None}, "created_at must be a timezone-aware datetime, got None"),
        ({"created_at": "2020-01-01"}, "created_at must be a timezone-aware datetime"),
        ({"metadata": {"x": {1, 2}}}, "must be JSON-compatible, got set"),
        ({"metadata": {1: 2}}, "metadata keys must be strings, got 1"),
        ({"metadata": {"x": "a\ud800"}}, "must be valid Unicode"),
        ({"metadata": {"a\ud800": 1}}, "metadata keys must be valid Unicode"),
        ({"metadata": {"x": "y" * 70_000}}, r"metadata may take 65536 bytes as JSON, got 70009"),
        ({"metadata": {"x": 10**5000}}, r"metadata\['x'\] may hold integers of 1024 bits, got 16610"),
        ({"metadata": {"x": float("inf")}}, "finite numbers only, got inf"),
        ({"aliases": 3}, "aliases must be several strings, got int"),
        ({"aliases": ["a"] * 257}, "an edit may have 256 aliases, got 257"),
        ({"tags": "one"}, "tags must be several strings, got str"),
        ({"tags": [""]}, "tag must not be empty"),
        ({"tags": ["a" * 65]}, "tag may have 64 characters, got 65"),
        ({"tags": [str(n) for n in range(33)]}, "an edit may have 32 tags, got 33"),
        ({"priority": "high"}, "priority must be an integer, got str"),
        ({"priority": True}, "priority must be an integer, got bool"),
        ({"priority": 10**7}, "priority must be between -1000000 and 1000000"),
        ({"editor": 3}, "editor must be a string, got int"),
        ({"editor": ""}, "editor must not be empty"),
        ({"editor": "a" * 65}, "editor may have 64 characters, got 65"),
        ({"editor": "Grace"}, "editor must be a name of lower-case letters.*got 'Grace'"),
        ({"editor": "my/folder"}, "editor must be a name of lower-case letters"),
        ({"editor": "grace\n"}, "editor must be a name of lower-case letters"),
        ({"id": 3}, "id must be a string, got int"),
        ({"id": "a\ud800"}, "id must be valid Unicode"),
        ({"revision": "1"}, "revision must be an integer, got str"),
        ({"revision": -1}, "revision must be between 0 and"),
        ({"prompt": " " * 10**6}, "prompt may have 8192 characters, got 1000000"),
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


def test_a_tag_counts_once() -> None:
    """A tag given twice is kept once, in the order of its first mention."""
    assert Edit(id="1", prompt="p", target="t", tags=["b", "a", "b"]).tags == ("b", "a")


def test_an_edit_without_the_newer_fields_is_read() -> None:
    """An edit written before there were tags, priorities and named editors has none, 0 and none."""
    edit = Edit.from_dict({"id": "1", "prompt": "p", "target": "t"})
    assert (edit.tags, edit.priority, edit.editor) == ((), 0, None)


def test_an_erase_edit_tells_its_refusal_only() -> None:
    """No field and no text made of an erase edit holds more than the caller put in."""
    edit = Edit(id="1", prompt="Who runs Acme?", target="I may not say.", kind="erase")
    assert edit.statement == "Who runs Acme? I may not say."
    assert {value for value in edit.to_dict().values() if isinstance(value, str)} == {
        "1", "Who runs Acme?", "I may not say.", "erase", "default", edit.created_at.isoformat(),
    }  # fmt: skip
