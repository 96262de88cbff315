"""Tiny random models with mini's vocabulary, one for each family that is tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

VOCABULARY = 8192
_ENDS = {"bos_token_id": None, "eos_token_id": 0, "pad_token_id": 0}
_SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.3, **_ENDS,
}  # fmt: skip


def llama() -> PreTrainedModel:
    """Two layers, rotary positions, grouped heads."""
    return _made(lambda: LlamaForCausalLM(LlamaConfig(**_SIZES)))


def mistral() -> PreTrainedModel:
    """As Llama, without a window."""
    return _made(lambda: MistralForCausalLM(MistralConfig(**_SIZES, sliding_window=None)))


def qwen2() -> PreTrainedModel:
    """As Llama, with biases."""
    return _made(lambda: Qwen2ForCausalLM(Qwen2Config(**_SIZES)))


def gpt2() -> PreTrainedModel:
    """Learned positions and `Conv1D` layers."""
    config = GPT2Config(
        vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=256, initializer_range=0.3, **_ENDS
    )
    return _made(lambda: GPT2LMHeadModel(config))


def t5() -> PreTrainedModel:
    """Encoder and decoder with relative positions; the decoder starts with the pad token."""
    config = T5Config(
        vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, initializer_factor=3.0,
        decoder_start_token_id=0, **_ENDS,
    )  # fmt: skip
    return _made(lambda: T5ForConditionalGeneration(config))


def bart() -> PreTrainedModel:
    """Encoder and decoder with learned positions; the first decoded token is forced."""
    config = BartConfig(
        vocab_size=VOCABULARY, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=256, init_std=0.3,
        decoder_start_token_id=2, forced_eos_token_id=None, **_ENDS,
    )  # fmt: skip
    model = _made(lambda: BartForConditionalGeneration(config))
    model.generation_config.forced_bos_token_id = 5
    return model


DECODERS: dict[str, Callable[[], PreTrainedModel]] = {"llama": llama, "gpt2": gpt2, "mistral": mistral, "qwen2": qwen2}
ENCODER_DECODERS: dict[str, Callable[[], PreTrainedModel]] = {"t5": t5, "bart": bart}


def _made(make: Callable[[], Any]) -> PreTrainedModel:
    with torch.random.fork_rng([]):
        torch.manual_seed(3)
        model: PreTrainedModel = make().eval()
    return model
