"""Templates of free statements, and what is filled from them."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import pytest

from training.scope_data.statements import HELD_OUT, TRAINING, draw_statements, load_events
from training.scope_data.values import KINDS, draw_value, similar_value

GOOD = """
[[event]]
topic = "club moves"
key = ["club"]
slots = { club = "club", venue = "venue", old = "venue", animal = ["eagle", "lion"] }
statements = [
  "{club} leaves {old} for {venue}. A {animal} is its mascot.",
  "Correction: {club}, whose mascot is a {animal}, plays at {venue}, not {old}.",
  "{venue} instead of {old}: {club} moves. {animal} and all.",
]
misses = ["Who coaches {club}?", "How old is {club}?", "who owns {club}", "Who captains {club}?", "{club} began in"]
[[event.part]]
answer = "{venue}"
questions = ["Where does {club} play?", "whats the ground of {club}", "{club} plays at", "Tell me where {club} moved."]
[[event.part]]
answer = "{animal}"
questions = ["Which mascot has {club}?", "{club}s mascot?", "The mascot of {club} is", "Name the animal of {club}."]
"""


def write(folder: Path, text: str) -> Path:
    """Make `text` the template file "made" in `folder`."""
    (folder / "made.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", [*TRAINING, *HELD_OUT])
def test_every_shipped_file_loads_and_fills(name: str) -> None:
    """Each file obeys the rules, and what is drawn from it has no slot left and questions of every sort."""
    events = load_events(name)
    drawn = draw_statements(events, random.Random(0), 20 * len(events))
    assert {statement.topic for statement in drawn} == {event.topic for event in events}
    for statement in drawn:
        questions = [text for part in statement.questions for text in part]
        for text in (statement.wording, *questions, *statement.misses, *statement.others):
            assert "{" not in text
            assert "}" not in text
        assert len(statement.questions) >= 2
        assert all(len(part) >= 4 for part in statement.questions)
        assert len(statement.misses) >= 5
        assert len(statement.others) >= len(questions) // 2


def test_held_out_topics_are_not_trained_on() -> None:
    """No topic, and no form of a statement, is both trained on and measured on."""
    trained, held_out = load_events(*TRAINING), load_events(*HELD_OUT)
    assert not {event.topic for event in trained} & {event.topic for event in held_out}
    forms = {re.sub(r"\{\w+\}", "{}", form) for event in trained for form in event.statements}
    assert not forms & {re.sub(r"\{\w+\}", "{}", form) for event in held_out for form in event.statements}


def test_a_statement_holds_what_its_questions_ask(tmp_path: Path) -> None:
    """The statement names the key and all answers, its questions and misses the key, the others some other key."""
    for statement in draw_statements(load_events("made", folder=write(tmp_path, GOOD)), random.Random(1), 50):
        club = re.fullmatch(r"Who coaches (.+)\?", statement.misses[0])[1]
        assert club in statement.wording
        assert re.search("eagle|lion", statement.wording, re.IGNORECASE)
        assert all(club in text for part in statement.questions for text in part)
        assert all(club in text for text in statement.misses)
        asked = {text for part in statement.questions for text in part}
        assert len(statement.others) == 8
        assert not asked & set(statement.others)


def test_slots_of_one_kind_differ(tmp_path: Path) -> None:
    """The old and the new venue are never the same."""
    events = load_events("made", folder=write(tmp_path, GOOD))
    for statement in draw_statements(events, random.Random(2), 200):
        if match := re.match(r".+ leaves (.+) for (.+)\. An? ", statement.wording):
            assert match[1] != match[2]


def test_articles_and_sentence_starts_fit_the_value(tmp_path: Path) -> None:
    """The article becomes "an" before a vowel, and a sentence begins with a capital."""
    events = load_events("made", folder=write(tmp_path, GOOD))
    text = " ".join(statement.wording for statement in draw_statements(events, random.Random(3), 100))
    assert {"An eagle is", "A lion is", "is an eagle", "is a lion", ". Eagle and", ". Lion and"} <= {
        match[0] for match in re.finditer(r"(An?|is an?|\.) (eagle|lion|Eagle|Lion)( is| and)?", text)
    }
    assert "a eagle" not in text.lower()


def test_an_article_is_not_doubled(tmp_path: Path) -> None:
    """A name that begins with "The" follows no other "the"."""
    text = GOOD.replace("Correction: {club}", "Correction: the {club}").replace(
        'club = "club"', 'club = ["The Owls", "Owls"]'
    )
    events = load_events("made", folder=write(tmp_path, text))
    wordings = {statement.wording[:20] for statement in draw_statements(events, random.Random(3), 100)}
    assert {wording for wording in wordings if "Correction" in wording} == {"Correction: the Owls"}


def test_the_same_seed_gives_the_same_statements() -> None:
    """Drawing depends on nothing but the templates and the seed."""
    events = load_events("business")
    assert draw_statements(events, random.Random(7), 30) == draw_statements(events, random.Random(7), 30)
    assert draw_statements(events, random.Random(7), 30) != draw_statements(events, random.Random(8), 30)


def test_statements_are_about_different_things(tmp_path: Path) -> None:
    """In one draw no two statements are about the same club."""
    events = load_events("made", folder=write(tmp_path, GOOD))
    drawn = draw_statements(events, random.Random(4), 500)
    assert Counter(statement.misses[0] for statement in drawn).most_common(1)[0][1] == 1


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_values_vary_and_similar_ones_differ(kind: str) -> None:
    """Every kind has many values, and a similar value is another one without gaps or slots."""
    rng = random.Random(5)
    values = [draw_value(kind, rng) for _ in range(60)]
    assert len(set(values)) >= 7
    for value in values:
        other = similar_value(kind, value, rng)
        assert other != value
        assert other == " ".join(other.split()) != ""
        assert not set("{}") & set(value + other)


def test_similar_names_share_a_part() -> None:
    """A similar person has the same first name or the same surname, most of the time."""
    rng = random.Random(6)
    pairs = [(name, similar_value("person", name, rng)) for name in (draw_value("person", rng) for _ in range(100))]
    assert sum(bool(set(one.split()) & set(other.split())) for one, other in pairs) > 90


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("leaves {old} for {venue}", "leaves {old}"), "lacks the slots ['venue']"),
        (("{club} leaves", "The club leaves"), "lacks the slots ['club']"),
        (("Who coaches {club}?", "Who coaches?"), "names no key slot"),
        (("Where does {club} play?", "Where at {venue}?"), "names no key slot"),
        (("Where does {club} play?", "Where does {team} play?"), "'team'"),
        (("Where does {club} play?", "Where does {club} play {now?"), "braces that are no slot"),
        (('key = ["club"]', 'key = ["club", "team"]'), "'team' is not declared"),
        (('old = "venue"', 'old = "palace"'), "unknown kind 'palace'"),
        ((', "How old is {club}?"', ""), "at least 5 misses, got 4"),
        (('"How old is {club}?"', '"Where does {club} play?"'), "is there twice"),
        ((', "Tell me where {club} moved."', ""), "at least 4 questions for '{venue}', got 3"),
        (("misses =", "miss ="), "missing are ['misses'], unknown are ['miss']"),
        (('["eagle", "lion"]', "7"), "animal: expected a list of texts, got 7"),
        (('topic = "club moves"', 'topic = "club moves'), "not TOML"),
    ],
)
def test_faults_are_named(tmp_path: Path, change: tuple[str, str], fault: str) -> None:
    """A template that breaks a rule is refused, naming the file and what is wrong."""
    assert change[0] in GOOD
    folder = write(tmp_path, GOOD.replace(*change, 1))
    with pytest.raises(ValueError, match=re.escape(fault)) as caught:
        load_events("made", folder=folder)
    assert "made.toml" in str(caught.value)
    if fault != "not TOML":
        assert "club moves" in str(caught.value)


def test_a_file_or_list_without_events_is_refused(tmp_path: Path) -> None:
    """Nothing to fill is an error, not an empty result."""
    with pytest.raises(ValueError, match=r"made\.toml: expected \[\[event\]\] tables"):
        load_events("made", folder=write(tmp_path, "# nothing yet"))
    with pytest.raises(ValueError, match="at least one event"):
        draw_statements([], random.Random(0), 1)
