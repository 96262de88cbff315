"""Evaluation by free decoding: data sets, protocols, metrics, comparisons, and their reports."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memedit.evaluation.cases import Case, Dataset, LocalityKind, PortabilityKind, Probe
    from memedit.evaluation.comparing import Comparison, compare
    from memedit.evaluation.datasets import DATASETS, FORMATS, load_dataset, load_questions
    from memedit.evaluation.judging import Judge, PipelineJudge
    from memedit.evaluation.methods import METHODS
    from memedit.evaluation.protocols import Evaluation, Question, evaluate
    from memedit.evaluation.publishing import save_comparison
    from memedit.evaluation.report import answer_rows, build_report
    from memedit.evaluation.runs import Run
    from memedit.evaluation.subject import Setup

__all__ = [
    "DATASETS",
    "FORMATS",
    "METHODS",
    "Case",
    "Comparison",
    "Dataset",
    "Evaluation",
    "Judge",
    "LocalityKind",
    "PipelineJudge",
    "PortabilityKind",
    "Probe",
    "Question",
    "Run",
    "Setup",
    "answer_rows",
    "build_report",
    "compare",
    "evaluate",
    "load_dataset",
    "load_questions",
    "save_comparison",
]

_HOMES = {
    "Case": "memedit.evaluation.cases",
    "Comparison": "memedit.evaluation.comparing",
    "DATASETS": "memedit.evaluation.datasets",
    "Dataset": "memedit.evaluation.cases",
    "Evaluation": "memedit.evaluation.protocols",
    "FORMATS": "memedit.evaluation.datasets",
    "Judge": "memedit.evaluation.judging",
    "LocalityKind": "memedit.evaluation.cases",
    "METHODS": "memedit.evaluation.methods",
    "PipelineJudge": "memedit.evaluation.judging",
    "PortabilityKind": "memedit.evaluation.cases",
    "Probe": "memedit.evaluation.cases",
    "Question": "memedit.evaluation.protocols",
    "Run": "memedit.evaluation.runs",
    "Setup": "memedit.evaluation.subject",
    "answer_rows": "memedit.evaluation.report",
    "build_report": "memedit.evaluation.report",
    "compare": "memedit.evaluation.comparing",
    "evaluate": "memedit.evaluation.protocols",
    "load_dataset": "memedit.evaluation.datasets",
    "load_questions": "memedit.evaluation.datasets",
    "save_comparison": "memedit.evaluation.publishing",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: the names of methods need no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'memedit.evaluation' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
