"""Passages on topics of their own, and what may be asked beside them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from training.scope_data.passages import HELD_OUT, TRAINING, Passage, load_passages
from training.scope_data.statement_pairs import apart

GOOD = """
[[passage]]
text = "The Harlow Lane bathhouse takes cards only from 3 May. A swim is now 9 euros."
about = "Harlow Lane bathhouse"
similar = "Harlow Road bathhouse"
answered = ["Can I pay cash at the Harlow Lane bathhouse?", "harlow lane bathhouse price", "What is a swim?"]
open = ["Who runs the Harlow Lane bathhouse?", "Harlow Lane bathhouse sauna", "Harlow Lane bathhouse built in"]
"""


def load(folder: Path, text: str) -> list[Passage]:
    """What is read of a file with this text."""
    (folder / "made.toml").write_text(text, encoding="utf-8")
    return load_passages("made", folder=folder)


def test_every_shipped_file_loads_and_no_passage_is_there_twice() -> None:
    """Each file obeys the rules, and no text is in two of them."""
    texts = Counter(passage.text for passage in load_passages(*TRAINING, *HELD_OUT))
    assert len(texts) > 5_000
    assert set(texts.values()) == {1}


def test_held_out_passages_are_about_nothing_that_is_trained_on() -> None:
    """No name, and no question, is both trained on and measured on."""
    trained, held_out = load_passages(*TRAINING), load_passages(*HELD_OUT)
    for passages_of in (
        lambda p: {p.about.casefold(), p.similar.casefold()},
        lambda p: {text.casefold() for text in (*p.answered, *p.open)},
    ):
        assert not set().union(*map(passages_of, trained)) & set().union(*map(passages_of, held_out))


def test_a_passage_is_told_of_its_namesake(tmp_path: Path) -> None:
    """Text and questions change the name, in small letters where it was in small letters, and nothing else."""
    [passage] = load(tmp_path, GOOD)
    renamed = passage.renamed()
    assert renamed.text == passage.text.replace("Harlow Lane", "Harlow Road")
    assert renamed.answered[1] == "harlow road bathhouse price"
    assert renamed.open == tuple(text.replace("Lane", "Road") for text in passage.open)
    assert renamed.renamed() == passage


def test_a_passage_is_asked_as_a_statement_is(tmp_path: Path) -> None:
    """Each answered question is a part; asked of the namesake it is a near-miss, if it names the thing at all."""
    [passage] = load(tmp_path, GOOD)
    statement = passage.as_statement()
    assert statement.wording == passage.text
    assert statement.questions == tuple((text,) for text in passage.answered)
    assert statement.misses == passage.open
    assert statement.others == ("Can I pay cash at the Harlow Road bathhouse?", "harlow road bathhouse price")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("The Harlow Lane bathhouse takes", "It takes", "does not name what it is about"),
        ('similar = "Harlow Road bathhouse"', 'similar = "harlow lane bathhouse"', "is no other thing"),
        ('"Harlow Lane bathhouse sauna", ', "", "expected 3 questions"),
        ("Who runs the Harlow Lane bathhouse?", "Who runs it?", "does not name what the passage is about"),
        ('"Harlow Lane bathhouse sauna"', '"harlow lane bathhouse price"', "cannot be answered and open"),
        ("similar =", "other =", "expected the keys"),
        ("[[passage]]", "[[event]]", "found none"),
        ("similar =", "similar", "not TOML"),
    ],
)
def test_a_faulty_file_is_refused_by_name(tmp_path: Path, old: str, new: str, fault: str) -> None:
    """A file that breaks a rule is refused, and the message names it and says which."""
    with pytest.raises(ValueError, match=f"made.toml.*{fault}"):
        load(tmp_path, GOOD.replace(old, new))


def test_in_one_memory_nothing_is_a_near_miss_that_another_statement_answers(tmp_path: Path) -> None:
    """Where namesakes are stored together, what is asked of the one is no near-miss of the other; the rest stays."""
    [passage] = load(tmp_path, GOOD)
    alone, namesake = passage.as_statement(), passage.renamed().as_statement()
    assert apart([alone]) == [alone]
    [kept, _] = apart([alone, namesake])
    assert alone.others
    assert not kept.others
    assert kept.misses == alone.misses
