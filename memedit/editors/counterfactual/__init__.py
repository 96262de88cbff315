"""The counterfactual editor in its three kinds: base, adapter, separate model."""

from memedit.editors.counterfactual.config import CounterfactualConfig
from memedit.editors.counterfactual.editor import CounterfactualEditor
from memedit.editors.counterfactual.loading import load_counterfactual
from memedit.editors.counterfactual.separate import SeparateModelEditor

__all__ = [
    "CounterfactualConfig",
    "CounterfactualEditor",
    "SeparateModelEditor",
    "load_counterfactual",
]
