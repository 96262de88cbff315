"""TOML files of tables, each of which is one example."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def read_tables(path: Path, kind: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The `[[kind]]` tables of a file, numbered from 1.

    Raises:
        ValueError: It is not TOML, or holds none; names the file.
        FileNotFoundError: There is no such file.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get(kind, [])
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path.name}: not TOML: {error}") from error
    if not tables:
        raise ValueError(f"{path.name}: expected [[{kind}]] tables, found none")
    yield from enumerate(tables, 1)
