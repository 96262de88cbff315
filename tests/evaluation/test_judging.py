"""A model as judge, with a stand-in for the pipeline, and answers that another tool gave."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from memedit.errors import DatasetError
from memedit.evaluation.answer_files import named_questions, read_answers, write_questions
from memedit.evaluation.cases import Case, LocalityKind, Probe
from memedit.evaluation.judging import PipelineJudge
from memedit.evaluation.questions import Plan
from memedit.evaluation.report import answer_rows, build_report

CASES = (
    Case(
        7,
        "The capital of France is",
        "Lyon",
        "France",
        answers=("Lyons",),
        paraphrases=("France's capital is", "What is the capital of France?"),
        locality={LocalityKind.NEIGHBOUR: (Probe("The capital of Spain is", ("Madrid",)),)},
    ),
    Case(9, "中国的首都是", "上海", "中国", paraphrases=("中国首都是哪里？",)),
)
PLAN = Plan.of(CASES, [0, 1], [Probe("who wrote the song")])


class StubPipeline:
    """Called like a text-generation pipeline; replies from a list and keeps what it was asked."""

    def __init__(self, *replies: str, chat_template: str | None = None) -> None:
        """Take the replies in their order."""
        self.tokenizer = SimpleNamespace(chat_template=chat_template)
        self.asked: list[Any] = []
        self._replies = list(replies)

    def __call__(self, prompt: Any, **options: Any) -> list[dict[str, str]]:
        """The next reply."""
        assert options["do_sample"] is False
        assert options["return_full_text"] is False
        self.asked.append(prompt)
        return [{"generated_text": self._replies.pop(0)}]


def test_the_judge_says_yes_or_no() -> None:
    """The first yes or no of the reply is the verdict, and the model sees question, reference and answer."""
    pipe = StubPipeline(" Yes, it does.", "**No**")
    judge = PipelineJudge(pipe)
    assert judge("Who runs Acme?", ["Dana Reyes", "D. Reyes"], "Mrs Reyes")
    assert not judge("Who runs Acme?", ["Dana Reyes"], "Mr Reyes")
    assert all(text in pipe.asked[0] for text in ("Who runs Acme?", "Dana Reyes / D. Reyes", "Mrs Reyes"))


def test_the_judge_is_asked_once_and_never_for_nothing() -> None:
    """A repeated question is answered from memory, and an empty answer is wrong without asking."""
    pipe = StubPipeline("yes")
    judge = PipelineJudge(pipe)
    assert judge("q", ["a"], "b") is judge("q", ["a"], "b") is True
    assert not judge("q", ["a"], " ")
    assert len(pipe.asked) == 1


def test_a_reply_without_verdict_counts_as_no(caplog: pytest.LogCaptureFixture) -> None:
    """What is neither yes nor no is counted and told."""
    judge = PipelineJudge(StubPipeline("Notably, perhaps."))
    assert not judge("q", ["a"], "b")
    assert judge.unclear == 1
    assert "neither yes nor no" in caplog.text


def test_a_chat_model_is_asked_in_a_chat() -> None:
    """Where the tokenizer has a chat template the question is a user's message."""
    pipe = StubPipeline("yes", chat_template="{{ messages }}")
    assert PipelineJudge(pipe)("q", ["a"], "b")
    assert [message["role"] for message in pipe.asked[0]] == ["user"]


def test_questions_for_another_tool(tmp_path: Path) -> None:
    """The file tells which edits to store, in order, and then each question with a name of its own."""
    path = tmp_path / "questions.jsonl"
    assert write_questions(path, CASES, PLAN) == 7
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    edits, asked = ([row for row in rows if row["do"] == what] for what in ("edit", "ask"))
    assert [(row["edit"], row["target"]) for row in edits] == [(1, "Lyon"), (2, "上海")]
    assert [row["id"] for row in asked] == [
        "7-reliability-1", "7-generality-1", "7-generality-2", "7-neighbour-1",
        "9-reliability-1", "9-generality-1", "unrelated-1",
    ]  # fmt: skip
    assert asked[0]["accepted"] == ["Lyon", "Lyons"]
    assert [row["edit"] for row in asked] == [1, 1, 1, 1, 2, 2, None]


