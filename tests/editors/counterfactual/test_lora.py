from __future__ import annotations

import copy
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from memedit.checkpoints import shipped
from memedit.editors.counterfactual.lora import LoraOverlay
from memedit.errors import CheckpointError
from tests.generation.tiny import llama
from tests.hooks import hooks_of_memedit

ADAPTER = shipped("counterfactual-mini")


@pytest.fixture
def ids(mini_tokenizer: PreTrainedTokenizerBase) -> torch.Tensor:
    """A prompt."""
    return mini_tokenizer("What is the capital of France?", return_tensors="pt")["input_ids"]


def test_an_overlay_computes_what_peft_computes(mini: PreTrainedModel, ids: torch.Tensor) -> None:
    """Active, the overlay gives the logits of PEFT's own model with the same files."""
    expected = PeftModel.from_pretrained(copy.deepcopy(mini), ADAPTER).eval()(ids).logits
    overlay = LoraOverlay(mini, ADAPTER)
    with overlay.active():
        given = mini(ids).logits
    overlay.detach()
    torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-4)
    assert not torch.equal(given, mini(ids).logits)


@pytest.mark.parametrize(
    "settings",
    [{"target_modules": ["q_proj", "embed_tokens"]}, {"target_modules": ["q_proj"], "trainable_token_indices": [1, 2]}],
    ids=["embeddings", "tokens"],
)
def test_an_adapter_that_is_more_than_linear_layers_is_refused(settings: dict[str, Any], tmp_path: Path) -> None:
    """What cannot be laid over is refused as a whole, and leaves no hook behind."""
    base = llama()
    get_peft_model(copy.deepcopy(base), LoraConfig(r=2, **settings)).save_pretrained(
        tmp_path, save_embedding_layers=False
    )
    with pytest.raises(CheckpointError, match="linear layers"):
        LoraOverlay(base, tmp_path)
    assert hooks_of_memedit(base) == 0


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_damaged_adapter_is_refused(name: str, mini: PreTrainedModel, tmp_path: Path) -> None:
    """A file that was cut off is told as such, whichever it is."""
    shutil.copytree(ADAPTER, tmp_path, dirs_exist_ok=True)
    (tmp_path / name).write_bytes((ADAPTER / name).read_bytes()[:100])
    with pytest.raises(CheckpointError, match="damaged"):
        LoraOverlay(mini, tmp_path)


def test_an_inactive_overlay_changes_no_bit(mini: PreTrainedModel, ids: torch.Tensor) -> None:
    """Hooked but not active, the base's logits are bit-identical, also after an exception inside."""
    before = mini(ids).logits
    overlay = LoraOverlay(mini, ADAPTER)
    assert torch.equal(mini(ids).logits, before)
    with pytest.raises(RuntimeError, match="stop"), overlay.active():
        raise RuntimeError("stop")
    assert torch.equal(mini(ids).logits, before)
    overlay.detach()
    assert hooks_of_memedit(mini) == 0


def test_other_threads_see_the_plain_base(mini: PreTrainedModel, ids: torch.Tensor) -> None:
    """While one thread has the adapter active, another one runs the plain base."""
    before = mini(ids).logits
    overlay = LoraOverlay(mini, ADAPTER)
    seen: list[torch.Tensor] = []
    with overlay.active():
        other = threading.Thread(target=lambda: seen.append(mini(ids).logits))
        other.start()
        other.join()
    overlay.detach()
    assert torch.equal(seen[0], before)


def test_an_adapter_for_another_model_is_refused(mini: PreTrainedModel, tmp_path: Path) -> None:
    """An adapter whose layers do not fit is refused and leaves no hook behind."""
    shutil.copytree(ADAPTER, tmp_path / "other")
    weights = tmp_path / "other" / "adapter_model.safetensors"
    save_file({key: tensor[:, :8].contiguous() for key, tensor in load_file(weights).items()}, weights)
    with pytest.raises(CheckpointError, match="the base has shape"):
        LoraOverlay(mini, tmp_path / "other")
    assert hooks_of_memedit(mini) == 0


@pytest.mark.parametrize("missing", ["adapter_config.json", "adapter_model.safetensors"])
def test_an_incomplete_adapter_is_refused(mini: PreTrainedModel, tmp_path: Path, missing: str) -> None:
    """A folder without one of the two files is named in the error."""
    shutil.copytree(ADAPTER, tmp_path / "partial")
    (tmp_path / "partial" / missing).unlink()
    with pytest.raises(CheckpointError, match=missing):
        LoraOverlay(mini, tmp_path / "partial")


def test_a_kind_of_adapter_that_cannot_be_laid_over_is_refused(mini: PreTrainedModel, tmp_path: Path) -> None:
    """DoRA changes the base's own weights and is refused by name."""
    shutil.copytree(ADAPTER, tmp_path / "dora")
    config = tmp_path / "dora" / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "use_dora": True}))
    with pytest.raises(CheckpointError, match="use_dora"):
        LoraOverlay(mini, tmp_path / "dora")
