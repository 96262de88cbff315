"""Fixtures that all rooms share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from memedit.checkpoints import shipped
from memedit.editors.fingerprint import fingerprint
from memedit.scope import ScopeClassifier, SentenceEncoder


@pytest.fixture(scope="session")
def encoder() -> SentenceEncoder:
    """The real sentence encoder, loaded once."""
    return SentenceEncoder.from_pretrained()


@pytest.fixture(scope="session")
def mini_tokenizer() -> PreTrainedTokenizerBase:
    """The tokenizer of the shipped base model."""
    return AutoTokenizer.from_pretrained(shipped("mini"))


@pytest.fixture(scope="session")
def loaded_mini() -> PreTrainedModel:
    """The shipped base model in float32; tests take `mini`, which checks that it stays as it is."""
    return AutoModelForCausalLM.from_pretrained(shipped("mini"), dtype=torch.float32).eval()


@pytest.fixture
def mini(loaded_mini: PreTrainedModel) -> Iterator[PreTrainedModel]:
    """The shipped base model; whatever a test does to it must be undone by the end of the test."""
    before = fingerprint(loaded_mini), [name for name, _ in loaded_mini.named_modules()]
    yield loaded_mini
    assert (fingerprint(loaded_mini), [name for name, _ in loaded_mini.named_modules()]) == before
    assert all(parameter.requires_grad for parameter in loaded_mini.parameters())


@pytest.fixture(scope="session")
def classifier() -> ScopeClassifier:
    """The shipped scope classifier."""
    return ScopeClassifier.from_pretrained(None)
