"""The data sets beyond CounterFact, zsRE and KnowEdit, each in the form in which it is published."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from memedit.errors import DatasetError
from memedit.evaluation.cases import LocalityKind, PortabilityKind, Probe, portability_kind
from memedit.evaluation.datasets import load_dataset
from tests.evaluation.test_datasets import written

HOPS = [
    {"question": "Who leads Acme?", "cloze": "The head of Acme is", "answer": "Eve Roy", "answer_alias": ["E. Roy"]},
    {"question": "Where was Eve Roy born?", "cloze": "Eve Roy was born in", "answer": "Oslo", "answer_alias": []},
]
MQUAKE: dict[str, Any] = {
    "case_id": 7,
    "requested_rewrite": [
        {
            "prompt": "The head of {} is",
            "relation_id": "P169",
            "target_new": {"str": "Eve Roy", "id": "Q1"},
            "target_true": {"str": "Max Orr", "id": "Q2"},
            "subject": "Acme",
            "question": "Who leads Acme?",
        },
        {
            "prompt": "{} was born in",
            "relation_id": "P19",
            "target_new": {"str": "Oslo", "id": "Q3"},
            "target_true": {"str": "Lima", "id": "Q4"},
            "subject": "Eve Roy",
            "question": "Where was Eve Roy born?",
        },
    ],
    "questions": ["In which town was the head of Acme born?", "Acme's head was born where?"],
    "answer": "Rome",
    "answer_alias": [],
    "new_answer": "Oslo",
    "new_answer_alias": ["Christiania"],
    "single_hops": [],
    "new_single_hops": HOPS,
}


def test_mquake_gives_a_group_of_cases(tmp_path: Path) -> None:
    """A record of MQuAKE with two edits gives two cases of one group; the last asks the multi-hop questions."""
    first, last = load_dataset(written(tmp_path, [MQUAKE]), "mquake").cases
    assert (first.prompt, first.target, first.subject) == ("The head of Acme is", "Eve Roy", "Acme")
    assert first.answers == ("Eve Roy", "E. Roy")
    assert (first.old_answers, first.relation) == (("Max Orr",), "P169")
    assert first.paraphrases == ("Who leads Acme?",)
    assert (first.group, last.group, first.portability) == (1, 1, ())
    steps = (Probe("Who leads Acme?", ("Eve Roy", "E. Roy")), Probe("Where was Eve Roy born?", ("Oslo",)))
    assert last.portability == tuple(
        Probe(question, ("Oslo", "Christiania"), "2-hop", steps) for question in MQUAKE["questions"]
    )
    assert portability_kind("2-hop") is PortabilityKind.COMPOSITIONAL


def test_mquake_with_one_edit_gives_a_case_by_itself(tmp_path: Path) -> None:
    """A record with one edit belongs to no group; the flat targets of MQuAKE-Remastered are read as well."""
    record = copy.deepcopy(MQUAKE)
    rewrite = record["requested_rewrite"].pop()
    rewrite |= {"target_new_str": "Oslo", "target_true_str": "Lima"}
    del rewrite["target_new"], rewrite["target_true"]
    (case,) = load_dataset(written(tmp_path, [{**record, "requested_rewrite": [rewrite]}]), "mquake").cases
    assert (case.group, case.target, case.old_answers) == (None, "Oslo", ("Lima",))
    assert len(case.portability) == 2


def query(prompt: str, *names: str, ids: tuple[str, ...] = ("Q9",)) -> dict[str, Any]:
    """A query of RippleEdits with one answer of several names."""
    return {
        "prompt": prompt,
        "answers": [{"value": names[0], "aliases": list(names[1:])}] if names else [],
        "query_type": "regular",
        "subject_id": "Q1",
        "relation": "SPOUSE",
        "target_ids": list(ids),
        "phrase": None,
    }


def asked_by(*queries: dict[str, Any]) -> list[dict[str, Any]]:
    """Tests of RippleEdits, one for each query."""
    return [
        {"test_queries": [item], "test_condition": "OR", "condition_queries": [query("?", "x")]} for item in queries
    ]


RIPPLE: dict[str, Any] = {
    "example_type": "popular",
    "edit": {
        "prompt": "The name of the country of citizenship of Ada of Brel is Republic of Peru.",
        "subject_id": "Q1",
        "relation": "COUNTRY_OF_CITIZENSHIP",
        "target_id": "Q419",
        "original_fact": {
            "prompt": "The name of the country of citizenship of Ada of Brel is France.",
            "subject_id": "Q1",
            "relation": "COUNTRY_OF_CITIZENSHIP",
            "target_id": "Q142",
        },
    },
    "Relation_Specificity": asked_by(query("The name of the mother of Ada of Brel is", "Eve Brel", "Eve", "E")),
    "Logical_Generalization": asked_by(query("The name of the continent Ada is from is", "South America")),
    "Subject_Aliasing": asked_by(
        query("The country of citizenship of A. Brel is", "Republic of Peru", "Peru", ids=("Q419",))
    ),
    "Compositionality_I": asked_by(query("The capital of the country of Ada of Brel is", "Lima")),
    "Compositionality_II": [],
    "Forgetfulness": asked_by(query("Ada of Brel is a citizen of a country which is not Peru, namely", "France")),
}


def test_rippleedits_is_read(tmp_path: Path) -> None:
    """RippleEdits' statement is taken apart, its tests become portability and locality by their own names."""
    (case,) = load_dataset(written(tmp_path, [RIPPLE]), "rippleedits").cases
    assert case.prompt == "The name of the country of citizenship of Ada of Brel is"
    assert (case.target, case.answers) == ("Republic of Peru", ("Republic of Peru", "Peru"))
    assert (case.subject, case.old_answers) == ("Ada of Brel", ("France",))
    assert case.relation == "COUNTRY_OF_CITIZENSHIP"
    assert [(probe.kind, probe.answers) for probe in case.portability] == [
        ("Logical_Generalization", ("South America",)),
        ("Compositionality_I", ("Lima",)),
        ("Subject_Aliasing", ("Republic of Peru", "Peru")),
    ]
    assert {kind: [probe.answers for probe in probes] for kind, probes in case.locality.items()} == {
        LocalityKind.SAME_SUBJECT: [("Eve Brel", "Eve")],
        LocalityKind.FORGETFULNESS: [("France",)],
    }


