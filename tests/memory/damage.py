"""Doing to a memory file what memedit never does."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def run_sql(path: Path, *statements: str) -> None:
    """Change the file behind memedit's back."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
