"""`wrap()`: put an edit memory beside an existing pipeline or model."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase, TextGenerationPipeline

from memedit.checkpoints import shipped
from memedit.editors.base import Editor
from memedit.editors.counterfactual import (
    CounterfactualConfig,
    CounterfactualEditor,
    load_counterfactual,
)
from memedit.editors.fingerprint import fingerprint
from memedit.edits import DEFAULT_NAMESPACE
from memedit.errors import CheckpointError, MemeditError, UnsupportedModelError
from memedit.memory import EditMemory
from memedit.model import EditedModel, Isolation, check_base
from memedit.scope.classifier import ScopeClassifier
from memedit.scope.encoder import SentenceEncoder
from memedit.scope.router import Route, Router

logger = logging.getLogger(__name__)

SHIPPED_COUNTERFACTUAL = "counterfactual-mini"


class EditedTextGenerationPipeline(TextGenerationPipeline):  # type: ignore[misc]
    """A text-generation pipeline whose model is an `EditedModel`."""

    @property
    def edits(self) -> EditMemory:
        """The edit memory: add, update, remove and undo here."""
        memory: EditMemory = self.model.edits
        return memory

    def explain(self, query: str) -> Route:
        """Which edit would answer `query`, or why none does, with all scores."""
        route: Route = self.model.explain(query)
        return route

    def check_model_type(self, supported_models: Any) -> None:
        """Accept the wrapped model: the base under it was accepted before."""


def wrap(
    pipe_or_model: Any,
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    memory: str | Path | EditMemory | None = None,
    scope: str | Path | ScopeClassifier | None = None,
    editor: str | Path | Editor | None = None,
    encoder: str | Path | SentenceEncoder | None = None,
    isolation: Isolation = "exact",
    namespace: str = DEFAULT_NAMESPACE,
) -> Any:
    """Put an edit memory beside a pipeline or a model, and leave both as they are.

    Args:
        pipe_or_model: A text-generation pipeline, or a decoder-only model with `generate`.
        tokenizer: The model's tokenizer; a pipeline brings its own.
        memory: A file that keeps the edits (made if it does not exist), an open memory, or None to
            keep them in RAM.
        scope: A scope classifier or its checkpoint folder; None for the one that ships.
        editor: `"base"` (the frozen base reads the edit), `"counterfactual"` (the adapter that ships,
            for the shipped base only), a checkpoint folder, or an editor. None takes
            `"counterfactual"` where it fits the base and `"base"` elsewhere.
        encoder: The sentence encoder: a hub id, a folder, or a loaded one; None for the default.
        isolation: See `EditedModel`.
        namespace: See `EditedModel`.

    Returns:
        For a pipeline, an `EditedTextGenerationPipeline`; for a model, an `EditedModel`.

    Raises:
        UnsupportedModelError: The object cannot be edited.
        CheckpointError: A checkpoint is missing or was made for something else.
        MemoryFileError: The memory file cannot be used.
        EncoderMismatchError: The memory was made with another encoder.
    """
    is_pipeline = hasattr(pipe_or_model, "preprocess") and hasattr(pipe_or_model, "model")
    if is_pipeline and not isinstance(pipe_or_model, TextGenerationPipeline):
        raise UnsupportedModelError(f"expected a text-generation pipeline, got {type(pipe_or_model).__name__}")
    base = pipe_or_model.model if is_pipeline else pipe_or_model
    tokenizer = pipe_or_model.tokenizer if is_pipeline and tokenizer is None else tokenizer
    check_base(base)
    classifier = scope if isinstance(scope, ScopeClassifier) else ScopeClassifier.from_pretrained(scope)
    edits = memory if isinstance(memory, EditMemory) else EditMemory(memory, _encoder(encoder))
    try:
        # Last, since it hooks into the base: nothing can fail after it and leave the hooks behind.
        chosen_editor = _editor(editor, base, tokenizer)
    except MemeditError:
        if edits is not memory:
            edits.close()
        raise
    model = EditedModel(
        base,
        tokenizer,
        edits,
        Router(edits, classifier),
        chosen_editor,
        isolation=isolation,
        namespace=namespace,
    )
    if not is_pipeline:
        return model
    pipe = EditedTextGenerationPipeline.__new__(EditedTextGenerationPipeline)
    # Every setting of the user's pipeline carries over; only the model is another.
    pipe.__dict__.update(pipe_or_model.__dict__)
    pipe.model = model
    return pipe


def _encoder(choice: str | Path | SentenceEncoder | None) -> SentenceEncoder:
    return choice if isinstance(choice, SentenceEncoder) else SentenceEncoder.from_pretrained(choice)


def _editor(choice: str | Path | Editor | None, base: Any, tokenizer: PreTrainedTokenizerBase | None) -> Editor:
    if choice is not None and not isinstance(choice, str | Path):
        return choice
    if tokenizer is None:
        raise UnsupportedModelError("the counterfactual editor reads text: pass the model's tokenizer")
    if choice is None:
        choice = "counterfactual" if _fits_shipped(base) else "base"
    if choice == "base":
        return CounterfactualEditor(base, tokenizer, CounterfactualConfig())
    folder = shipped(SHIPPED_COUNTERFACTUAL) if choice == "counterfactual" else Path(choice)
    return load_counterfactual(folder, base, tokenizer)


def _fits_shipped(base: Any) -> bool:
    try:
        folder = shipped(SHIPPED_COUNTERFACTUAL)
    except CheckpointError:
        logger.info("no counterfactual checkpoint ships with this installation; the base reads the edits itself")
        return False
    return CounterfactualConfig.load(folder).base_fingerprint == fingerprint(base)
