"""Tiny random models of each family, a tokenizer of known words, and edits beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import nn
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from memedit import EditedModel, EditMemory, Router
from memedit.editors.counterfactual import CounterfactualConfig, CounterfactualEditor, load_counterfactual
from tests.memory.hashing import HashingEncoder

PAD, END, START, UNKNOWN, TRIGGER = 0, 1, 2, 3, 4
WORDS = ("<pad>", "</s>", "<s>", "<unk>", "Zembla", *(f"word{number}" for number in range(5, 59)), "abcdef")
"""The last one is what transformers joins tokens to when it looks for stop strings."""
VOCABULARY = len(WORDS)
EDIT = ("stored Zembla", "word7 word9 word11")
LONGER_EDIT = ("stored word21 Zembla", "word8 word9 word10 word12 word13 word14")
"""Nearer to some of the prompts: rows of one batch are to have edits of different lengths."""

_SPECIAL: dict[str, Any] = {"pad_token_id": PAD, "eos_token_id": END, "bos_token_id": START, "vocab_size": VOCABULARY}
_SHAPE: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 128, "initializer_range": 0.5, **_SPECIAL,
}  # fmt: skip
_T5: dict[str, Any] = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2, "initializer_factor": 4.0}
_BART: dict[str, Any] = {
    "d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "max_position_embeddings": 128,
    "init_std": 0.5, "forced_eos_token_id": None, **_SPECIAL,
}  # fmt: skip

DECODERS: dict[str, tuple[Any, Any]] = {
    "llama": (LlamaForCausalLM, LlamaConfig(**_SHAPE)),
    "gpt2": (
        GPT2LMHeadModel,
        GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=128, initializer_range=0.5, **_SPECIAL),
    ),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**_SHAPE)),
    "mistral": (MistralForCausalLM, MistralConfig(**_SHAPE)),
    "gemma": (GemmaForCausalLM, GemmaConfig(head_dim=8, **_SHAPE)),
}
ENCODER_DECODERS: dict[str, tuple[Any, Any]] = {
    "t5": (T5ForConditionalGeneration, T5Config(**_T5, **_SPECIAL, decoder_start_token_id=PAD)),
    "bart": (BartForConditionalGeneration, BartConfig(**_BART, decoder_start_token_id=END)),
}
FAMILIES = (*DECODERS, *ENCODER_DECODERS)


@cache
def base_of(family: str, *, held: bool = False) -> Any:
    """The random model of a family, in float32, always the same one.

    Args:
        family: One of `FAMILIES`.
        held: Whether to give the copy that tests hook and give back; the other one nobody ever touches.
    """
    kind, config = {**DECODERS, **ENCODER_DECODERS}[family]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(FAMILIES.index(family))
        model = kind(config).eval()
    model.generation_config.max_length = None
    return model


@cache
def assistant_of(family: str) -> Any:
    """A smaller model of the family and its vocabulary."""
    kind, config = DECODERS[family]
    values = config.to_dict()
    values[config.attribute_map.get("num_hidden_layers", "num_hidden_layers")] = 1
    values.pop("layer_types", None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        return kind(type(config)(**values)).eval()


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """One token for each word."""
    model = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token=WORDS[UNKNOWN]))
    model.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=model, pad_token="<pad>", eos_token="</s>", bos_token="<s>", unk_token="<unk>"
    )


class WordClassifier:
    """Stands in for the scope classifier: a query is in scope of every edit if it holds the word.

    Stored wordings are told by another word, so that no two edits pass for the same fact.
    """

    threshold = 0.5

    def threshold_for(self, wordings: Sequence[str]) -> NDArray[np.float64]:
        """The same for each wording."""
        return np.full(len(wordings), self.threshold)

    def probability(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """1 or 0 for each (edit wording, query)."""
        said = [query.split() for _, query in pairs]
        return np.array([float(WORDS[TRIGGER] in words and "stored" not in words) for words in said])


def beside(family: str, folder: Path | None, *, placement: str = "auto", **settings: Any) -> EditedModel:
    """The family's model with an empty memory.

    Args:
        family: One of `FAMILIES`.
        folder: Where a random adapter is kept, or None for the base itself as reader.
        placement: Where the edit goes.
        **settings: For `EditedModel`.
    """
    base = base_of.__wrapped__(family)  # one of its own: hooks stay on it until the end of all tests
    memory = EditMemory(None, HashingEncoder())
    router = Router(memory, WordClassifier(), floor=-1.0)  # type: ignore[arg-type]
    config = CounterfactualConfig(placement=placement, template="{prompt} {target}\n")  # type: ignore[arg-type]
    if folder is None:
        editor: Any = CounterfactualEditor(base, tokenizer(), config)
    else:
        _write_adapter(base, folder)
        CounterfactualConfig("adapter", config.placement, config.template).save(folder)
        editor = load_counterfactual(folder, base, tokenizer())
    return EditedModel(base, tokenizer(), memory, router, editor, **settings)


def _write_adapter(base: Any, folder: Path) -> None:
    """A random LoRA adapter on every linear layer but the head: whatever it touched would show."""
    tensors = {}
    generator = torch.Generator().manual_seed(5)
    for name, module in base.named_modules():
        if isinstance(module, nn.Linear) and name != "lm_head":
            key = f"base_model.model.{name}"
            tensors[f"{key}.lora_A.weight"] = torch.randn(2, module.in_features, generator=generator)
            tensors[f"{key}.lora_B.weight"] = torch.randn(module.out_features, 2, generator=generator)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 2}
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
