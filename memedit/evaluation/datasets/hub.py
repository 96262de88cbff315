"""Data sets by name, through the library `datasets`, which is optional."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

from memedit.errors import DatasetError
from memedit.evaluation.datasets.info import DatasetInfo
from memedit.transfer.records import Record


def fetch_records(info: DatasetInfo) -> Iterator[Record]:
    """The records of a data set that is known by name.

    Raises:
        DatasetError: It is not on the hub, the library is not installed, or the network or the hub
            did not give it; the message names both ways to get it.
    """
    by_file = f"download its file from {info.url} and give the file: --data PATH --format {info.form}"
    if info.hub is None:
        raise DatasetError(f"{info.name} cannot be fetched by name: {by_file}")
    try:
        library = importlib.import_module("datasets")
    except ImportError:
        raise DatasetError(
            f"fetching {info.name} by name needs the package datasets (pip install 'memedit[hub]') and a network; "
            f"or {by_file}"
        ) from None
    try:
        rows = library.load_dataset(info.hub.path, data_files=info.hub.data_files, split=info.hub.split)
    except Exception as error:  # the library has no common class for what a network can do
        raise DatasetError(
            f"cannot fetch {info.name} from {info.hub.path} ({type(error).__name__}: {error}); check the network, "
            f"or {by_file}"
        ) from error
    for number, row in enumerate(rows, start=1):
        yield Record(Path(info.name), number, row, line=number)
