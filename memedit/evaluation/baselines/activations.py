"""Editors that store edits in activations: GRACE as memedit does it and as published, Transformer-Patcher."""

from __future__ import annotations

from memedit.editors.grace import GraceDeferral, GraceEditor, PublishedGrace
from memedit.editors.tpatcher import PatcherEditor
from memedit.evaluation.baselines.in_memory import InMemory
from memedit.evaluation.subject import Setup


def grace(setup: Setup) -> InMemory:
    """GRACE's codebook with a vector for each token of the answer, behind the scope classifier."""
    return InMemory.scoped(setup, "grace", GraceEditor(setup.base, setup.tokenizer))


def grace_published(setup: Setup) -> InMemory:
    """GRACE by its own rules (Hartvigsen et al. 2023): edits one after the other, a decision by distance."""
    editor = PublishedGrace(setup.base, setup.tokenizer)
    return InMemory.of(setup, "grace-published", editor, lambda memory: GraceDeferral(editor, memory))


def tpatcher(setup: Setup) -> InMemory:
    """Transformer-Patcher's neurons (Huang et al. 2023), behind the scope classifier."""
    return InMemory.scoped(setup, "tpatcher", PatcherEditor(setup.base, setup.tokenizer))
