"""Put a saved edited model together again beside its base."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from memedit.editors.methods import choose
from memedit.errors import CheckpointError, EncoderMismatchError
from memedit.memory import EditMemory
from memedit.memory.copying import open_copy
from memedit.memory.encoding import TextEncoder
from memedit.saving.base_model import load_tokenizer
from memedit.saving.hub import fetched
from memedit.saving.layout import EDITOR, EDITS, SCOPE, Parts, SavedConfig, shipped_scope_hash
from memedit.scope.classifier import ScopeClassifier
from memedit.scope.encoder import SentenceEncoder
from memedit.scope.router import Router


def load(
    name: str | Path,
    *,
    base: Any = None,
    tokenizer: Any = None,
    encoder: str | Path | TextEncoder | None = None,
    scope: str | Path | ScopeClassifier | None = None,
    memory: str | Path | EditMemory | None = None,
    **base_options: Any,
) -> Parts:
    """Read what `save` wrote; the saved files stay as they are.

    Args:
        name: The folder, or the hub id of one that was pushed.
        base: The base model; None to load it by the id it had.
        tokenizer: Its tokenizer; None to load it by the id it had.
        encoder: The sentence encoder: a hub id, a folder or a loaded one; None for the default.
        scope: A scope classifier instead of the saved one.
        memory: Where the edits live from now on: a file, filled with the saved edits if it does not
            exist and opened as it is otherwise; an open memory, to be used instead; None for RAM.
        **base_options: Passed to the base's `from_pretrained` where it is loaded here.

    Raises:
        CheckpointError: Something is missing, damaged or not what it was when it was saved.
        EncoderMismatchError: The edits' vectors were made by another encoder.
        MemoryFileError: The memory file cannot be used.
    """
    folder = fetched(name)
    config = SavedConfig.read(folder)
    if base is None:
        base = config.base.load(base_options)
    elif base_options:
        raise TypeError(f"base was given, so nothing is loaded with {', '.join(base_options)}")
    config.base.check(base)
    if tokenizer is None and config.tokenizer is not None:
        tokenizer = load_tokenizer(config.tokenizer)
    if tokenizer is None:
        raise CheckpointError(
            "the model was saved without a name of its tokenizer, by which edits are read; pass tokenizer=…"
        )
    opened = memory if isinstance(memory, EditMemory) else _edits(folder, config, encoder, memory)
    with ExitStack() as on_error:
        if opened is not memory:
            on_error.callback(opened.close)
        classifier = scope if isinstance(scope, ScopeClassifier) else _classifier(folder, config, opened.encoder, scope)
        try:
            router = Router(opened, classifier, **config.router)
        except (TypeError, ValueError) as error:
            raise CheckpointError(
                f"the edited model in {folder} has settings this memedit does not know: {error}"
            ) from error
        # Last, since it hooks into the base: nothing can fail after it and leave the hooks behind.
        editor = choose(folder / EDITOR, base, tokenizer)
        on_error.pop_all()
    return Parts(base, tokenizer, opened, router, editor, config.settings)


def _edits(
    folder: Path, config: SavedConfig, encoder: str | Path | TextEncoder | None, memory: str | Path | None
) -> EditMemory:
    if encoder is None or isinstance(encoder, str | Path):
        encoder = SentenceEncoder.from_pretrained(encoder)
    if encoder.id != config.encoder:
        raise EncoderMismatchError(
            f"the edits in {folder} were encoded by {config.encoder!r}, this encoder is {encoder.id!r}; "
            "pass the one they were encoded by as encoder=…"
        )
    target = None if memory in (None, ":memory:") else Path(str(memory))
    if target is not None and target.exists():
        return EditMemory(target, encoder)
    return open_copy(folder / EDITS, encoder, target)


def _classifier(folder: Path, config: SavedConfig, encoder: TextEncoder, instead: str | Path | None) -> ScopeClassifier:
    if instead is not None:
        return ScopeClassifier.beside(encoder, instead)
    if not config.scope["shipped"]:
        return ScopeClassifier.beside(encoder, folder / SCOPE)
    if shipped_scope_hash() != config.scope["sha256"]:
        raise CheckpointError(
            f"the edited model in {folder} uses the scope classifier that shipped with memedit {config.memedit} "
            "and not the one that ships with this installation; install that version, or pass scope=… to use another"
        )
    return ScopeClassifier.beside(encoder)
