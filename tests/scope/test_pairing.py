"""Pairs of texts as token ids."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from memedit.scope import SentenceEncoder
from memedit.scope.pairing import WHOLE, PairTokenizer, length_batches

TEXTS = st.text(max_size=120)


@pytest.fixture(scope="module")
def tokenizer(encoder: SentenceEncoder) -> PreTrainedTokenizerBase:
    """MiniLM's tokenizer."""
    return AutoTokenizer.from_pretrained(str(encoder.files.path))


def test_a_pair_is_what_the_tokenizer_makes_of_it(tokenizer: PreTrainedTokenizerBase) -> None:
    """Short pairs get the ids and segments of the tokenizer's own pair encoding."""
    pair = ("The capital of Peru is", "What's Peru's capital?")
    pairs = PairTokenizer(tokenizer, 64)
    batch = pairs.collate(pairs([pair]))
    expected = tokenizer(*pair, return_tensors="pt")
    assert batch.ids.tolist() == expected["input_ids"].tolist()
    assert batch.segments.tolist() == expected["token_type_ids"].tolist()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(TEXTS, TEXTS)
def test_no_pair_is_longer_than_allowed(tokenizer: PreTrainedTokenizerBase, wording: str, query: str) -> None:
    """Whatever the texts, a pair fits and both sides keep their separators."""
    [pair] = PairTokenizer(tokenizer, 20)([(wording, query)])
    assert len(pair.ids) <= 20
    assert pair.ids.count(tokenizer.sep_token_id) >= 2
    assert pair.ids[pair.first - 1] == tokenizer.sep_token_id


def test_a_long_query_keeps_its_end(tokenizer: PreTrainedTokenizerBase) -> None:
    """The question at the end of a long conversation is what the classifier reads."""
    question = "who is the mother of orla venn?"
    [pair] = PairTokenizer(tokenizer, 40)([("Orla Venn's mother is", "So much talk. " * 90 + question)])
    assert tokenizer.decode(pair.ids[pair.first : -1]).endswith(question)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(["river", "bell", "oak", "9", "lamp", "Tolvane"]), max_size=600))
def test_parts_leave_nothing_out(tokenizer: PreTrainedTokenizerBase, words: list[str]) -> None:
    """Every stretch of twenty words is whole in a part of a long wording, and a short one is its own part."""
    wording = " ".join(words)
    parts = PairTokenizer(tokenizer, 128).in_parts([wording])[wording]
    if len(tokenizer.tokenize(wording)) <= WHOLE:
        assert parts == [wording]
    for start in range(max(1, len(words) - 19)):
        assert any(" ".join(words[start : start + 20]) in part for part in parts)


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 9), st.integers(1, 200))
def test_batches_hold_every_position_once(lengths: list[int], size: int, tokens: int) -> None:
    """Sorting by length loses nothing and doubles nothing, and no batch is larger than allowed."""
    batches = list(length_batches(lengths, size, tokens))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(0 < len(batch) <= size for batch in batches)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= tokens
