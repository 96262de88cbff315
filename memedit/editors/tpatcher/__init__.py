"""Transformer-Patcher: one trained neuron for each token of an edit's answer (Huang et al. 2023)."""

from memedit.editors.tpatcher.config import PUBLISHED, PatcherConfig
from memedit.editors.tpatcher.editor import PatcherEditor
from memedit.editors.tpatcher.loading import load_tpatcher

__all__ = ["PUBLISHED", "PatcherConfig", "PatcherEditor", "load_tpatcher"]
