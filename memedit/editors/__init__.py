"""Editors answer the rows that are in scope of an edit; one folder for each method."""

from memedit.editors.base import Editor, FusingEditor, Rows, StoringEditor

__all__ = ["Editor", "FusingEditor", "Rows", "StoringEditor"]
