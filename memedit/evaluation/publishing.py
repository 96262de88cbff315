"""A comparison as a folder that can be read, checked and run again."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memedit.evaluation.comparing import Comparison
from memedit.evaluation.figures import CAPTIONS, save_figures
from memedit.evaluation.runs import Run
from memedit.evaluation.tables import markdown


def save_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Write `comparison.json`, `README.md` and the plots beside the raw answers of the runs.

    Args:
        comparison: With at least one run.
        folder: Where to; made if it does not exist.

    Returns:
        The files.

    Raises:
        ImportError: matplotlib, the extra `memedit[plots]`, is not installed; nothing is written then.
    """
    plots = save_figures(comparison, folder)
    figures, page = folder / "comparison.json", folder / "README.md"
    figures.write_text(json.dumps(comparison_values(comparison), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    page.write_text(_page(comparison, plots), encoding="utf-8")
    return [page, figures, *plots]


def comparison_values(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON-compatible values: `settings` and, under `runs`, what each gave."""
    runs = [
        {"method": run.method, "edits": run.edits, "seconds": run.seconds, "report": run.evaluation_report}
        for run in comparison.runs
    ]
    return {"settings": comparison.settings, "runs": runs}


def load_comparison(folder: Path) -> Comparison:
    """Read what `save_comparison` wrote.

    Args:
        folder: Where to.
    """
    values = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    return Comparison(
        values["settings"],
        [Run(run["method"], run["edits"], run["report"], run["seconds"]) for run in values["runs"]],
    )


def _page(comparison: Comparison, plots: Sequence[Path]) -> str:
    methods = ", ".join(dict.fromkeys(run.method for run in comparison.runs))
    lines = [
        "# Comparison of editing methods",
        "",
        f"Methods: {methods}. All figures with settings, versions and hashes are in "
        "[comparison.json](comparison.json), every question with its answer under `answers/`.",
        "",
        *_settings(comparison.settings),
        "",
        *(f"![{CAPTIONS[plot.stem]}]({plot.name})\n" for plot in plots),
        markdown(comparison),
        *_not_scored(comparison.runs),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _settings(settings: Mapping[str, Any]) -> list[str]:
    """The single values among the settings, and the paths or names of what was read, as a table."""
    plain = {name: _told(value) if isinstance(value, Mapping) else value for name, value in settings.items()}
    rows = [f"| {name.replace('_', ' ')} | {value} |" for name, value in plain.items() if _is_plain(value)]
    return ["| setting | |", "|---|---|", *rows] if rows else []


def _told(source: Mapping[str, Any]) -> Any:
    """Where something was read, or what it is called."""
    return source.get("path", source.get("name"))


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float) and "\n" not in str(value)


def _not_scored(runs: Sequence[Run]) -> list[str]:
    """What cleaning left out, which is the same for all methods at one number of edits."""
    by_size: dict[int, dict[str, Any]] = defaultdict(dict)
    for run in runs:
        # Another tool's run adds what it gave no answer to.
        by_size[run.edits] |= run.evaluation_report["dropped"]
    reasons = list(dict.fromkeys(reason for dropped in by_size.values() for reason in dropped))
    if not reasons:
        return []
    return [
        "## Not scored",
        "",
        f"| stored edits | {' | '.join(reason.replace('_', ' ') for reason in reasons)} |",
        f"|---|{'---|' * len(reasons)}",
        *(
            f"| {size:,} | {' | '.join(str(dropped.get(reason, 0)) for reason in reasons)} |"
            for size, dropped in sorted(by_size.items())
        ),
    ]
