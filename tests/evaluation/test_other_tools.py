"""Answers of other tools as rows of a comparison."""

from __future__ import annotations

from pathlib import Path

import pytest

from memedit.errors import DatasetError
from memedit.evaluation.cases import Case, Dataset
from memedit.evaluation.comparing import Comparison
from memedit.evaluation.decoding import Answer
from memedit.evaluation.other_tools import add_tool, with_tools
from memedit.evaluation.protocols import Evaluation
from memedit.evaluation.questions import RELIABILITY, Question
from memedit.evaluation.report import build_report
from memedit.evaluation.runs import Run
from memedit.evaluation.stages import Stage, planned
from memedit.evaluation.tables import markdown

DATASET = Dataset(tuple(Case(row, f"The code of box {row} is", f"{row} x") for row in range(1, 6)))


def answered(stage: Stage, said: str) -> Evaluation:
    """All questions of a stage with one answer."""
    assert stage.round.plan is not None
    questions = [question for _, question in stage.round.plan.questions]
    for question in questions:
        question.answer = Answer(said, ())
    return Evaluation(questions, cost={}, dropped={})


def comparison(*stages: Stage) -> Comparison:
    """The base, asked at some sizes."""
    runs = []
    for stage in stages:
        report = build_report(answered(stage, "nothing"), {"asked_sha256": stage.digest})
        runs.append(Run("base", stage.edits, report, 1.0))
    return Comparison({"seed": 0}, runs)


def test_another_tool_stands_beside_the_methods(tmp_path: Path) -> None:
    """What another tool answered is a row at its size, once, and none at sizes that were not compared."""
    one, three = (planned(DATASET, edits) for edits in (1, 3))
    right = one.round.new[0].target
    run = add_tool(tmp_path, "mend", one, answered(one, right), {"judge_file": {"path": "a.jsonl"}})
    assert (run.evaluation_report["reliability"], run.evaluation_report["settings"]["method"]) == (1.0, "mend")
    add_tool(tmp_path, "mend", planned(DATASET, 5), answered(planned(DATASET, 5), right), {})
    joined = with_tools(comparison(one, three), tmp_path)
    assert [(each.method, each.edits) for each in joined.runs] == [("base", 1), ("base", 3), ("mend", 1)]
    assert with_tools(joined, tmp_path) == joined
    tables = markdown(joined)
    assert tables.count("| mend | 1.000 (") == 3  # exact match, containment, F1


def test_answers_to_other_questions_are_refused(tmp_path: Path) -> None:
    """A tool that was asked with another seed does not stand in the same table."""
    other = planned(DATASET, 3, seed=1)
    assert other.digest != planned(DATASET, 3).digest
    add_tool(tmp_path, "mend", other, answered(other, "x"), {})
    with pytest.raises(DatasetError, match="mend was not asked at 3 edits what the others were"):
        with_tools(comparison(planned(DATASET, 3)), tmp_path)


@pytest.mark.parametrize("name", ["base", "../mend", "", "a b"])
def test_a_tool_has_a_name_of_its_own(name: str, tmp_path: Path) -> None:
    """The name of a method, or one that is no name of a file, is refused."""
    stage = planned(DATASET, 1)
    with pytest.raises(ValueError, match="that no method has"):
        add_tool(
            tmp_path,
            name,
            stage,
            Evaluation([Question(RELIABILITY, stage.round.plan.questions[0][1].probe, True)], {}, {}),
            {},
        )  # type: ignore[union-attr]
    assert not (tmp_path / "runs").exists()
