"""The base's answers in a file."""

from __future__ import annotations

from pathlib import Path

from memedit.evaluation.base_answers import BaseAnswersFile
from memedit.evaluation.decoding import Answer, AnswersKey

FIRST: AnswersKey = (("Who\u2028runs Acme?", "巴黎"), 50, True)
SECOND: AnswersKey = (("Who?",), 50, False)
ANSWERS = [Answer("Dana\u2028\x85Reyes", (3, 4)), Answer("", ())]


def test_answers_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    """Texts of any kind, tokens and the key of the batch come back in another process."""
    path = tmp_path / "new" / "base.jsonl"
    written = BaseAnswersFile(path, {"base": "a"})
    written[FIRST] = ANSWERS
    written[SECOND] = ANSWERS[1:]
    assert dict(BaseAnswersFile(path, {"base": "a"})) == {FIRST: ANSWERS, SECOND: ANSWERS[1:]}


def test_answers_of_another_base_are_not_taken(tmp_path: Path) -> None:
    """Where base, versions or machine are others, the file begins anew."""
    path = tmp_path / "base.jsonl"
    BaseAnswersFile(path, {"base": "a"})[FIRST] = ANSWERS
    other = BaseAnswersFile(path, {"base": "b"})
    assert not other
    assert set(BaseAnswersFile(path, {"base": "a"})) == {FIRST}, "nothing is lost before there is something new"
    other[SECOND] = ANSWERS
    assert set(BaseAnswersFile(path, {"base": "b"})) == {SECOND}


def test_a_line_that_was_not_finished_is_cut_off(tmp_path: Path) -> None:
    """A process killed while it wrote loses that batch alone, and the next line stands by itself."""
    path = tmp_path / "base.jsonl"
    written = BaseAnswersFile(path, {})
    written[FIRST] = ANSWERS
    written[SECOND] = ANSWERS
    whole = path.read_text()
    for end in (len(whole) - 1, len(whole) - 30):
        path.write_text(whole[:end])
        again = BaseAnswersFile(path, {})
        assert set(again) == {FIRST}
        again[SECOND] = ANSWERS
        assert path.read_text() == whole
    path.write_text(whole[:20])
    assert not BaseAnswersFile(path, {})
