from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memedit.memory.wordings import prompt_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Who runs Acme?", "who  RUNS\nacme"),
        ("Die Straße ist.", "die strasse ist"),
        ("Caf\u00e9", "Cafe\u0301"),
        ("法国的首都是\uff1f", "法国的首都是"),
        ("The capital is:", "The capital is"),
    ],
)
def test_the_same_words_have_one_key(one: str, other: str) -> None:
    """Case, white space, Unicode composition and final marks do not tell prompts apart."""
    assert prompt_key(one) == prompt_key(other)


@pytest.mark.parametrize(("one", "other"), [("Who made C#", "Who made C"), ("A+", "A"), ("x²", "x2"), ("?", "!")])
def test_different_prompts_keep_different_keys(one: str, other: str) -> None:
    """Marks that carry meaning are kept, and a prompt of marks only is its own key."""
    assert prompt_key(one) != prompt_key(other)


@given(st.text("aA ß\u0130\u00e9e\u0301\u0345.?\uff1f#\n\u3000…", min_size=1))
def test_a_key_is_its_own_key(prompt: str) -> None:
    """Taking the key of a key changes nothing."""
    assert prompt_key(prompt_key(prompt)) == prompt_key(prompt)
