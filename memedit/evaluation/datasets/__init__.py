"""Data sets by name and by file; one module for each family, with its format, licence and paper."""

from memedit.evaluation.datasets.info import DatasetInfo, HubSource
from memedit.evaluation.datasets.loading import load_dataset, load_questions
from memedit.evaluation.datasets.registry import DATASETS, FORMATS
from memedit.evaluation.datasets.sampling import grouped, sample

__all__ = ["DATASETS", "FORMATS", "DatasetInfo", "HubSource", "grouped", "load_dataset", "load_questions", "sample"]
