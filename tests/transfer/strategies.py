"""Edits and damaged files for property-based tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st

TRICKY = [
    'say "no"', "two\nlines", "two\r\nlines", "old\rline", "a|b", "a\\|b", "ends in \\", "\\\\", " spaces ",
    "a,b", "=1+1", "\ufeffmark", "next\u2028line", "\x1c", "日本の首都は？", "🙂", "e\u0301", "{}", "null", "'", "#",
    "[", '""', "NaN",
]  # fmt: skip
plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
texts = (st.sampled_from(TRICKY) | plain).filter(str.strip)
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=3, seconds=7))])
numbers = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
contents = st.fixed_dictionaries(
    {"prompt": texts, "target": texts},
    optional={
        "kind": st.sampled_from(["modify", "insert", "erase"]),
        "subject": texts,
        "aliases": st.lists(texts, max_size=3),
        "tags": st.lists(texts, max_size=3),
        "priority": st.integers(-5, 5),
        "editor": st.sampled_from(["base", "grace", "my-own_2"]),
        "namespace": st.sampled_from(["default", "news", "a|b"]),
        "valid_from": st.datetimes(max_value=datetime(2030, 1, 1), timezones=zones),
        "valid_until": st.datetimes(min_value=datetime(2031, 1, 1), timezones=zones),
        "metadata": st.dictionaries(texts, json_values, max_size=3),
    },
)
"""The fields that a user may set, as the parameters of `EditMemory.add`."""

wrong_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\ud800", "\0", "", " ", "x" * 9000, "2026-01-31T12:00:00", "9999-12-31T23:59:59-12:00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
"""Whatever JSON can hold, and what only Python's JSON can: NaN, infinity, lone surrogates."""