def test_rippleedits_wants_a_name_of_each_answer(tmp_path: Path) -> None:
    """A query with several answers has them as parts, each with its names."""
    answers = [{"value": "Bo Brel", "aliases": ["Bo"]}, {"value": "Cy Brel", "aliases": []}]
    siblings = {**query("The siblings of Ada are", "x"), "answers": answers}
    (case,) = load_dataset(
        written(tmp_path, [{**RIPPLE, "Compositionality_I": asked_by(siblings)}]), "rippleedits"
    ).cases
    (probe,) = (probe for probe in case.portability if probe.parts)
    assert probe.parts == (("Bo Brel", "Bo"), ("Cy Brel",))
    assert probe.answers == ("Bo Brel", "Bo", "Cy Brel")


@pytest.mark.parametrize(
    ("statement", "parts"),
    [
        ("The name of the award Ada Brel won is Iron Pen.", ("Ada Brel", "Iron Pen")),
        ("The names of the siblings of Ada Brel are Bo Brel.", ("Ada Brel", "Bo Brel")),
        ("The name of the country which Fort Ada is associated with is Peru.", ("Fort Ada", "Peru")),
        ("The number of children Ada Brel has is 3.", ("Ada Brel", "3")),
        ("The name of the director of The Long Way is Eve Roy.", ("The Long Way", "Eve Roy")),
        ("The Long Way is followed by The Way Back.", ("The Long Way", "The Way Back")),
        ("The Way Back follows The Long Way.", ("The Way Back", "The Long Way")),
    ],
)
def test_statements_of_rippleedits_are_taken_apart(tmp_path: Path, statement: str, parts: tuple[str, str]) -> None:
    """Without a query that names the target, the statement's last verb divides prompt and target."""
    record = {"edit": {"prompt": statement, "relation": "X", "target_id": "Q0"}}
    (case,) = load_dataset(written(tmp_path, [record]), "rippleedits").cases
    assert (case.subject, case.target) == parts
    assert f"{case.prompt} {case.target}." == statement


def test_a_statement_without_a_target_is_dropped(tmp_path: Path) -> None:
    """A statement that shows no target is left out and counted."""
    dataset = load_dataset(
        written(tmp_path, [RIPPLE, {"edit": {"prompt": "The name of the heir of  is ."}}]), "rippleedits"
    )
    assert dataset.dropped == {"unclear_target": 1}


MZSRE = {
    "en": {
        "subject": "Peru",
        "src": "What is the capital of Peru?",
        "rephrase": "Which town is Peru's capital?",
        "alt": "Cusco",
        "loc": "nq question: who sang it",
        "loc_ans": "Ada",
        "portability": {"New Question": "On which river is Peru's capital?", "New Answer": "Huatanay"},
    },
    "zh": {
        "subject": "秘鲁",
        "src": "秘鲁的首都是哪里？",
        "rephrase": "哪座城市是秘鲁的首都？",
        "alt": "库斯科",
        "loc": "谁唱的这首歌",
        "loc_ans": "艾达",
        "portability": {"New Question": "秘鲁的首都在哪条河上？", "New Answer": "瓦塔奈河"},
    },
}


