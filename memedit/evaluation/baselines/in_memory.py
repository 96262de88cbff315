"""Methods that keep their edits in an edit memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from memedit.editors.base import Editor, StoringEditor
from memedit.editors.choice import EditorChoice
from memedit.edits import Edit
from memedit.evaluation.cases import Case
from memedit.evaluation.cost import store
from memedit.evaluation.subject import Setup
from memedit.memory import EditMemory
from memedit.model import EditedModel
from memedit.scope.router import Router


class InMemory:
    """A model whose `edits` are an `EditMemory`: storing is adding, and fitting where its editor learns.

    Args:
        name: How the method is called in reports.
        model: What is asked, such as an `EditedModel`.
        settings: What `settings()` gives.
    """

    def __init__(self, name: str, model: Any, settings: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self.model = model
        self._settings = dict(settings or {})
        self._editor = getattr(model, "editor", None)

    @classmethod
    def of(
        cls,
        setup: Setup,
        name: str,
        editor: Editor,
        router: Callable[[EditMemory], Any],
        settings: Mapping[str, Any] | None = None,
    ) -> InMemory:
        """A method whose memory is a file, so that the seconds per edit are those of durable writes.

        Args:
            setup: Base, encoder and folder.
            name: How the method is called.
            editor: Answers queries in scope.
            router: Makes what decides on queries, over the memory.
            settings: What `settings()` gives.
        """
        memory = EditMemory(setup.folder / "edits.db", setup.encoder)
        return cls(name, EditedModel(setup.base, setup.tokenizer, memory, router(memory), editor), settings)

    @classmethod
    def scoped(cls, setup: Setup, name: str, editor: Editor) -> InMemory:
        """As `of`, with the scope classifier's router."""
        settings = {"threshold": setup.classifier.threshold, "encoder": setup.encoder.id}
        return cls.of(setup, name, editor, lambda memory: Router(memory, setup.classifier), settings)

    def store(self, cases: Sequence[Case], *, progress: bool = False) -> tuple[list[Edit], float]:
        """Add the cases to the memory; see `Method.store`."""
        edits, seconds = store(self.model.edits, cases, progress=progress)
        if isinstance(self._editor, StoringEditor):
            started = time.perf_counter()
            # Of one prompt only the last edit is stored.
            self._editor.fit(list({edit.id: edit for edit in edits}.values()), progress=progress)
            seconds += (time.perf_counter() - started) / len(edits)
        return edits, seconds

    def reset(self) -> None:
        """Empty the memory."""
        self.model.edits.clear()
        if isinstance(self._editor, StoringEditor):
            self._editor.prune([])

    def settings(self) -> dict[str, Any]:
        """As given, with the editor's configuration and what it chose."""
        editor = self._editor[self._editor.default] if isinstance(self._editor, EditorChoice) else self._editor
        known = {name: vars(editor)[name] for name in ("config", "choice") if vars(editor).get(name)}
        return {**self._settings, **{name: asdict(value) for name, value in known.items()}}

    def kept_bytes(self) -> int | None:
        """Size of the memory file, and of what the editor has learned; None for a memory in RAM."""
        path = getattr(self.model.edits, "path", None)
        if path is None:
            return None
        # Beside the file there is what SQLite has not written into it yet.
        kept = sum(part.stat().st_size for part in Path(path).parent.glob(f"{Path(path).name}*"))
        if isinstance(self._editor, StoringEditor) and hasattr(self._editor, "save_pretrained"):
            with TemporaryDirectory(dir=Path(path).parent) as folder:
                self._editor.save_pretrained(Path(folder))
                kept += size_of(folder)
        return kept

    def close(self) -> None:
        """Take the editor out of the base and close the memory."""
        if isinstance(self._editor, Editor):
            self._editor.detach()
        self.model.edits.close()


def size_of(folder: str | Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
