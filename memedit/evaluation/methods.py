"""The methods that can be compared, by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType

from memedit.evaluation.subject import Method, Setup

CHECKPOINTS = ("scope", "editor")
"""The scope classifier and the counterfactual model."""
_BASELINES = "memedit.evaluation.baselines"
_SCOPE = frozenset({"scope"})


@dataclass(frozen=True, slots=True)
class MethodInfo:
    """A method that can be compared.

    Attributes:
        about: What it is, in one line.
        maker: Module within `memedit.evaluation.baselines` and what makes the method there from a `Setup`;
            imported when it is used.
        checkpoints: Which checkpoints beside the base it is made from, of `CHECKPOINTS`. Its runs stay good
            when others change.
    """

    about: str
    maker: str
    checkpoints: frozenset[str] = frozenset()


METHODS: Mapping[str, MethodInfo] = MappingProxyType(
    {
        "base": MethodInfo("the base model, unedited", "unrouted:Unedited"),
        "counterfactual": MethodInfo(
            "memedit as shipped: scope classifier, counterfactual model (Mitchell et al. 2022)",
            "counterfactual:make",
            frozenset(CHECKPOINTS),
        ),
        "grace": MethodInfo("a codebook of activations behind the scope classifier", "activations:grace", _SCOPE),
        "grace-published": MethodInfo(
            "GRACE by its own rules (Hartvigsen et al. 2023); takes seconds per edit", "activations:grace_published"
        ),
        "tpatcher": MethodInfo(
            "a neuron per token behind the scope classifier (Huang et al. 2023)", "activations:tpatcher", _SCOPE
        ),
        "tpatcher-published": MethodInfo(
            "Transformer-Patcher by its own rules: all neurons meet every query", "activations:PublishedPatcher"
        ),
        "bm25": MethodInfo("the best edit by BM25 in the prompt, no classifier", "retrieval:bm25"),
        "dense": MethodInfo("the nearest edit by the sentence encoder in the prompt, no classifier", "retrieval:dense"),
        "similarity": MethodInfo("the nearest edit in the prompt, from a cosine similarity on", "retrieval:similarity"),
        "finetune": MethodInfo("fine-tuning of one layer (FT-M, Zhang et al. 2024)", "fine_tuning:FineTuning"),
        "lora": MethodInfo("one LoRA adapter trained on all edits (Hu et al. 2021)", "lora:Lora"),
    }
)
"""In the order in which reports show them."""
_TOOL_NAME = re.compile(r"\w[\w.-]*")
"""What another tool can be called beside them: it stands in names of files."""


def make_method(name: str, setup: Setup) -> Method:
    """The method of that name.

    Raises:
        ValueError: There is none.
        CheckpointError: It needs a checkpoint that is missing or was made for another base.
        UnsupportedModelError: It cannot edit this base.
    """
    check_methods([name])
    module, _, maker = METHODS[name].maker.partition(":")
    method: Method = getattr(import_module(f"{_BASELINES}.{module}"), maker)(setup)
    return method


def check_methods(names: Iterable[str]) -> None:
    """Refuse unknown names before anything slow is loaded.

    Raises:
        ValueError: There is one.
    """
    for name in names:
        if name not in METHODS:
            raise ValueError(f"methods to compare are {', '.join(METHODS)}; got {name!r}")


def check_tool_name(name: str) -> None:
    """Refuse a name of another tool that is a method's, or that no file can have.

    Raises:
        ValueError: It is.
    """
    if name in METHODS or not _TOOL_NAME.fullmatch(name):
        raise ValueError(f"expected a tool's name of letters, digits, -, . and _ that no method has, got {name!r}")
