"""One base for many: threads that generate while others edit, and a base that is given back."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from memedit import EditMemory
from memedit.editors.counterfactual import CounterfactualConfig, CounterfactualEditor
from memedit.editors.counterfactual.lora import LoraOverlay
from tests.generation.conftest import EDIT, IN_SCOPE, OTHERS, MakeEdited, answers, encode, with_edit
from tests.generation.test_fused import write_adapter
from tests.generation.tiny import DECODERS, ENCODER_DECODERS, llama

GREEDY: dict[str, Any] = {"max_new_tokens": 6, "do_sample": False}
TARGETS = ("Lyon", "Marseille", "Nice")


def together(calls: Sequence[Callable[[], None]]) -> None:
    """Make calls at the same time, each in a thread."""
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def edit_until(done: threading.Event, memory: EditMemory) -> None:
    """Give the edit one target after the other, and take it away now and then."""
    draw = random.Random(0)
    while not done.wait(0.01):
        memory.add(EDIT[0], draw.choice(TARGETS))
        if draw.random() < 0.5:
            memory.clear()


@pytest.mark.parametrize("isolation", ["exact", "split", "fused"])
def test_threads_answer_as_one_thread_does_while_edits_come_and_go(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, isolation: Any
) -> None:
    """Eight threads generate while a ninth edits: each output is the one of a state the memory was in."""
    base = llama()
    overlay = LoraOverlay(base, write_adapter(tmp_path, base))
    editor = CounterfactualEditor(base, tokenizer, CounterfactualConfig(kind="adapter"), overlay)
    model = edited(base, editor=editor, isolation=isolation, stored=False)
    batches = [encode(tokenizer, *texts) for texts in ((IN_SCOPE,), (OTHERS[0], IN_SCOPE, OTHERS[1]), OTHERS)]
    known: dict[str | None, list[list[list[int]]]] = {None: [answers(model, b, GREEDY).tolist() for b in batches]}
    for target in TARGETS:
        model.edits.add(EDIT[0], target)
        known[target] = [model.generate(**b, **GREEDY)[:, b["input_ids"].shape[1] :].tolist() for b in batches]
    failures: list[str] = []
    done = threading.Event()

    def ask(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(6):
            number = draw.randrange(len(batches))
            inputs = batches[number]
            output, routes = model.generate(**inputs, **GREEDY, return_routes=True)
            fired = {route.edit.target for route in routes if route.edit is not None}
            if len(fired) > 1:
                failures.append(f"one request saw {fired}")
            expected = known[fired.pop() if fired else None][number]
            if output[:, inputs["input_ids"].shape[1] :].tolist() != expected:
                failures.append(f"another output for batch {number}")

    writer = threading.Thread(target=edit_until, args=(done, model.edits))
    writer.start()
    together([lambda seed=seed: ask(seed) for seed in range(8)])
    done.set()
    writer.join()
    assert failures == []


def test_the_prefix_cache_is_small_and_shared_safely(edited: MakeEdited, tokenizer: PreTrainedTokenizerBase) -> None:
    """More prefixes than the cache keeps, asked for by several threads, give what they give one by one."""
    base = llama()
    model = edited(base)
    prefixes = model.editor._prefixes  # type: ignore[attr-defined]
    prefixes._capacity = 8_000
    words = ("Lyon", "Nice", "Metz", "Brest", "Caen")
    for word in words:
        model.edits.add(EDIT[0], word, namespace=word)
    inputs = encode(tokenizer, IN_SCOPE)
    expected = [answers(base, with_edit(tokenizer, IN_SCOPE, edit=(EDIT[0], word)), GREEDY) for word in words]
    wrong: list[str] = []

    def ask() -> None:
        for word, answer in zip(words, expected, strict=True):
            output = model.generate(**inputs, **GREEDY, namespace=word)
            if not torch.equal(output[:, inputs["input_ids"].shape[1] :], answer):
                wrong.append(word)

    together([ask] * 4)
    assert wrong == []
    assert 1 <= len(prefixes._kept) < len(words)
    held = [states.nbytes for layers in prefixes._kept.values() for layer in layers for states in layer]
    assert sum(held) == prefixes._bytes <= prefixes._capacity


def test_a_base_that_is_cast_computes_its_prefixes_anew(edited: MakeEdited, tokenizer: PreTrainedTokenizerBase) -> None:
    """A prefix computed before the base changed its precision is not put before what it computes now."""
    base = llama()
    model = edited(base)
    inputs = encode(tokenizer, IN_SCOPE)
    for dtype in (torch.float32, torch.bfloat16, torch.float32):
        base.to(dtype)
        answers(model, inputs, GREEDY)
        newest = next(reversed(model.editor._prefixes._kept.values()))  # type: ignore[attr-defined]
        assert {states.dtype for layer in newest for states in layer} == {dtype}


def picture(base: PreTrainedModel) -> dict[str, Any]:
    """All of a model that wrapping might change."""
    hooks = (
        "_forward_hooks",
        "_forward_pre_hooks",
        "_backward_hooks",
        "_state_dict_hooks",
        "_load_state_dict_pre_hooks",
    )
    return {
        "modules": [(name, id(module), type(module)) for name, module in base.named_modules()],
        "hooks": [(name, kind, list(getattr(m, kind))) for name, m in base.named_modules() for kind in hooks],
        "parameters": [(n, id(p), p.requires_grad, p._version, p.dtype) for n, p in base.named_parameters()],
        "buffers": [(n, id(b), b._version, b.sum().item()) for n, b in base.named_buffers()],
        "training": [module.training for module in base.modules()],
        "config": base.config.to_dict(),
        "generation_config": base.generation_config.to_dict(),
        "attributes": [(name, sorted(vars(module))) for name, module in base.named_modules()],
    }


@pytest.mark.parametrize("training", [False, True], ids=["eval", "training"])
@pytest.mark.parametrize("family", [*DECODERS, *ENCODER_DECODERS])
def test_unwrapping_gives_the_base_back_as_it_was(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, family: str, training: bool
) -> None:
    """After edited requests of each level, module tree, hooks, buffers, flags and configs are the same objects."""
    base = {**DECODERS, **ENCODER_DECODERS}[family]()
    base.train(training)
    next(base.parameters()).requires_grad_(False)
    base.generate(**encode(tokenizer, IN_SCOPE), **GREEDY)  # what the base notes of its own calls is its own
    before = picture(base)
    editor = None
    if family != "gpt2":  # whose layers are no `nn.Linear`
        overlay = LoraOverlay(base, write_adapter(tmp_path, base))
        editor = CounterfactualEditor(base, tokenizer, CounterfactualConfig(kind="adapter"), overlay)
    model = edited(base, editor=editor)
    for isolation in ("exact", "split", "fused"):
        model.isolation = isolation
        model.generate(**encode(tokenizer, OTHERS[0], IN_SCOPE), **GREEDY)
    assert model.unwrap() is base
    assert picture(base) == before


def test_an_exception_on_the_way_leaves_nothing_behind(
    edited: MakeEdited, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """After an error inside a decoding pass, the base and the next request are as ever."""
    base = llama()
    inputs = encode(tokenizer, OTHERS[0], IN_SCOPE)
    plain = answers(base, inputs, GREEDY)
    overlay = LoraOverlay(base, write_adapter(tmp_path, base))
    editor = CounterfactualEditor(base, tokenizer, CounterfactualConfig(kind="adapter"), overlay)
    for isolation in ("exact", "fused"):
        model = edited(base, editor=editor, isolation=isolation)
        expected = answers(model, inputs, GREEDY)

        def fail(batch_id: int, ids: torch.Tensor) -> list[int]:
            raise RuntimeError("stop here")

        state = torch.get_rng_state()
        with pytest.raises(RuntimeError, match="stop here"):
            model.generate(**inputs, **GREEDY, prefix_allowed_tokens_fn=fail)
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.equal(answers(base, inputs, GREEDY), plain)
        assert torch.equal(answers(model, inputs, GREEDY), expected)
