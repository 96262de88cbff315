"""memedit as it ships: retrieval, the scope classifier, and a counterfactual model that reads the edit."""

from __future__ import annotations

from memedit.editors.methods import choose
from memedit.evaluation.baselines.in_memory import InMemory
from memedit.evaluation.subject import Setup


def make(setup: Setup) -> InMemory:
    """SERAC (Mitchell et al. 2022) as memedit does it; the base itself reads where no adapter ships for it.

    Raises:
        CheckpointError: `setup.counterfactual` holds no counterfactual model for this base.
    """
    return InMemory.scoped(setup, "counterfactual", choose(setup.counterfactual, setup.base, setup.tokenizer))
