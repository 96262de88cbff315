"""Evaluation by free decoding: data sets, the protocol, metrics, and the report."""

from memedit.evaluation.cases import Case, Dataset, LocalityKind, Probe
from memedit.evaluation.datasets import FORMATS, load_dataset, load_questions
from memedit.evaluation.protocols import Evaluation, Question, evaluate
from memedit.evaluation.report import answer_rows, build_report

__all__ = [
    "FORMATS",
    "Case",
    "Dataset",
    "Evaluation",
    "LocalityKind",
    "Probe",
    "Question",
    "answer_rows",
    "build_report",
    "evaluate",
    "load_dataset",
    "load_questions",
]
