"""Edited tiny models that route by a table, and what the base makes of a prompt that holds the edit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from memedit import EditedModel, EditMemory, Router, SentenceEncoder
from memedit.checkpoints import shipped
from memedit.editors.counterfactual import CounterfactualConfig, CounterfactualEditor
from memedit.editors.counterfactual.context import render_edits
from memedit.editors.sequences import pad_left
from tests.evaluation.conftest import Verdicts

EDIT = ("What is the capital of France?", "Lyon")
IN_SCOPE = "What is the capital of France?"
OTHERS = ("The currency of Japan is the", "Who founded Microsoft, and when was that?")
MakeEdited = Callable[..., EditedModel]


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerBase:
    """Mini's tokenizer without its chat template: prompts are plain texts."""
    plain = AutoTokenizer.from_pretrained(shipped("mini"))
    plain.chat_template = None
    return plain


@pytest.fixture
def edited(tokenizer: PreTrainedTokenizerBase, encoder: SentenceEncoder) -> Iterator[MakeEdited]:
    """Wraps a base; the edit of France is stored, and other queries may be said to mean it."""
    models = []

    def make(
        base: PreTrainedModel,
        meant: dict[str, str] | None = None,
        placement: str = "auto",
        editor: Any = None,
        stored: bool = True,
        **settings: Any,
    ) -> EditedModel:
        memory = EditMemory(None, encoder)
        if stored:
            memory.add(*EDIT)
        router = Router(memory, Verdicts(meant or {}), floor=-1.0)  # type: ignore[arg-type]
        editor = editor or CounterfactualEditor(base, tokenizer, CounterfactualConfig(placement=placement))
        models.append(EditedModel(base, tokenizer, memory, router, editor, **settings))
        return models[-1]

    yield make
    for model in models:
        model.unwrap()
        model.edits.close()


def encode(tokenizer: PreTrainedTokenizerBase, *texts: str, side: str = "left") -> dict[str, torch.Tensor]:
    """Ids and mask of some prompts, padded together."""
    inputs = tokenizer(list(texts), return_tensors="pt", padding=True, padding_side=side)
    return {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}


def with_edit(tokenizer: PreTrainedTokenizerBase, *texts: str, edit: tuple[str, str] = EDIT) -> dict[str, torch.Tensor]:
    """The same, the edit before the prompts that are in scope."""
    context = tokenizer(render_edits([edit]), add_special_tokens=False)["input_ids"]
    rows = [(context if text == IN_SCOPE else []) + tokenizer(text)["input_ids"] for text in texts]
    ids, mask = pad_left([torch.tensor(row) for row in rows], 0)
    return {"input_ids": ids, "attention_mask": mask}


def answers(model: Any, inputs: dict[str, torch.Tensor], options: dict[str, Any]) -> torch.Tensor:
    """What `generate` puts behind the prompt, from a fixed seed."""
    torch.manual_seed(17)
    output = model.generate(**inputs, **options)
    sequences: torch.Tensor = getattr(output, "sequences", output)
    return sequences[:, inputs["input_ids"].shape[1] :]


def assert_same_rows(given: torch.Tensor, expected: torch.Tensor, pad_id: int = 0) -> None:
    """Equal but for padding on the right."""
    width = min(given.shape[1], expected.shape[1])
    assert torch.equal(given[:, :width], expected[:, :width])
    for longer in (given[:, width:], expected[:, width:]):
        assert (longer == pad_id).all()
