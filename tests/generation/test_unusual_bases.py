"""Bases that are not simply there: compiled, offloaded, quantised, in half precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import cpu_offload, dispatch_model
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from memedit.editors.counterfactual import CounterfactualConfig, CounterfactualEditor
from memedit.editors.counterfactual.lora import LoraOverlay
from memedit.editors.eager import eagerly
from memedit.editors.fingerprint import fingerprint
from tests.generation.conftest import IN_SCOPE, OTHERS, MakeEdited, answers, assert_same_rows, encode
from tests.generation.test_fused import write_adapter
from tests.generation.tiny import gpt2, llama, t5

GREEDY: dict[str, Any] = {"max_new_tokens": 3, "do_sample": False}


def with_adapter(edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, base: Any, folder: Path) -> Any:
    """The base with a random adapter that reads edits."""
    overlay = LoraOverlay(base, write_adapter(folder, llama()))
    config = CounterfactualConfig(kind="adapter", base_fingerprint=fingerprint(base))
    return edited(base, editor=CounterfactualEditor(base, tokenizer, config, overlay))


@pytest.fixture
def compiler() -> Iterator[list[int]]:
    """A backend that notes for each graph how many operations it has, and forgets all of them at the end."""
    torch.compiler.reset()
    yield []
    torch.compiler.reset()


def in_place(base: PreTrainedModel, backend: Callable[..., Any]) -> Any:
    """As `model.compile()` does."""
    base.compile(backend=backend)
    return base


def its_forward(base: PreTrainedModel, backend: Callable[..., Any]) -> Any:
    """As transformers' guide to static caches does."""
    base.forward = torch.compile(base.forward, backend=backend, fullgraph=True)
    return base


def as_a_wrapper(base: PreTrainedModel, backend: Callable[..., Any]) -> Any:
    """As `torch.compile(model)` does, whose `generate` is not compiled."""
    return torch.compile(base, backend=backend)


@pytest.mark.parametrize("way", [in_place, its_forward, as_a_wrapper])
def test_a_compiled_base_keeps_its_code_and_edits_are_read(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, compiler: list[int], way: Any
) -> None:
    """Compiled before the adapter came, the base answers from the same code, and the adapter is not left out.

    What the base reads without an adapter, it reads with its compiled code.
    """

    def backend(graph: torch.fx.GraphModule, _inputs: Any) -> Any:
        compiler.append(len(graph.graph.nodes))
        return graph

    inputs = encode(tokenizer, OTHERS[0], IN_SCOPE)
    expected = answers(with_adapter(edited, tokenizer, llama(), tmp_path), inputs, GREEDY)
    base = way(llama(), backend)
    plain = answers(base, inputs, GREEDY)
    graphs = list(compiler)
    assert bool(graphs) == (way is not as_a_wrapper)
    model = with_adapter(edited, tokenizer, base, tmp_path)
    assert fingerprint(base) == fingerprint(llama())
    assert torch.equal(answers(model, inputs, GREEDY), expected)
    assert not torch.equal(expected[1], plain[1])
    assert torch.equal(answers(base, inputs, GREEDY), plain)
    assert compiler == graphs, "something was compiled again"
    assert torch.equal(answers(edited(base), inputs, GREEDY), answers(edited(llama()), inputs, GREEDY))


@torch.no_grad()
def test_code_compiled_with_an_adapter_in_place_is_the_plain_bases(tmp_path: Path, compiler: list[int]) -> None:
    """A compiler does not see the adapter; two blocks that overlap leave compiled code aside until both have ended."""
    ids = torch.tensor([[5, 6, 7, 8]])
    base = llama()
    plain = base(ids).logits
    overlay = LoraOverlay(base, write_adapter(tmp_path, base))
    with overlay.active():
        changed = base(ids).logits
    for layer in base.model.layers:
        layer.compile(backend="eager", fullgraph=True)
    assert torch.equal(base(ids).logits, plain)
    other = eagerly()
    with overlay.active():
        other.__enter__()
    with overlay.active():
        other.__exit__(None, None, None)
        assert torch.equal(base(ids).logits, changed)
    assert torch.equal(base(ids).logits, plain)


def to_ram(base: PreTrainedModel, folder: Path) -> Any:
    """Every weight comes from RAM when its layer is called."""
    return cpu_offload(base, execution_device=torch.device("cpu"))


def to_ram_and_disk(base: PreTrainedModel, folder: Path) -> Any:
    """What `device_map` does where a model is larger than its devices."""
    parts = {"model.embed_tokens": "cpu", "model.rotary_emb": "cpu", "model.norm": "cpu", "lm_head": "disk"}
    layers = {"model.layers.0": "cpu", "model.layers.1": "disk"}
    return dispatch_model(base, parts | layers, main_device="cpu", offload_dir=folder / "offloaded")


@pytest.mark.parametrize("way", [to_ram, to_ram_and_disk])
def test_an_offloaded_base_is_edited_as_any_other(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, way: Any
) -> None:
    """Weights that are on no device until their layer runs give the same answers, edited or not."""
    inputs = encode(tokenizer, OTHERS[0], IN_SCOPE)
    expected = answers(with_adapter(edited, tokenizer, llama(), tmp_path), inputs, GREEDY)
    model = with_adapter(edited, tokenizer, way(llama(), tmp_path), tmp_path)
    for isolation in ("exact", "split", "fused"):
        model.isolation = isolation
        assert torch.equal(answers(model, inputs, GREEDY), expected)


@pytest.mark.parametrize("make", [llama, gpt2, t5])
def test_an_offloaded_base_is_recognised(make: Any) -> None:
    """Its fingerprint is that of the same weights in RAM, shared ones included."""
    assert fingerprint(to_ram(make(), Path())) == fingerprint(make())


@pytest.mark.filterwarnings("ignore:.*quantiz.*")
def test_an_adapter_on_quantised_layers_adds_what_it_adds_elsewhere(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """On 8-bit layers the change is the adapter's own, and rows out of scope are the quantised base's."""
    plain, base = llama(), torch.ao.quantization.quantize_dynamic(llama(), {nn.Linear}, dtype=torch.qint8)
    states = torch.randn(2, 3, 32)
    overlays = [LoraOverlay(model, write_adapter(tmp_path, plain)) for model in (plain, base)]
    changes = []
    for model, overlay in zip((plain, base), overlays, strict=True):
        layer = model.model.layers[0].self_attn.q_proj
        before = layer(states)
        with overlay.active():
            changes.append(layer(states) - before)
        overlay.detach()
    torch.testing.assert_close(changes[1], changes[0], rtol=1e-4, atol=1e-4)
    inputs = encode(tokenizer, OTHERS[0], IN_SCOPE)
    expected = answers(base, inputs, GREEDY)
    given = answers(with_adapter(edited, tokenizer, base, tmp_path), inputs, GREEDY)
    assert_same_rows(given[:1], expected[:1])
    assert not torch.equal(given[1], expected[1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_a_base_in_half_precision_keeps_its_rows(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, dtype: torch.dtype
) -> None:
    """Beside an adapter kept in float32, rows out of scope and random numbers are the base's."""
    base = llama().to(dtype)
    inputs = encode(tokenizer, OTHERS[0], IN_SCOPE)
    for options in (GREEDY, {"max_new_tokens": 3, "do_sample": True}):
        expected = answers(base, inputs, options)
        state = torch.get_rng_state()
        given = answers(with_adapter(edited, tokenizer, base, tmp_path), inputs, options)
        assert torch.equal(torch.get_rng_state(), state)
        assert_same_rows(given[:1], expected[:1])
