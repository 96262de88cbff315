"""`wrap()`: put an edit memory beside an existing pipeline or model."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase, TextGenerationPipeline

from memedit.editors.base import Editor
from memedit.editors.methods import GivenEditors, choose
from memedit.edits import DEFAULT_NAMESPACE
from memedit.errors import UnsupportedModelError
from memedit.memory import EditMemory
from memedit.model import EditedModel, Isolation, OnRoute, check_base
from memedit.pipelines.edited import EditedText2TextGenerationPipeline, EditedTextGenerationPipeline
from memedit.pipelines.text2text import Text2TextGenerationPipeline
from memedit.scope.classifier import ScopeClassifier
from memedit.scope.encoder import SentenceEncoder
from memedit.scope.router import Router

_EDITED: dict[type[Any], type[Any]] = {
    TextGenerationPipeline: EditedTextGenerationPipeline,
    Text2TextGenerationPipeline: EditedText2TextGenerationPipeline,
}
"""The edited pipeline for each kind of pipeline."""


def wrap(
    pipe_or_model: Any,
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    memory: str | Path | EditMemory | None = None,
    scope: str | Path | ScopeClassifier | None = None,
    editor: GivenEditors = None,
    encoder: str | Path | SentenceEncoder | None = None,
    isolation: Isolation = "exact",
    namespace: str = DEFAULT_NAMESPACE,
    context_turns: int = 0,
    on_route: OnRoute | None = None,
) -> Any:
    """Put an edit memory beside a pipeline or a model, and leave both as they are.

    Args:
        pipe_or_model: A text-generation pipeline, a `Text2TextGenerationPipeline` of
            `memedit.pipelines`, or a model with `generate`: decoder-only, or encoder-decoder.
        tokenizer: The model's tokenizer; a pipeline brings its own.
        memory: A file that keeps the edits (made if it does not exist), an open memory, or None to
            keep them in RAM.
        scope: A scope classifier or its checkpoint folder; None for the one that ships.
        editor: `"base"` (the frozen base reads the edit), `"counterfactual"` (the adapter that ships,
            for the shipped base only), a checkpoint folder, or an editor. None takes
            `"counterfactual"` where it fits the base and `"base"` elsewhere. Of several names, or of a
            mapping from names to these, the first is the default; an edit may name another. See
            `memedit.editors.methods.choose`.
        encoder: The sentence encoder: a hub id, a folder, or a loaded one; None for the default.
        isolation: See `EditedModel`.
        namespace: See `EditedModel`.
        context_turns: See `EditedModel`.
        on_route: See `EditedModel`.

    Returns:
        For a pipeline, an edited pipeline of its kind; for a model, an `EditedModel`.

    Raises:
        UnsupportedModelError: The object cannot be edited.
        CheckpointError: A checkpoint is missing or was made for something else.
        MemoryFileError: The memory file cannot be used.
        EncoderMismatchError: The memory was made with another encoder.
    """
    is_pipeline = hasattr(pipe_or_model, "preprocess") and hasattr(pipe_or_model, "model")
    edited = next((made for kind, made in _EDITED.items() if isinstance(pipe_or_model, kind)), None)
    if is_pipeline and edited is None:
        raise UnsupportedModelError(f"expected a text-generation pipeline, got {type(pipe_or_model).__name__}")
    base = pipe_or_model.model if is_pipeline else pipe_or_model
    tokenizer = pipe_or_model.tokenizer if is_pipeline and tokenizer is None else tokenizer
    check_base(base)
    if edited is not None:
        edited.check_base(base)
    edits = memory if isinstance(memory, EditMemory) else EditMemory(memory, _encoder(encoder))
    with ExitStack() as undo:
        if edits is not memory:
            undo.callback(edits.close)
        classifier = scope if isinstance(scope, ScopeClassifier) else ScopeClassifier.beside(edits.encoder, scope)
        editors = choose(editor, base, tokenizer)
        if not isinstance(editor, Editor):
            undo.callback(editors.detach)
        model = EditedModel(
            base,
            tokenizer,
            edits,
            Router(edits, classifier),
            editors,
            isolation=isolation,
            namespace=namespace,
            context_turns=context_turns,
            on_route=on_route,
        )
        # Nothing has failed: file and hooks stay open.
        undo.pop_all()
    if edited is None:
        return model
    pipe: Any = object.__new__(edited)
    # Every setting of the user's pipeline carries over; only the model is another.
    pipe.__dict__.update(pipe_or_model.__dict__)
    pipe.model = model
    return pipe


def _encoder(choice: str | Path | SentenceEncoder | None) -> SentenceEncoder:
    return choice if isinstance(choice, SentenceEncoder) else SentenceEncoder.from_pretrained(choice)
