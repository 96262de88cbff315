"""What `memedit evaluate` writes and prints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memedit.cli.console import note, print_json, print_table


def write_rows(path: Path | None, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as JSON Lines, if a file was named."""
    if path is not None:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        note(f"wrote {path}")


def write_figures(path: Path | None, values: Mapping[str, Any]) -> bool:
    """Write figures as JSON, if a file was named.

    Args:
        path: Where to; `-` for stdout.
        values: JSON-compatible figures.

    Returns:
        Whether stdout is free for people to read.
    """
    if str(path) == "-":
        print_json(values)
        return False
    if path is not None:
        path.write_text(json.dumps(values, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        note(f"wrote {path}")
    return True


def print_report(report: Mapping[str, Any]) -> None:
    """The figures of one report, a table for each protocol."""
    from memedit.evaluation.tables import TABLES, shown, value_at

    for table in TABLES:
        rows = [
            [name, shown(value_at(report, path)), _interval(report, path), shown(value_at(report["raw"], path))]
            for name, path in table.columns.items()
            if value_at(report, path) is not None
        ]
        if rows:
            print_table(table.title, ["figure", "clean memory", "95 % interval", "raw"], rows)
    for name in ("cost", "dropped", "counts"):
        if report[name]:
            rows = [[title.replace("_", " "), shown(value)] for title, value in report[name].items()]
            print_table(name, ["", ""], rows)


def print_comparison(values: Mapping[str, Any]) -> None:
    """The main shares of a comparison; all others are in its folder."""
    from memedit.evaluation.tables import TABLES, present, shown, value_at

    columns = present(TABLES[0].columns, [run["report"] for run in values["runs"]])
    rows = [
        [run["method"], f"{run['edits']:,}", *(shown(value_at(run["report"], path)) for path in columns.values())]
        for run in values["runs"]
    ]
    print_table(TABLES[0].title, ["method", "edits", *columns], rows)


def _interval(report: Mapping[str, Any], path: str) -> str:
    from memedit.evaluation.tables import value_at

    found = value_at(report["intervals"], path)
    return "" if found is None else f"{found['low']:.3f} to {found['high']:.3f}, {found['n']} questions"
