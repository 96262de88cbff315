"""One method judged with one number of edits in place, as a file that tells whether it must be done again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from memedit.errors import DatasetError
from memedit.evaluation.judging import Judge
from memedit.evaluation.methods import METHODS
from memedit.evaluation.protocols import Evaluation
from memedit.evaluation.report import answer_rows


@dataclass(frozen=True, slots=True)
class Run:
    """One method judged with one number of edits in place.

    Attributes:
        method: Its name in `memedit.evaluation.methods.METHODS`, or that of another tool.
        edits: How many edits of the stream were stored.
        evaluation_report: What `build_report` made of it; `settings` holds the method's own settings.
        seconds: Wall time of storing what was new, asking and scoring.
    """

    method: str
    edits: int
    evaluation_report: dict[str, Any]
    seconds: float


def answers_file(folder: Path, method: str, edits: int) -> Path:
    """Where the questions and answers of one run lie, as JSON Lines (rows of `answer_rows`)."""
    return folder / "answers" / f"{method}-{edits}.jsonl"


def run_file(folder: Path, method: str, edits: int) -> Path:
    """Where the figures of one run lie, as JSON: `run` with the fields of `Run`, and `settings`."""
    return folder / "runs" / f"{method}-{edits}.json"


def write_run(
    folder: Path, run: Run, settings: Mapping[str, Any], evaluation: Evaluation, judge: Judge | None = None
) -> None:
    """Write a run that is finished, with its questions and answers.

    Args:
        folder: That of the comparison.
        run: What came of it.
        settings: What it depends on.
        evaluation: The questions with their answers.
        judge: Adds its verdicts.
    """
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in answer_rows(evaluation, judge))
    _write(answers_file(folder, run.method, run.edits), "".join(lines))
    # Last, since it says that the run is finished.
    values = {"run": asdict(run), "settings": settings}
    _write(run_file(folder, run.method, run.edits), json.dumps(values, ensure_ascii=False, indent=2) + "\n")


def read_run(folder: Path, method: str, edits: int, settings: Mapping[str, Any]) -> Run | None:
    """The run as it was written; None if it was not made yet.

    Args:
        folder: That of the comparison.
        method: The run's method.
        edits: The run's number of edits.
        settings: What it must have been made with. A `path` within them may be another: what lay there is
            told by the hash beside it.

    Raises:
        DatasetError: It was made with other settings.
    """
    path = run_file(folder, method, edits)
    if not path.is_file():
        return None
    values = json.loads(path.read_text(encoding="utf-8"))
    found, wanted = without_paths(values["settings"]), without_paths(json.loads(json.dumps(settings)))
    if differing := sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name)):
        raise DatasetError(
            f"{path} holds a run with other settings ({', '.join(differing)}); "
            "name another folder, or remove the runs from this one"
        )
    return Run(**values["run"])


def all_runs(folder: Path) -> list[Run]:
    """All runs that a comparison's folder holds, whatever they were made with: by method as in `METHODS`, and by size.

    Methods of other tools come last.
    """
    found = [json.loads(path.read_text(encoding="utf-8"))["run"] for path in folder.glob("runs/*.json")]
    order = {name: place for place, name in enumerate(METHODS)}
    runs = [Run(**values) for values in found]
    return sorted(runs, key=lambda run: (order.get(run.method, len(order)), run.method, run.edits))


def without_paths(settings: Any) -> Any:
    """JSON-compatible settings without the members named `path`, at any depth."""
    if not isinstance(settings, Mapping):
        return settings
    return {name: without_paths(value) for name, value in settings.items() if name != "path"}


def _write(path: Path, text: str) -> None:
    """Write a file that is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
