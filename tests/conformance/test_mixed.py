"""Batches with rows of both kinds: what each isolation level promises to the rows that are out of scope."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memedit.errors import UnsupportedCallError
from memedit.model import Isolation
from tests.conformance.calls import CALLS, Call, Run
from tests.conformance.comparing import Outcome, assert_same, counted, outcome
from tests.conformance.conftest import WHOLE, Wrapped
from tests.conformance.families import DECODERS, FAMILIES, base_of
from tests.conformance.inputs import PROMPTS, Rows, in_scope

LEVELS = get_args(Isolation)
ANSWERED = [name for name, call in CALLS.items() if not call.raises]
BATCHES = [name for name in ANSWERED if CALLS[name].form not in ("one row", "embeddings") and not CALLS[name].internals]
MIXTURE = (False, True, False, True, False)


def _asked() -> list[tuple[str, str]]:
    """Each call with each family; for an ordinary run, each with one family, the families in turn."""
    pairs = []
    for number, name in enumerate(ANSWERED):
        able = [family for family in FAMILIES if family not in CALLS[name].without]
        pairs += [(family, name) for family in (able if WHOLE else [able[number % len(able)]])]
    return pairs


def _check(wrapped: Wrapped, level: str, family: str, call: Call, expected: Outcome, rows: Rows) -> None:
    """Run a call with the rows at a level, and hold the outcome against the level's promise.

    Args:
        wrapped: Gives the family's model.
        level: The isolation.
        family: The model's family.
        call: How it is asked.
        expected: What the base made of the call.
        rows: The prompts.
    """
    model = wrapped(family, True)
    model.isolation = level
    with counted(model.base) as passes:
        found = outcome(model, call, family, rows)
    scopes = [route.in_scope for route in model.last_routes]
    if not any(scopes):
        assert_same(found, expected)
        return
    if isinstance(found.error, UnsupportedCallError) and call.internals:
        return
    assert found.error is None, repr(found.error)
    args, inputs = call.arguments(Run(family), rows)
    prompts = inputs.get("input_ids", inputs.get("inputs", args[0] if args else None))
    if family in DECODERS:
        _check_prompts(found, prompts, len(scopes))
        _check_callbacks(found, prompts)
    assert found.sequences.dtype == expected.sequences.dtype
    assert len(found.sequences) == len(expected.sequences)
    assert type(found.value) is type(expected.value) or call.internals
    others = [row for row, scope in enumerate(scopes) if not scope]
    if not others:
        return
    pad = _pad_of(inputs, family)
    if level == "exact" or "past_key_values" in inputs:
        # The base's own call: tokens and random numbers.
        assert torch.equal(found.random_state, expected.random_state), "other random numbers were drawn"
        _check_rows(found, expected, others, others, len(scopes), pad)
    elif len(passes) > 1:
        # As if the others had come in a batch of their own: tokens and random numbers.
        apart = outcome(base_of(family), call, family, rows, only=others)
        assert torch.equal(found.random_state, apart.random_state), "other random numbers were drawn"
        _check_rows(found, apart, others, list(range(len(others))), len(scopes), pad)
    else:
        # One pass: up to rounding, which changes no token of these models, each row draws what it draws at the base.
        assert level == "fused"
        _check_rows(found, expected, others, others, len(scopes), pad)


def _check_rows(
    found: Outcome, expected: Outcome, rows: Sequence[int], places: Sequence[int], count: int, pad: int
) -> None:
    """Rows hold the base's tokens, and nothing but padding after them; `places` says where those are expected."""
    returns = len(found.sequences) // count
    for row, place in zip(rows, places, strict=True):
        for number in range(returns):
            given_ids, own_ids = found.sequences[row * returns + number], expected.sequences[place * returns + number]
            width = max(len(given_ids), len(own_ids))
            assert _padded(given_ids, width, pad) == _padded(own_ids, width, pad), f"row {row}"


def _padded(ids: torch.Tensor, width: int, pad: int) -> list[int]:
    return [*ids.tolist(), *[pad] * (width - len(ids))]


def _pad_of(options: dict[str, Any], family: str) -> int:
    config = options.get("generation_config")
    for pad in (options.get("pad_token_id"), getattr(config, "pad_token_id", None)):
        if pad is not None:
            return int(pad)
    return int(base_of(family).generation_config.pad_token_id)


def _check_prompts(found: Outcome, prompts: torch.Tensor, rows: int) -> None:
    """Every returned row begins with the caller's own prompt."""
    begin = prompts.repeat_interleave(len(found.sequences) // rows, dim=0)
    assert torch.equal(found.sequences[:, : prompts.shape[1]], begin)


def _check_callbacks(found: Outcome, prompts: torch.Tensor) -> None:
    """Processors and criteria saw the caller's own prompts and no edit; a streamer heard what was returned."""
    own, width = prompts.tolist(), prompts.shape[1]
    for ids in found.seen:
        if isinstance(ids, list) and ids and isinstance(ids[0], list) and len(ids[0]) > width:
            assert all(row[:width] in own for row in ids)
    if "end" in found.seen:
        tokens = torch.cat([torch.tensor(ids).reshape(-1) for ids in found.seen if ids != "end"])
        assert tokens.tolist() == found.sequences[0].tolist()


def _mixed(rows: Rows, scopes: Sequence[bool]) -> Rows:
    return [in_scope(row) if scope else list(row) for row, scope in zip(rows, scopes, strict=True)]


@pytest.mark.parametrize(("family", "name"), _asked(), ids=[f"{family}: {name}" for family, name in _asked()])
def test_rows_out_of_scope_keep_what_the_level_promises(family: str, name: str, wrapped: Wrapped) -> None:
    """Every call, in a batch with edits in two of five rows, sampled ones too.

    At `exact`, tokens and random numbers of the base's own call; at `split`, those of the base on a batch of the rows
    out of scope; in a `fused` pass, the tokens of the base's own call.
    """
    call = CALLS[name]
    rows = _mixed(PROMPTS, (True, *MIXTURE[1:]) if call.form == "one row" else MIXTURE)
    expected = outcome(base_of(family), call, family, rows)
    for level in LEVELS:
        _check(wrapped, level, family, call, expected, rows)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=60 if WHOLE else 6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(BATCHES),
    level=st.sampled_from(LEVELS),
    rows=st.lists(
        st.tuples(st.lists(st.integers(5, 50), min_size=1, max_size=7), st.booleans()), min_size=1, max_size=6
    ),
)
def test_any_mixture_keeps_the_promise(
    wrapped: Wrapped, family: str, name: str, level: str, rows: list[tuple[list[int], bool]]
) -> None:
    """Whatever rows are mixed and however they are asked, the level's promise holds."""
    call = CALLS[name]
    if family not in call.without:
        asked = _mixed([ids for ids, _ in rows], [scope for _, scope in rows])
        _check(wrapped, level, family, call, outcome(base_of(family), call, family, asked), asked)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_edit_changes_the_rows_in_scope(family: str, wrapped: Wrapped) -> None:
    """The promises are no empty ones: at every level the rows in scope are answered otherwise than by the base."""
    rows = _mixed(PROMPTS, MIXTURE)
    call = CALLS["greedy, left"]
    expected = outcome(base_of(family), call, family, rows).sequences.tolist()
    model = wrapped(family, True)
    for level in LEVELS:
        model.isolation = level
        found = outcome(model, call, family, rows).sequences.tolist()
        assert any(found[row] != expected[row] for row, scope in enumerate(MIXTURE) if scope)
