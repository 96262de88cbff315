"""What is asked about everyday things, and what is easily taken for it."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from memedit.scope.augment import Augmenter
from training.scope_data.aspects import HELD_OUT, TRAINING, Kind, aspect_pairs, draw_edits, load_kinds

GOOD = """
[[kind]]
kind = "gym"
subjects = ["Corvel Gym", "Corbel Gym", "Iron Alley", "Iron Valley"]
aspects = [
    ["When does {} open?", "{} opens at", "what time does {} start"],
    ["When does {} close?", "{} closes at", "until when can i be at {}"],
    ["What does {} cost a month?", "The monthly fee of {} is", "how much is {} each month"],
    ["Who owns {}?", "The owner of {} is", "{} belongs to"],
]
"""


def load(folder: Path, text: str) -> list[Kind]:
    """What is read of a file with this text."""
    (folder / "made.toml").write_text(text, encoding="utf-8")
    return load_kinds("made", folder=folder)


def test_every_shipped_file_loads() -> None:
    """Each file obeys the rules, and there are many kinds with many aspects."""
    kinds = load_kinds(*TRAINING, *HELD_OUT)
    assert len(kinds) > 30
    assert sum(len(kind.aspects) for kind in kinds) > 500


def test_held_out_kinds_are_not_trained_on() -> None:
    """No kind and no template is both trained on and measured on."""
    trained, held_out = load_kinds(*TRAINING), load_kinds(*HELD_OUT)
    assert not {kind.name for kind in trained} & {kind.name for kind in held_out}
    templates = [
        {t.casefold() for kind in kinds for aspect in kind.aspects for t in aspect} for kinds in (trained, held_out)
    ]
    # A few short questions fit anything ("What is {} called?").
    assert len(templates[0] & templates[1]) < 0.02 * len(templates[1])


def test_what_is_stored_is_asked_and_what_is_near_is_not_stored(tmp_path: Path) -> None:
    """Queries mean their edit; misses and the other mean no edit that was drawn."""
    [gym] = load(tmp_path, GOOD)

    def asks(text: str) -> tuple[str, int]:
        return next(
            (subject, place)
            for subject in gym.subjects
            for place, aspect in enumerate(gym.aspects)
            if text in {template.replace("{}", subject) for template in aspect}
        )

    for seed in range(30):
        edits = list(draw_edits(gym, random.Random(seed)))
        stored = {asks(edit.wording) for edit in edits}
        assert len(edits) == len(stored) == 4
        for edit in edits:
            assert edit.wording not in edit.queries
            assert {asks(text) for text in edit.queries} == {asks(edit.wording)}
            assert {asks(text)[0] for text in edit.misses} == {asks(edit.wording)[0]}
            assert asks(edit.other)[1] == asks(edit.wording)[1]
            assert not {asks(text) for text in (*edit.misses, edit.other)} & stored


def test_names_can_be_left_out(tmp_path: Path) -> None:
    """Of a name that is left out no edit and no query speaks."""
    [gym] = load(tmp_path, GOOD)
    drawn = [edit for seed in range(9) for edit in draw_edits(gym, random.Random(seed), without=["Iron Alley"])]
    assert drawn
    assert not any("Iron" in text for edit in drawn for text in (edit.wording, *edit.queries, edit.other))


def test_pairs_are_labelled_by_what_they_ask(tmp_path: Path) -> None:
    """Each edit makes two pairs in scope, two about other aspects, and one about another thing."""
    [gym] = load(tmp_path, GOOD)
    [edit, *_] = draw_edits(gym, random.Random(0))
    pairs = list(aspect_pairs([edit], Augmenter(random.Random(0), [], rate=0.0)))
    assert Counter((pair.family, pair.in_scope) for pair in pairs) == {
        ("aspect", True): 2, ("other_aspect", False): 2, ("other_thing", False): 1,
    }  # fmt: skip
    assert {pair.query for pair in pairs if pair.in_scope} == set(edit.queries[:2])


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('"Iron Alley", "Iron Valley"', '"Iron Alley"', "expected 4 subjects"),
        ('"Iron Valley"', '"Iron Alley"', "a subject stands twice"),
        ("{} opens at", "it opens at", "exactly one"),
        ("{} opens at", "{} opens at {hour}", "exactly one"),
        ("{} opens at", "{} closes at", "cannot ask for two things"),
        (', "{} opens at", "what time', ', "what time', "expected 3 ways"),
        ("subjects =", "names =", "expected the keys"),
        ("[[kind]]", "[[event]]", "found none"),
    ],
)
def test_a_faulty_file_is_refused_by_name(tmp_path: Path, old: str, new: str, fault: str) -> None:
    """A file that breaks a rule is refused, and the message names it and says which."""
    with pytest.raises(ValueError, match=f"made.toml.*{fault}"):
        load(tmp_path, GOOD.replace(old, new))