def test_mzsre_edits_in_one_language_and_asks_in_the_other(tmp_path: Path) -> None:
    """The edit is in the record's first language, the questions with their answers in its second."""
    (case,) = load_dataset(written(tmp_path, [MZSRE]), "mzsre").cases
    assert (case.prompt, case.target) == ("What is the capital of Peru?", "Cusco")
    assert (case.answers, case.paraphrase_answers) == (("Cusco",), ("库斯科",))
    assert case.paraphrases == ("秘鲁的首都是哪里？", "哪座城市是秘鲁的首都？")
    assert (case.subject, case.other_names) == ("Peru", ("秘鲁",))
    assert case.locality == {LocalityKind.UNRELATED: (Probe("谁唱的这首歌", ("艾达",), "nq"),)}
    assert case.portability == (Probe("秘鲁的首都在哪条河上？", ("瓦塔奈河",), "portability"),)


def test_the_languages_can_be_chosen(tmp_path: Path) -> None:
    """Edit and questions can be in any two languages of the records, also in the same."""
    path = written(tmp_path, [MZSRE])
    (turned,) = load_dataset(path, "mzsre", languages=("zh", "en")).cases
    assert (turned.target, turned.paraphrase_answers) == ("库斯科", ("Cusco",))
    assert turned.locality[LocalityKind.UNRELATED][0].prompt == "who sang it"
    (same,) = load_dataset(path, "mzsre", languages=("zh", "zh")).cases
    assert (same.paraphrases, same.other_names) == (("哪座城市是秘鲁的首都？",), ())
    with pytest.raises(DatasetError, match="no usable mzsre record; 1 dropped: language_missing"):
        load_dataset(path, "mzsre", languages=("en", "de"))
    with pytest.raises(DatasetError, match="languages can be chosen for the formats mzsre, bmike, not for zsre"):
        load_dataset(path, "zsre", languages=("en", "de"))


def test_bmike_is_read_in_both_its_forms(tmp_path: Path) -> None:
    """BMIKE-53's records name the neighbour in `loc`; English may stand in the record itself."""
    english = {**MZSRE["en"], "old": "Lima", "loc": "The capital of Chile is", "port": "Which river?", "port_ans": "X"}
    german = {
        "subject": "Peru",
        "src": "Die Hauptstadt von Peru ist",
        "rephrase": "Perus Hauptstadt ist",
        "alt": "Cuzco",
        "old": "Lima",
        "loc": "Die Hauptstadt von Chile ist",
        "loc_ans": "Santiago",
    }
    english.pop("portability")
    both = load_dataset(written(tmp_path, [{"en": english, "de": german}, {**english, "de": german}]), "bmike").cases
    for case in both:
        assert (case.target, case.paraphrase_answers, case.old_answers) == ("Cusco", ("Cuzco",), ("Lima",))
        assert case.locality == {LocalityKind.NEIGHBOUR: (Probe("Die Hauptstadt von Chile ist", ("Santiago",), "nq"),)}
        assert case.other_names == ()


def test_qaedit_is_read(tmp_path: Path) -> None:
    """QAEdit's records give a paraphrase and unrelated questions."""
    record = {
        "id": 1,
        "source": "NQ",
        "prompt": "who wrote the song of the sea",
        "target": "Ada Brel",
        "subject": "song of the sea",
        "rephrase": "Who is the author of the song of the sea?",
        "locality": [{"loc": "who sang it", "loc_ans": "Max"}, {"loc": "who heard it", "loc_ans": "Eve"}],
    }
    dataset = load_dataset(written(tmp_path, [record, {**record, "target": ""}]), "qaedit")
    (case,) = dataset.cases
    assert (case.prompt, case.target, case.subject) == (record["prompt"], "Ada Brel", "song of the sea")
    assert [probe.prompt for probe in case.locality[LocalityKind.UNRELATED]] == ["who sang it", "who heard it"]
    assert dataset.dropped == {"blank_target": 1}


HALLU = """topic,subject,relation,object,question,paraphrased_question,locality_question,reversed_relation_question,\
question_2hop,answer_2hop,question_3hop,answer_3hop
song,The Sea,composer,"Brel, Ada",Who composed The Sea?,Whose work is The Sea?,What genre is The Sea?,\
What did Ada Brel compose?,Where was the composer of The Sea born?,Oslo,,
song,The Sun,composer,,Who composed The Sun?,Whose is it?,,,,,,
"""


