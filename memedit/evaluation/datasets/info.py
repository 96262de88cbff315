"""What is known of a data set: where it is, its licence, its paper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from memedit.evaluation.cases import Case

Read = Callable[..., list[Case] | str]
"""Reads one record: its cases, or in a word why a record of the right form is of no use."""


@dataclass(frozen=True, slots=True)
class HubSource:
    """Where the library `datasets` finds a data set: the arguments of its `load_dataset`.

    Attributes:
        path: A repository on the hub, or the kind of file ("json") if `data_files` is an address.
        split: Which part.
        data_files: The file within the repository, or its address; None for all.
    """

    path: str
    split: str = "train"
    data_files: str | None = None


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """A data set known by name.

    Attributes:
        name: By which `load_dataset` knows it.
        form: The format of its files, one of `FORMATS`.
        licence: Of the data, as far as it is stated.
        citation: Authors, year and title of the paper.
        url: Where people get its files.
        hub: Where `load_dataset` gets it by name; None if it must be given as a file.
    """

    name: str
    form: str
    licence: str
    citation: str
    url: str
    hub: HubSource | None = None
