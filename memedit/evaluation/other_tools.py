"""Answers that another tool gave, as rows of a comparison beside the methods that were run here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memedit.errors import DatasetError
from memedit.evaluation.comparing import Comparison
from memedit.evaluation.judging import Judge
from memedit.evaluation.methods import METHODS, check_tool_name
from memedit.evaluation.protocols import Evaluation
from memedit.evaluation.report import build_report
from memedit.evaluation.runs import Run, all_runs, write_run
from memedit.evaluation.stages import Stage


def add_tool(
    folder: Path,
    name: str,
    stage: Stage,
    evaluation: Evaluation,
    settings: Mapping[str, Any],
    judge: Judge | None = None,
) -> Run:
    """Write what another tool answered as a run among those of a comparison.

    Args:
        folder: That of the comparison, which may be made before or after.
        name: How the tool is called in tables and plots.
        stage: What it was asked, from `planned`.
        evaluation: Its answers, from `read_answers`.
        settings: What is to be noted, as JSON-compatible values.
        judge: Decides beside the rules.

    Raises:
        ValueError: The name is a method's, or no name of a file.
    """
    check_tool_name(name)
    noted = {**settings, "method": name, "asked_sha256": stage.digest}
    run = Run(name, stage.edits, build_report(evaluation, noted, judge), 0.0)
    write_run(folder, run, noted, evaluation, judge)
    return run


def with_tools(comparison: Comparison, folder: Path) -> Comparison:
    """A comparison with the runs of other tools that its folder holds now.

    Args:
        comparison: What was run here; at least one run.
        folder: Where `add_tool` wrote.

    Raises:
        DatasetError: A tool was asked other questions at one of the comparison's sizes.
    """
    own = [run for run in comparison.runs if run.method in METHODS]
    asked = {run.edits: run.evaluation_report["settings"]["asked_sha256"] for run in own}
    runs = [run for run in all_runs(folder) if run.method not in METHODS and run.edits in asked]
    for run in runs:
        if run.evaluation_report["settings"]["asked_sha256"] != asked[run.edits]:
            raise DatasetError(
                f"{run.method} was not asked at {run.edits} edits what the others were; write its questions with the "
                "options of the comparison (data, distractors, unrelated, queries, seed)"
            )
    return Comparison(comparison.settings, [*own, *runs])
