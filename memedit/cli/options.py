"""Options that several commands have, so that they read the same everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Device(StrEnum):
    """Where a model runs."""

    CPU = "cpu"
    CUDA = "cuda"


class DataFormat(StrEnum):
    """Formats of data files that hold edits with questions."""

    COUNTERFACT = "counterfact"
    ZSRE = "zsre"
    KNOWEDIT = "knowedit"
    MQUAKE = "mquake"
    RIPPLEEDITS = "rippleedits"
    MZSRE = "mzsre"
    BMIKE = "bmike"
    QAEDIT = "qaedit"
    HALLUEDITBENCH = "hallueditbench"
    UNKE = "unke"


AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")]
MemoryFile = Annotated[Path, typer.Option("--memory", help="The memory file.")]
Model = Annotated[
    str | None,
    typer.Option("--model", help="Base model: a folder or a hub id. Default: the shipped mini."),
]
Encoder = Annotated[
    str | None,
    typer.Option("--encoder", help="Sentence encoder: a folder or a hub id. Default: MiniLM."),
]
Scope = Annotated[
    Path | None,
    typer.Option("--scope", help="Folder of a scope classifier. Default: the shipped one."),
]
Editor = Annotated[
    str | None,
    typer.Option(
        "--editor",
        help="counterfactual, base, grace, tpatcher, or the folder of an editor; edits may name their own. "
        "Default: counterfactual for the shipped mini, base for any other model.",
    ),
]
OnDevice = Annotated[Device, typer.Option("--device", help="Where the model runs.")]
Namespace = Annotated[str, typer.Option("--namespace", help="Namespace of the edits.")]