def write(path: Path, *rows: dict[str, Any]) -> Path:
    """Write rows as JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_answers_of_another_tool_are_scored_as_memedits_own(tmp_path: Path) -> None:
    """Answers are cut, normalised and compared by the same rules; what was left unanswered is wrong."""
    path = write(
        tmp_path / "answers.jsonl",
        {"do": "edit", "edit": 1, "prompt": "x", "target": "y"},
        {"id": "7-reliability-1", "answer": " Lyons. It is a city"},
        {"id": "7-generality-1", "answer": " Lyon, in France"},
        {"id": "9-reliability-1", "answer": "上 海。是"},
        {"id": "7-neighbour-1", "answer": " Madrid. And", "base": " Madrid. But"},
    )
    evaluation = read_answers(path, named_questions(PLAN))
    report = build_report(evaluation, {}, judge=lambda question, accepted, answer: "Lyon" in answer)
    assert report["reliability"] == 1.0
    # One of three paraphrases was answered, with more than the target.
    assert report["generality"] == 0.0
    assert report["scores"]["contains"]["generality"] == pytest.approx(1 / 3)
    assert report["scores"]["token_f1"]["generality"] == pytest.approx(0.5 / 3)
    assert report["scores"]["judged"] == {"reliability": 0.5, "generality": pytest.approx(1 / 3), "portability": None}
    assert report["locality"]["neighbour"] == 1.0
    assert report["locality"]["unrelated"] is None
    assert report["counts"]["unanswered"] == 2
    assert report["intervals"]["generality"]["edits"] == 2
    assert answer_rows(evaluation)[1]["answer"] == "Lyon, in France"


def test_a_file_may_hold_the_questions_itself(tmp_path: Path) -> None:
    """Without data each line says what it asks and what is right."""
    path = write(
        tmp_path / "answers.jsonl",
        {"asks": "generality", "prompt": "Who?", "accepted": ["Ann"], "answer": "Ann", "edit": 1},
        {"asks": "generality", "prompt": "Who?", "accepted": ["Ann"], "answer": "Bob", "edit": 1},
        {"asks": "same_subject", "prompt": "Why?", "answer": "So", "base": "Thus"},
        {"asks": "generality", "prompt": "Old?", "accepted": ["x"], "answer": "y", "scored": False},
        {"asks": "portability", "prompt": "Which?", "accepted": [["Ann"], ["Bob", "Rob"]], "answer": "Rob and Ann"},
        {"asks": "portability", "prompt": "Which?", "accepted": [["Ann"], ["Bob", "Rob"]], "answer": "Ann"},
    )
    report = build_report(read_answers(path), {})
    assert report["generality"] == 0.5
    assert report["portability"] == 0.5
    assert report["locality"]["same_subject"] == 0.0
    assert report["raw"]["generality"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"id": "7-generality-9", "answer": "x"}, "no question '7-generality-9'"),
        ({"id": "7-neighbour-1", "answer": "x"}, "base must be a text"),
        ({"id": "7-reliability-1"}, "answer must be a text"),
        ({"answer": "x"}, "id must be a text"),
    ],
)
def test_bad_lines_are_named(row: dict[str, Any], told: str, tmp_path: Path) -> None:
    """A line that lacks something or names no question is refused with its number."""
    good = {"id": "9-reliability-1", "answer": "x"}
    with pytest.raises(DatasetError, match=rf"record 2: .*{told}"):
        read_answers(write(tmp_path / "a.jsonl", good, row), named_questions(PLAN))


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"asks": "taste", "prompt": "q", "answer": "x"}, "asks must be one of"),
        ({"asks": "generality", "prompt": "q", "answer": "x"}, "accepted must hold"),
        ({"asks": "unrelated", "prompt": "q", "answer": "x", "base": "x", "scored": 1}, "scored must be true or false"),
    ],
)
def test_bad_questions_are_named(row: dict[str, Any], told: str, tmp_path: Path) -> None:
    """A line that holds its question must say what it asks and what is right."""
    with pytest.raises(DatasetError, match=told):
        read_answers(write(tmp_path / "a.jsonl", row))


def test_one_answer_for_each_question(tmp_path: Path) -> None:
    """Two answers to one question are refused: which one counts is not for the file to choose."""
    row = {"id": "9-reliability-1", "answer": "x"}
    with pytest.raises(DatasetError, match="answered before"):
        read_answers(write(tmp_path / "a.jsonl", row, row), named_questions(PLAN))
