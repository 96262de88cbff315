"""TOML files of tables, each of which is one example, written by hand: read and checked."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

Example = TypeVar("Example")


def load_tables(
    names: Sequence[str],
    folder: Path,
    kind: str,
    *,
    title: str,
    make: Callable[[Mapping[str, Any]], Example],
    faults: Callable[[Example], Iterable[str]],
) -> list[Example]:
    """What the `[[kind]]` tables of some files hold.

    Args:
        names: File names without ".toml".
        folder: Where the files are.
        kind: What a table is called.
        title: The key by which a table is named in messages.
        make: Makes an example of a table; raises TypeError or AttributeError if it cannot (`known_keys`, `as_texts`).
        faults: What is wrong with an example, if anything.

    Raises:
        ValueError: A file is not TOML, has no such table, or one at fault; names file, table and fault.
        FileNotFoundError: There is no such file.
    """
    loaded: list[Example] = []
    for name in names:
        path = folder / f"{name}.toml"
        for place, table in _read(path, kind):
            named = f"{path.name}: {table.get(title, f'{kind} {place}, without a {title}')}"
            try:
                example = make(table)
            except (AttributeError, TypeError) as error:
                raise ValueError(f"{named}: {error}") from error
            for fault in faults(example):
                raise ValueError(f"{named}: {fault}")
            loaded.append(example)
    return loaded


def known_keys(table: Mapping[str, Any], known: set[str]) -> None:
    """Refuse a table with other keys than `known`.

    Raises:
        TypeError: It has; says which.
    """
    if table.keys() != known:
        missing, unknown = sorted(known - table.keys()), sorted(table.keys() - known)
        raise TypeError(f"expected the keys {sorted(known)}; missing are {missing}, unknown are {unknown}")


def as_texts(value: Any, name: str) -> tuple[str, ...]:
    """The texts of a list.

    Raises:
        TypeError: `value`, which is called `name`, is no list of texts, or an empty one.
    """
    if not isinstance(value, list) or not value or not all(isinstance(text, str) and text.strip() for text in value):
        raise TypeError(f"{name}: expected a list of texts, got {value!r}")
    return tuple(value)


def _read(path: Path, kind: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The tables of a file, numbered from 1."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get(kind, [])
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path.name}: not TOML: {error}") from error
    if not tables:
        raise ValueError(f"{path.name}: expected [[{kind}]] tables, found none")
    yield from enumerate(tables, 1)
