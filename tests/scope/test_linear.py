"""Linear layers of the encoder: the same function of one row and of many, on the same parameters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from memedit.scope.classifier import ScopeClassifier
from memedit.scope.encoder import SentenceEncoder
from memedit.scope.linear import MANY_ROWS, ManyRowsLinear, dense, ordered, use_for_many_rows

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch has no oneDNN")


@pytest.fixture(autouse=True)
def _with_avx512(monkeypatch: pytest.MonkeyPatch) -> None:
    # What oneDNN computes is right on every processor; only where it is faster does the package ask for it.
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")


_WIDTHS = st.integers(1, 70)


@given(
    shape=st.lists(st.integers(0, 12), min_size=0, max_size=3), width=_WIDTHS, out=_WIDTHS, bias=st.booleans(),
    seed=st.integers(0, 2**16),
)  # fmt: skip
def test_outputs_are_those_of_a_plain_layer(shape: list[int], width: int, out: int, bias: bool, seed: int) -> None:
    """Inputs of any shape give what torch's own layer gives, up to rounding."""
    torch.manual_seed(seed)
    layer, states = nn.Linear(width, out, bias=bias), torch.randn(*shape, width)
    with torch.no_grad():
        torch.testing.assert_close(ManyRowsLinear(layer)(states), layer(states), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("rows", "taken"), [(MANY_ROWS - 1, False), (MANY_ROWS, True)])
def test_only_many_rows_are_put_in_order(rows: int, taken: bool) -> None:
    """A few rows stay as they are, many are handed to oneDNN, and both come back unchanged."""
    states = torch.randn(rows, 8)
    with torch.inference_mode():
        assert ordered(states).is_mkldnn == taken
        assert torch.equal(dense(ordered(states)), states)


def test_a_view_is_put_in_order_as_it_reads() -> None:
    """The rows of a transposed matrix are its columns, also for oneDNN."""
    states = torch.randn(8, MANY_ROWS).T
    with torch.inference_mode():
        assert torch.equal(dense(ordered(states)), states)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_are_left_to_torch(dtype: torch.dtype) -> None:
    """Only float32 goes to oneDNN."""
    with torch.inference_mode():
        assert not ordered(torch.ones(MANY_ROWS, 4, dtype=dtype)).is_mkldnn


def test_a_processor_without_avx512_is_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where oneDNN is not faster nothing is handed to it."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    with torch.inference_mode():
        assert not ordered(torch.ones(MANY_ROWS, 4)).is_mkldnn


def test_gradients_reach_the_layer() -> None:
    """Who trains with the layer gets the gradients of the plain one."""
    layer, states = nn.Linear(4, 3), torch.randn(MANY_ROWS, 4)
    layer(states).sum().backward()
    wanted, layer.weight.grad = layer.weight.grad, None
    ManyRowsLinear(layer)(states).sum().backward()
    torch.testing.assert_close(layer.weight.grad, wanted)


def test_parameters_are_shared() -> None:
    """A model whose layers are exchanged has the very same parameters, under the same names."""
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 2, bias=False)))
    before = dict(model.named_parameters())
    use_for_many_rows(model)
    after = dict(model.named_parameters())
    assert before.keys() == after.keys()
    assert all(before[name] is after[name] for name in before)
    assert [type(module) for module in model.modules()].count(ManyRowsLinear) == 2


def test_texts_at_once_and_alone_are_read_alike(encoder: SentenceEncoder, classifier: ScopeClassifier) -> None:
    """Vectors and logits of a text are those that it has beside others, up to rounding."""
    texts = [f"Who is the mayor of town number {n}, on the {n}th river?" for n in range(12)]
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(encoder.encode(texts), alone, atol=1e-6)
    pairs = [("The mayor of town number 3 is", text) for text in texts]
    each = np.concatenate([classifier.logits([pair]) for pair in pairs])
    np.testing.assert_allclose(classifier.logits(pairs), each, atol=1e-4)
