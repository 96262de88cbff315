"""Several editors beside one base: each row is answered by the one that its edit names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from threading import RLock
from typing import Any

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from memedit.editors.base import Editor, FusingEditor, Rows, StoringEditor
from memedit.editors.options import options_of_rows, pad_id_of
from memedit.editors.sequences import by_row, pad_right
from memedit.edits import Edit, check_editor_name
from memedit.errors import UnsupportedCallError


class EditorChoice:
    """Named editors, one of which answers where an edit names none.

    Editors may be made at once, or when a row first asks for them: hooks that nobody uses are not there.

    Args:
        base: The base model of all of them; only its generation settings are read.
        tokenizer: The base's tokenizer.
        default: The name of the editor for edits that name none.
        editors: Editors by name, as `Edit.editor` may be.
        makers: By name, what makes an editor that is not there yet; names of `editors` are passed over.

    Raises:
        InvalidEditError: A name is none that an edit can have.
        ValueError: There is no editor of the name `default`.
    """

    def __init__(
        self,
        base: Any,
        tokenizer: PreTrainedTokenizerBase | None,
        default: str,
        editors: Mapping[str, Editor],
        makers: Mapping[str, Callable[[], Editor]] | None = None,
    ) -> None:
        self.default = default
        self._base = base
        self._tokenizer = tokenizer
        self._made = dict(editors)
        self._makers = dict(makers or {})
        self._lock = RLock()
        for name in self.names:
            check_editor_name(name)
        if default not in self.names:
            raise ValueError(f"the default editor must be one of {', '.join(self.names)}, got {default!r}")

    @property
    def names(self) -> list[str]:
        """The names that an edit may give: the editors that are made, then those that can be."""
        return list(dict.fromkeys([*self._made, *self._makers]))

    @property
    def made(self) -> Mapping[str, Editor]:
        """The editors that are made, by name."""
        return dict(self._made)

    def __getitem__(self, name: str) -> Editor:
        """The editor of that name, made now if it was not yet.

        Raises:
            KeyError: There is none.
        """
        with self._lock:
            if name not in self._made:
                self._made[name] = self._makers[name]()
            return self._made[name]

    def of(self, edit: Edit) -> Editor:
        """The editor that answers an edit.

        Raises:
            UnsupportedCallError: The edit names one that is not known.
        """
        return self[self._name(edit)]

    def answer(self, rows: Rows, options: Mapping[str, Any]) -> Tensor:
        """Let each row's own editor answer it; see `Editor.answer`.

        Raises:
            UnsupportedCallError: An edit names an unknown editor, or a streamer is to hear several
                editors, or as an editor says.
        """
        groups = self._groups(rows.edits)
        if len(groups) == 1:
            return self.of(rows.edits[0]).answer(rows, options)
        if options.get("streamer") is not None:
            raise UnsupportedCallError(
                f"a streamer hears one pass of decoding, and these rows are answered by {', '.join(groups)}; "
                "stream one row at a time"
            )
        answers: dict[int, list[Tensor]] = {}
        for name, numbers in groups.items():
            own = options_of_rows(self._base, options, len(rows), numbers)
            answers |= by_row(self[name].answer(rows.chosen(numbers), own), numbers)
        merged = [sequence for number in sorted(answers) for sequence in answers[number]]
        return pad_right(merged, pad_id_of(self._base, self._tokenizer, options))

    def fuses(self, length: int, edits: Sequence[Edit | None], options: Mapping[str, Any]) -> bool:
        """Whether one editor answers all of these edits, and can share the pass; see `FusingEditor.fuses`."""
        editor = self._common(edits)
        return editor is not None and editor.fuses(length, edits, options)

    def answer_fused(
        self, input_ids: Tensor, attention_mask: Tensor, edits: Sequence[Edit | None], options: Mapping[str, Any]
    ) -> Tensor:
        """Let the editor of all these edits share the base's pass; see `FusingEditor.answer_fused`."""
        editor = self._common(edits)
        if editor is None:
            raise UnsupportedCallError("these rows cannot share one pass: they are answered by several editors")
        return editor.answer_fused(input_ids, attention_mask, edits, options)

    def fit(self, edits: Sequence[Edit], *, progress: bool = False) -> dict[str, Any]:
        """Let the editors that store edits learn theirs, each editor's in one go; see `StoringEditor.fit`.

        Returns:
            What each editor returned, by its name; edits that are read are passed over.

        Raises:
            UnsupportedCallError: An edit names an unknown editor.
        """
        told = {}
        for name, numbers in self._groups(edits).items():
            if isinstance(editor := self[name], StoringEditor):
                told[name] = editor.fit([edits[number] for number in numbers], progress=progress)
        return told

    def missing(self, edits: Sequence[Edit]) -> list[Edit]:
        """Those of the edits that an editor has still to learn; see `StoringEditor.missing`."""
        found: list[Edit] = []
        for name, numbers in self._groups(edits).items():
            if isinstance(editor := self[name], StoringEditor):
                found += editor.missing([edits[number] for number in numbers])
        return found

    def prune(self, live_ids: Collection[str]) -> None:
        """Let every editor forget all edits but these; see `StoringEditor.prune`."""
        for editor in self._made.values():
            if isinstance(editor, StoringEditor):
                editor.prune(live_ids)

    def detach(self) -> None:
        """Detach every editor."""
        for editor in self._made.values():
            editor.detach()

    def _name(self, edit: Edit) -> str:
        name = self.default if edit.editor is None else edit.editor
        if name not in self.names:
            raise UnsupportedCallError(
                f"edit {edit.id!r} names the editor {name!r}, and this model knows {', '.join(self.names)}; "
                "update the edit, or give wrap() an editor of that name"
            )
        return name

    def _groups(self, edits: Sequence[Edit]) -> dict[str, list[int]]:
        """The numbers of the edits of each editor."""
        groups: dict[str, list[int]] = {}
        for number, edit in enumerate(edits):
            groups.setdefault(self._name(edit), []).append(number)
        return groups

    def _common(self, edits: Sequence[Edit | None]) -> FusingEditor | None:
        editors = [self.of(edit) for edit in edits if edit is not None]
        first = editors[0]
        return first if isinstance(first, FusingEditor) and all(editor is first for editor in editors) else None
