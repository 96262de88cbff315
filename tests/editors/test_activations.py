from __future__ import annotations

import copy
import threading
from typing import Any

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from memedit.editors.activations import ActivationHooks, Replacement, Transformation, find_blocks
from memedit.errors import UnsupportedModelError
from tests.conformance.families import DECODERS, FAMILIES, base_of
from tests.hooks import hooks_of_memedit

TRIED = ("llama", "gpt2", "t5")
GREEDY: dict[str, Any] = {"max_new_tokens": 6, "min_new_tokens": 6, "do_sample": False}
MODES: dict[str, dict[str, Any]] = {
    "no cache": {"use_cache": False},
    "static cache": {"cache_implementation": "static"},
    "chunked prefill": {"prefill_chunk_size": 2},
}


def inputs_of(family: str, padded: bool = False) -> dict[str, torch.Tensor]:
    """Three rows of five tokens, the middle one perhaps padded."""
    ids = torch.randint(5, 59, (3, 5), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    if padded:
        mask[1, -2:] = 0
        if family in DECODERS:
            ids, mask = ids.flip(1), mask.flip(1)
    return {"input_ids": ids * mask, "attention_mask": mask}


def plan_of(family: str, count: int = 3) -> list[Replacement | None]:
    """The middle row's first three decoded tokens are changed."""
    start = 4 if family in DECODERS else 0
    vectors = 4 * torch.randn(3, 16, generator=torch.Generator().manual_seed(2))
    return [None, Replacement(torch.arange(start, start + 3), vectors), None][:count]


@pytest.fixture(params=TRIED)
def family(request: pytest.FixtureRequest) -> str:
    """A family's name."""
    return str(request.param)


@pytest.fixture
def base(family: str) -> PreTrainedModel:
    """Its model."""
    model: PreTrainedModel = base_of(family, held=True)
    return model


@pytest.fixture
def hooks(base: PreTrainedModel) -> Any:
    """Hooks on the first of two blocks, so that a change goes through attention too."""
    found = ActivationHooks(base, {0: find_blocks(base)[0]})
    yield found
    found.detach()
    assert hooks_of_memedit(base) == 0


def changed(base: Any, hooks: ActivationHooks, family: str, padded: bool = False, **options: Any) -> torch.Tensor:
    """What is decoded under the plan."""
    torch.manual_seed(5)
    with hooks.changing({0: plan_of(family)}):
        output: torch.Tensor = base.generate(**inputs_of(family, padded), **{**GREEDY, **options})
    return output


@pytest.mark.parametrize("mode", MODES)
def test_positions_mean_the_same_however_the_past_is_kept(
    base: PreTrainedModel, hooks: ActivationHooks, family: str, mode: str
) -> None:
    """Without a cache, with a static one and with a prompt read in pieces the same tokens are decoded."""
    assert torch.equal(changed(base, hooks, family, **MODES[mode]), changed(base, hooks, family))


@pytest.mark.parametrize("padded", [False, True])
def test_rows_without_a_change_keep_their_tokens(
    base: PreTrainedModel, hooks: ActivationHooks, family: str, padded: bool
) -> None:
    """Only the row in the plan is decoded in another way."""
    plain = base.generate(**inputs_of(family, padded), **GREEDY)
    given = changed(base, hooks, family, padded)
    assert torch.equal(given[[0, 2]], plain[[0, 2]])
    assert not torch.equal(given[1], plain[1])


@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 3},
        {"num_beams": 3, "num_return_sequences": 2},
        {"num_beams": 2, "use_cache": False},
        {"do_sample": True, "num_return_sequences": 3},
    ],
)
def test_beams_and_returns_change_with_their_row(
    base: PreTrainedModel, hooks: ActivationHooks, family: str, options: dict[str, Any]
) -> None:
    """Rows repeated in place carry their row's change, and the others are the plain base's."""
    torch.manual_seed(5)
    plain = base.generate(**inputs_of(family), **{**GREEDY, **options}).view(3, -1)
    given = changed(base, hooks, family, **options).view(3, -1)
    assert torch.equal(given[[0, 2]], plain[[0, 2]])
    assert not torch.equal(given[1], plain[1])


