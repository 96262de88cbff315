"""What `memedit evaluate` was asked for, checked before anything slow is loaded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

import typer

from memedit.cli.options import DataFormat, Device
from memedit.errors import DatasetError
from memedit.evaluation.methods import METHODS, check_tool_name


class Protocol(StrEnum):
    """When edits are stored and when questions are asked."""

    SEQUENTIAL = "sequential"
    AFTER_EACH = "after_each"
    BATCHES = "batches"
    SINGLE = "single"


@dataclass(frozen=True)
class EvaluateOptions:
    """The options of the command, under their names there."""

    data: str | None
    form: DataFormat | None
    languages: str | None
    edits: int | None
    queries: int | None
    unrelated: Path | None
    distractors: Path | None
    protocol: Protocol
    batch: int
    synthetic: bool
    model: str | None
    editor: str | None
    scope: Path | None
    encoder: str | None
    device: Device
    seed: int
    compare: str | None
    stream: str
    limit: int | None
    report: Path | None
    judge: str | None
    questions_out: Path | None
    judge_file: Path | None
    tool: str | None
    answers: Path | None
    json_file: Path | None

    def check(self) -> None:
        """Refuse what cannot be done.

        Raises:
            BadParameter: Options do not fit together.
            DatasetError: A file is to be written into a folder that is not there.
        """
        if self.data is None and (self.judge_file is None or self.questions_out is not None):
            raise typer.BadParameter("--data is needed: a file with its --format, or the name of a data set")
        if self.protocol is not Protocol.SEQUENTIAL and (self.compare or self.judge_file or self.questions_out):
            raise typer.BadParameter("--compare, --questions-out and --judge-file know the protocol sequential alone")
        if self.compare is not None:
            self._check_comparison()
        elif self.limit is not None or (self.report is not None and self.judge_file is None):
            raise typer.BadParameter("--report and --limit are for --compare; --json and --answers write the others")
        elif self.judge_file is not None and self.report is not None:
            self._check_tool()
        elif self.edits is None and self.data is not None:
            raise typer.BadParameter("--edits is needed: how many edits to store")
        if self.distractors is not None and not (self.compare or self.questions_out or self.judge_file):
            raise typer.BadParameter("--distractors goes with --compare, --questions-out and --judge-file")
        self._check_outputs()

    def methods(self) -> dict[str, int | None]:
        """What is compared, and the most edits of each; None for the whole stream.

        Raises:
            BadParameter: What stands behind a name's colon is no whole number of 1 or more.
        """
        found: dict[str, int | None] = {}
        for part in (self.compare or "").split(","):
            name, colon, most = (each.strip() for each in part.partition(":"))
            if colon and not (most.isdecimal() and int(most)):
                raise typer.BadParameter(
                    f"behind a method's colon stands its most edits, such as grace:1000; got {part!r}"
                )
            if name:
                found[name] = int(most) if colon else None
        return found

    def sizes(self) -> list[int]:
        """Numbers of stored edits at which it is asked.

        Raises:
            BadParameter: They are not whole numbers of 1 or more.
        """
        parts = [part.strip() for part in self.stream.split(",")]
        if not all(part.isdecimal() and int(part) for part in parts):
            raise typer.BadParameter(f"--stream must be whole numbers of 1 or more with commas, got {self.stream!r}")
        return [int(part) for part in parts]

    def language_pair(self) -> tuple[str, str] | None:
        """The languages of edits and questions.

        Raises:
            BadParameter: They are not two.
        """
        if self.languages is None:
            return None
        parts = self.languages.split(",")
        if len(parts) != 2:
            raise typer.BadParameter(f"--languages must be two with a comma, such as en,zh, got {self.languages!r}")
        return parts[0].strip(), parts[1].strip()

    def _check_outputs(self) -> None:
        for name, file in (("json", self.json_file), ("answers", self.answers), ("questions-out", self.questions_out)):
            if file is not None and not (name == "json" and str(file) == "-"):
                _check_file(name, file)
        if self.report is not None and self.report.exists() and not self.report.is_dir():
            raise typer.BadParameter(f"--report is a folder, and {self.report} is a file")

    def _check_tool(self) -> None:
        if self.tool is None or self.data is None or self.edits is None:
            raise typer.BadParameter("--judge-file with --report needs --tool, --data and --edits")
        try:
            check_tool_name(self.tool)
        except ValueError as error:
            raise typer.BadParameter(f"--tool: {error}") from None

    def _check_comparison(self) -> None:
        if self.report is None:
            raise typer.BadParameter("--compare needs --report: the folder for tables, plots and answers")
        if self.judge_file or self.questions_out or self.answers:
            raise typer.BadParameter("--compare goes without --judge-file, --questions-out and --answers")
        if self.editor is not None and not Path(self.editor).is_dir():
            raise typer.BadParameter("beside --compare, --editor is the folder of a counterfactual model")
        if find_spec("matplotlib") is None:
            raise typer.BadParameter("the plots of a report need matplotlib: pip install 'memedit[plots]'")
        if self.edits is not None:
            raise typer.BadParameter("--compare takes its numbers of edits from --stream, not from --edits")
        most, fewest = self.methods(), min(self.sizes())
        _check_methods(most)
        if all(limit is not None and limit < fewest for limit in most.values()):
            raise typer.BadParameter(f"--stream begins with {fewest}, more edits than any of the methods is to take")


def _check_file(name: str, file: Path) -> None:
    if str(file) == "-":
        raise typer.BadParameter(f"--{name} takes a file; only --json writes to stdout")
    if file.is_dir():
        raise typer.BadParameter(f"--{name} takes a file, and {file} is a folder")
    if not file.absolute().parent.is_dir():
        raise DatasetError(f"cannot write {file}: there is no folder {file.absolute().parent}")


def _check_methods(names: Collection[str]) -> None:
    if unknown := [name for name in names if name not in METHODS]:
        raise typer.BadParameter(f"--compare takes {', '.join(METHODS)}, got {', '.join(unknown)}")
    if not names:
        raise typer.BadParameter(f"--compare takes some of {', '.join(METHODS)}, got none")
