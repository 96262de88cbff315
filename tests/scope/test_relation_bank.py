"""The hand-written bank of relations: whole, well-formed, and in agreement with the labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from training.scope_data.labels import RULES, label_of
from training.scope_data.relation_bank import FOLDER, Relation, read_outer, read_relations


@pytest.fixture(scope="module")
def relations() -> dict[str, Relation]:
    """The bank of the project."""
    return read_relations()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the bank that a test may spoil."""
    return Path(shutil.copytree(FOLDER, tmp_path / "relations"))


def test_every_label_has_a_relation(relations: dict[str, Relation]) -> None:
    """The bank holds exactly the labels of the table of rules, in its order."""
    assert list(relations) == [rule.label for rule in RULES]
    assert all(relation.label == label for label, relation in relations.items())


@pytest.mark.parametrize("label", [rule.label for rule in RULES])
def test_templates_are_told_as_their_own_relation(label: str, relations: dict[str, Relation]) -> None:
    """No wording of a relation is taken for another one by its words."""
    relation = relations[label]
    texts = relation.questions + relation.clozes + relation.statements + relation.inner
    mismatches = {text: found for text in texts if (found := label_of(text)) not in (label, None)}
    assert not mismatches


def test_chained_questions_can_be_built(relations: dict[str, Relation]) -> None:
    """Each inner phrase fills each outer template of its answer's kind, and leaves one field."""
    outer = read_outer()
    used = {relation.answer_kind for relation in relations.values()} - {""}
    assert used <= set(outer)
    for relation in relations.values():
        assert bool(relation.inner) == bool(relation.answer_kind)
        for phrase in relation.inner:
            assert all(text.replace("{}", phrase).count("{}") == 1 for text in outer[relation.answer_kind])
    inner, template = "the country {} is a citizen of", "The name of the capital city of {} is"
    assert inner in relations["citizenship"].inner
    assert template in outer[relations["citizenship"].answer_kind]


def test_a_wording_is_listed_under_one_relation(relations: dict[str, Relation]) -> None:
    """No question or cloze asks for two relations."""
    owners: dict[str, str] = {}
    for label, relation in relations.items():
        for text in relation.questions + relation.clozes:
            assert owners.setdefault(text.casefold().rstrip("?"), label) == label, text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"Where was {} born?"', '"Where was he born?"', "birth_place.questions: .* exactly one {}"),
        ('"Where was {} born?"', '"Where was {} or {} born?"', "birth_place.questions: .* exactly one {}"),
        ('"{} was born in {answer}."', '"{} was born in Rome."', "birth_place.statements: .* one {answer}"),
        ('"Where was {} born?"', '"Where  was {} born?"', "single spaces"),
        ("[birth_place]", "[birth_town]", r"missing \['birth_place'\], unknown \['birth_town'\]"),
        ("[birth_place]", "[capital]", "capital"),
        ('[birth_place]\nanswer_kind = "city"', '[birth_place]\nanswer_kind = "town"', "answer_kind of birth_place"),
        ('[birth_place]\nanswer_kind = "city"', '[birth_place]\nanswer_kind = ""', "or neither"),
        ('[birth_place]\nanswer_kind = "city"', '[birth_place]\nkind = "city"', "keys of birth_place"),
    ],
)
def test_a_malformed_table_is_named(folder: Path, old: str, new: str, message: str) -> None:
    """A mistake in the data raises an error that says where it is and what was expected."""
    path = folder / "person.toml"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_relations(folder)


def test_a_malformed_outer_template_is_named(folder: Path) -> None:
    """Second steps are checked like first ones."""
    path = folder / "thing.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"What is the capital of {}?"', '"What is the capital?"'), encoding="utf-8")
    with pytest.raises(ValueError, match=r"_outer.country: .* exactly one {}"):
        read_outer(folder)