def test_logits_are_changed_from_the_first_position_on(
    base: PreTrainedModel, hooks: ActivationHooks, family: str
) -> None:
    """Nothing before the first replaced position changes a bit, and no plan means no change."""
    ids = inputs_of(family)["input_ids"]
    given = {"input_ids": ids} if family in DECODERS else {"input_ids": ids, "decoder_input_ids": ids}
    plain = base(**given).logits
    with hooks.changing({0: [Replacement(torch.tensor([2]), torch.ones(1, 16)), None, None]}):
        logits = base(**given).logits
    assert torch.equal(logits[0, :2], plain[0, :2])
    assert torch.equal(logits[1:], plain[1:])
    assert not torch.isclose(logits[0, 2], plain[0, 2]).all()
    assert torch.equal(base(**given).logits, plain)


def test_a_function_sees_and_gives_the_chosen_positions(
    base: PreTrainedModel, hooks: ActivationHooks, family: str
) -> None:
    """A transformation to the vectors of a replacement is that replacement, step by step too."""
    start, vectors = (4 if family in DECODERS else 0), plan_of(family)[1].vectors[:1]  # type: ignore[union-attr]
    seen = []

    def function(given: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        seen.append((given.shape, output.shape))
        return vectors.expand_as(output)

    with hooks.changing({0: [None, Transformation(function, start, start + 3), None]}):
        by_function = base.generate(**inputs_of(family), **GREEDY)
    replacement = Replacement(torch.arange(start, start + 3), vectors.expand(3, -1))
    with hooks.changing({0: [None, replacement, None]}):
        by_vectors = base.generate(**inputs_of(family), **GREEDY)
    assert torch.equal(by_function, by_vectors)
    assert seen == [((1, 16), (1, 16))] * 3


def test_bfloat16_takes_float32_vectors(family: str) -> None:
    """Vectors are cast to what the model computes in."""
    model = base_of(family).__class__(base_of(family).config).to(torch.bfloat16).eval()
    hooks = ActivationHooks(model, {0: find_blocks(model)[0]})
    plain = model.generate(**inputs_of(family), **GREEDY)
    given = changed(model, hooks, family)
    assert torch.equal(given[[0, 2]], plain[[0, 2]])


def test_reading_gives_the_blocks_output(base: PreTrainedModel, hooks: ActivationHooks, family: str) -> None:
    """What is read of the first block is the model's own hidden state."""
    given = inputs_of(family)
    given |= {} if family in DECODERS else {"decoder_input_ids": given["input_ids"]}
    with hooks.reading() as seen:
        output = base(**given, output_hidden_states=True)
    states = output.hidden_states if family in DECODERS else output.decoder_hidden_states
    assert torch.equal(seen[0], states[1])


def test_other_threads_and_later_calls_see_the_plain_base(
    base: PreTrainedModel, hooks: ActivationHooks, family: str
) -> None:
    """A plan acts in its own thread only, and not any more after an exception."""
    plain = base.generate(**inputs_of(family), **GREEDY)
    heard: list[torch.Tensor] = []

    def fail_halfway() -> None:
        with hooks.changing({0: plan_of(family)}):
            other = threading.Thread(target=lambda: heard.append(base.generate(**inputs_of(family), **GREEDY)))
            other.start()
            other.join()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail_halfway()
    assert torch.equal(heard[0], plain)
    assert torch.equal(base.generate(**inputs_of(family), **GREEDY), plain)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_blocks_of_every_family_are_found(family: str) -> None:
    """The decoder's two blocks, whatever the model calls them."""
    blocks = find_blocks(base_of(family))
    assert len(blocks) == 2
    assert "Encoder" not in type(blocks[0]).__name__


def test_a_hooked_base_can_be_copied(base: PreTrainedModel, hooks: ActivationHooks, family: str) -> None:
    """A deep copy of the base computes what the base computes, with nothing of the editor's."""
    del hooks  # they are in the base
    again = copy.deepcopy(base)
    given, plain = (each.generate(**inputs_of(family), **GREEDY) for each in (again, base))
    assert torch.equal(given, plain)


def test_a_model_without_blocks_is_refused() -> None:
    """The error names the model's class."""
    with pytest.raises(UnsupportedModelError, match="Linear"):
        find_blocks(nn.Linear(2, 2))