def test_hallueditbench_is_read_from_its_table(tmp_path: Path) -> None:
    """HalluEditBench's CSV gives one case per row, with reversed and multi-hop questions."""
    path = tmp_path / "song.csv"
    path.write_text(HALLU, encoding="utf-8")
    dataset = load_dataset(path, "hallueditbench")
    (case,) = dataset.cases
    assert (case.row, case.prompt, case.target) == (1, "Who composed The Sea?", "Brel, Ada")
    assert (case.subject, case.relation) == ("The Sea", "composer")
    assert case.locality == {LocalityKind.SAME_SUBJECT: (Probe("What genre is The Sea?", (), "locality_question"),)}
    assert case.portability == (
        Probe("What did Ada Brel compose?", ("The Sea",), "reversed_relation"),
        Probe("Where was the composer of The Sea born?", ("Oslo",), "2hop"),
    )
    assert [portability_kind(probe.kind) for probe in case.portability] == ["reversed", "compositional"]
    assert dataset.dropped == {"blank_target": 1}


UNKE = {
    "id": 0,
    "question": "What does Ada Brel do?",
    "para_question": "What is Ada Brel's work?",
    "answer": "Ada Brel bakes. She has done so for a decade.",
    "sub_question": ["How long has Ada Brel baked?"],
    "sub_answer": ["A decade."],
}


def test_unke_is_read(tmp_path: Path) -> None:
    """UnKEBench's paragraphs are targets; questions about a part of one are portability of no named kind."""
    (case,) = load_dataset(written(tmp_path, [UNKE]), "unke").cases
    assert (case.target, case.subject) == ("Ada Brel bakes. She has done so for a decade.", None)
    assert case.paraphrases == ("What is Ada Brel's work?",)
    assert case.portability == (Probe("How long has Ada Brel baked?", ("A decade.",), "sub_question"),)
    assert portability_kind("sub_question") is PortabilityKind.OTHER


BROKEN: dict[str, tuple[str, Any, str]] = {
    "no edits": ("mquake", {**MQUAKE, "requested_rewrite": []}, "requested_rewrite must hold objects"),
    "no chain": ("mquake", {**MQUAKE, "new_single_hops": None}, "new_single_hops must hold objects"),
    "a hop": ("mquake", {**MQUAKE, "new_single_hops": [HOPS[0], {}]}, r"new_single_hops\[2\]\.question must be a text"),
    "no target": ("mquake", {**MQUAKE, "new_answer": ""}, "new_answer must be a text"),
    "an edit": ("rippleedits", {"Forgetfulness": []}, "edit must be an object, got nothing"),
    "tests": ("rippleedits", {**RIPPLE, "Forgetfulness": ["x"]}, "Forgetfulness must hold objects, got 'x'"),
    "a query": (
        "rippleedits",
        {**RIPPLE, "Forgetfulness": [{"test_queries": [{"answers": []}]}]},
        r"Forgetfulness\.test_queries\.prompt must be a text",
    ),
    "one language": ("mzsre", {"en": MZSRE["en"]}, "an object with src for each of two languages, got"),
    "no question": ("bmike", {**MZSRE, "en": {**MZSRE["en"], "src": " "}}, r"en\.src must be a text"),
    "locality": ("qaedit", {"prompt": "a", "target": "b", "locality": "x"}, "locality must hold objects, got 'x'"),
    "no subject": ("hallueditbench", {"object": "a", "question": "b"}, "subject must be a text"),
    "no sub_answer": ("unke", {**UNKE, "sub_answer": []}, "an answer to each of 1 sub_question, got 0"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_record_is_named_by_its_number_and_field(tmp_path: Path, name: str) -> None:
    """A record that lacks something is refused with its number, the field and what was expected."""
    form, record, message = BROKEN[name]
    with pytest.raises(DatasetError, match=rf"record 1: .*{message}"):
        load_dataset(written(tmp_path, [record]), form)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("object,subject,question\na,b\n", "record 1: expected 3 cells, got 2"),
        (b"object,subject,question\na,b,\xff\n", "record 1: is not UTF-8"),
        ('object,subject,question\n"a,b,c\n', "never closed"),
        ("", "no usable hallueditbench record"),
    ],
)
def test_a_broken_table_is_refused(tmp_path: Path, table: str | bytes, message: str) -> None:
    """A table whose rows do not fit its names is refused with the number of the row."""
    path = tmp_path / "table.csv"
    path.write_bytes(table if isinstance(table, bytes) else table.encode())
    with pytest.raises(DatasetError, match=message):
        load_dataset(path, "hallueditbench")
