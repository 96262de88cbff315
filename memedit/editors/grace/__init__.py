"""GRACE: codebook adapters hooked into a layer of the base (Hartvigsen et al. 2023, arXiv 2211.11031)."""

from memedit.editors.grace.codebook import Codebook, Entry, Rule
from memedit.editors.grace.config import GraceConfig
from memedit.editors.grace.editor import GraceEditor
from memedit.editors.grace.fitting import GraceFit
from memedit.editors.grace.loading import load_grace
from memedit.editors.grace.published import PublishedGrace
from memedit.editors.grace.routing import Deferral, GraceDeferral

__all__ = [
    "Codebook",
    "Deferral",
    "Entry",
    "GraceConfig",
    "GraceDeferral",
    "GraceEditor",
    "GraceFit",
    "PublishedGrace",
    "Rule",
    "load_grace",
]
