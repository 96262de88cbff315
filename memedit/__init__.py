"""memedit: an edit memory beside a frozen Hugging Face model."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memedit.edits import Edit, EditKind
    from memedit.errors import MemeditError
    from memedit.explanation import explain
    from memedit.memory import EditMemory
    from memedit.model import EditedModel
    from memedit.pipelines import wrap
    from memedit.scope import Route, Router, ScopeClassifier, SentenceEncoder

__all__ = [
    "Edit",
    "EditKind",
    "EditMemory",
    "EditedModel",
    "MemeditError",
    "Route",
    "Router",
    "ScopeClassifier",
    "SentenceEncoder",
    "explain",
    "wrap",
]
__version__ = "0.1.0"

_HOMES = {
    "Edit": "memedit.edits",
    "EditKind": "memedit.edits",
    "EditMemory": "memedit.memory",
    "EditedModel": "memedit.model",
    "MemeditError": "memedit.errors",
    "Route": "memedit.scope",
    "Router": "memedit.scope",
    "ScopeClassifier": "memedit.scope",
    "SentenceEncoder": "memedit.scope",
    "explain": "memedit.explanation",
    "wrap": "memedit.pipelines",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: `memedit --help` needs no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'memedit' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
