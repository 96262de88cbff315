"""Editors that store edits in activations: GRACE as memedit does it and as published, Transformer-Patcher."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from tempfile import TemporaryDirectory
from typing import Any

from memedit.editors.grace import GraceDeferral, GraceEditor, PublishedGrace
from memedit.editors.tpatcher import PUBLISHED, PatcherEditor
from memedit.edits import Edit
from memedit.evaluation.baselines.in_memory import InMemory, size_of
from memedit.evaluation.baselines.unrouted import Unrouted, edits_of
from memedit.evaluation.cases import Case
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


class PublishedPatcher:
    """Transformer-Patcher without a router: all neurons meet every query, and their activations decide.

    Args:
        setup: Base, tokenizer, and a folder to measure in.
    """

    name = "tpatcher-published"

    def __init__(self, setup: Setup) -> None:
        self._folder = setup.folder
        self._editor = PatcherEditor(setup.base, setup.tokenizer, PUBLISHED)
        self.model = Unrouted(setup.base, setup.tokenizer, self._editor.everywhere)

    def store(self, cases: Sequence[Case], *, progress: bool = False) -> tuple[list[Edit], float]:
        """Fit neurons beside those that are there; of one prompt the last edit counts."""
        started = time.perf_counter()
        edits = edits_of(cases)
        self._editor.fit(list({edit.id: edit for edit in edits}.values()), progress=progress)
        return edits, (time.perf_counter() - started) / len(edits)

    def reset(self) -> None:
        """Take all neurons out."""
        self._editor.prune([])

    def settings(self) -> dict[str, Any]:
        """How neurons are fitted."""
        return {"config": asdict(self._editor.config)}

    def kept_bytes(self) -> int:
        """Size of the neurons as files."""
        with TemporaryDirectory(dir=self._folder) as folder:
            self._editor.save_pretrained(folder)
            return size_of(folder)

    def close(self) -> None:
        """Take the hooks out of the base."""
        self._editor.detach()
