from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from memedit.errors import DatasetError
from memedit.evaluation.cases import Case, LocalityKind, PortabilityKind, Probe, portability_kind
from memedit.evaluation.datasets import load_dataset, load_questions, sample

REDUCED = {
    "case_id": 0,
    "prompt": "The mother tongue of Ada Brel is",
    "target_new": "Danish",
    "subject": "Ada Brel",
    "ground_truth": "French",
    "rephrase_prompt": "Ada Brel is a native speaker of",
    "locality_prompt": "The mother tongue of Jean Moreau is",
    "locality_ground_truth": "French",
}
ROME = {
    "case_id": 1,
    "requested_rewrite": {
        "prompt": "The mother tongue of {} is",
        "relation_id": "P103",
        "target_new": {"str": "Danish", "id": "Q1"},
        "target_true": {"str": "French", "id": "Q2"},
        "subject": "Ada Brel",
    },
    "paraphrase_prompts": ["It rained. Ada Brel spoke the language", "Ada Brel, a native"],
    "neighborhood_prompts": ["The mother tongue of Jean Moreau is", "Luc Petit spoke"],
}
ZSRE = {
    "subject": "Ada Brel",
    "src": "What is the native language of Ada Brel?",
    "rephrase": "What's Ada Brel's mother tongue?",
    "answer": "French",
    "alt": "Danish",
    "loc": "nq question: who wrote the song of the sea",
    "loc_ans": "Nobody",
}
KNOWEDIT = {
    "subject": "Ada Brel",
    "prompt": "The gender of Ada Brel is",
    "target_new": ["female", "woman"],
    "ground_truth": ["male"],
    "rephrase_prompt": "What is the gender of Ada Brel?",
    "portability": {
        "Reasoning": [{"prompt": "The gender of the wife of Max is", "ground_truth": [["female", "woman"]]}],
        "Subject_Aliasing": {"prompt": "The gender of A. Brel is", "ground_truth": "female"},
        "Logical_Generalization": [],
    },
    "locality": {
        "Relation_Specificity": [
            {"prompt": "The place of birth of Ada Brel is", "ground_truth": ["Lyon"]},
            {"prompt": ["Ada Brel works as", "Ada Brel died in"], "ground_truth": [["a baker"], ["Rome"]]},
        ],
        "Forgetfulness": [{"prompt": "The gender of Ada Brel, which is not female, is", "ground_truth": [["male"]]}],
    },
}


def written(tmp_path: Path, records: list[Any], name: str = "data.json") -> Path:
    """A data file with these records, as JSON or, by its name, JSON Lines."""
    path = tmp_path / name
    text = "\n".join(map(json.dumps, records)) if name.endswith("l") else json.dumps(records)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["data.json", "data.jsonl"])
def test_reduced_counterfact_is_read(tmp_path: Path, name: str) -> None:
    """EasyEdit's reduced CounterFact gives one case with one paraphrase and one neighbour."""
    (case,) = load_dataset(written(tmp_path, [REDUCED], name), "counterfact").cases
    assert (case.row, case.prompt, case.target) == (1, REDUCED["prompt"], "Danish")
    assert case.old_answers == ("French",)
    assert case.paraphrases == ("Ada Brel is a native speaker of",)
    assert case.locality == {LocalityKind.NEIGHBOUR: (Probe("The mother tongue of Jean Moreau is", ("French",)),)}


def test_original_counterfact_is_read(tmp_path: Path) -> None:
    """ROME's original form gives the prompt with its subject and all paraphrases and neighbours."""
    (case,) = load_dataset(written(tmp_path, [ROME]), "counterfact").cases
    assert case.prompt == "The mother tongue of Ada Brel is"
    assert (case.target, case.old_answers, case.relation) == ("Danish", ("French",), "P103")
    assert len(case.paraphrases) == 2
    assert [probe.answers for probe in case.locality[LocalityKind.NEIGHBOUR]] == [("French",)] * 2


def test_zsre_is_read_and_its_useless_rows_are_counted(tmp_path: Path) -> None:
    """Rows of zsRE without a new answer, or whose new answer is the true one, are dropped and counted."""
    records = [
        ZSRE,
        {**ZSRE, "alt": "  "},
        {**ZSRE, "alt": "French"},
        {**ZSRE, "answers": ["X", "Danish"], "answer": ""},
    ]
    dataset = load_dataset(written(tmp_path, records), "zsre")
    assert dataset.dropped == {"blank_target": 1, "target_is_true_answer": 2}
    (case,) = dataset.cases
    assert (case.prompt, case.target) == (ZSRE["src"], "Danish")
    assert case.locality == {LocalityKind.UNRELATED: (Probe("who wrote the song of the sea", ("Nobody",), "nq"),)}


def test_knowedit_is_read_however_its_values_are_nested(tmp_path: Path) -> None:
    """KnowEdit's strings, lists and lists of lists all become accepted answers."""
    (case,) = load_dataset(written(tmp_path, [KNOWEDIT]), "knowedit").cases
    assert case.answers == ("female", "woman")
    assert case.portability == (
        Probe("The gender of the wife of Max is", ("female", "woman"), "Reasoning"),
        Probe("The gender of A. Brel is", ("female",), "Subject_Aliasing"),
    )
    assert [probe.answers for probe in case.locality[LocalityKind.SAME_SUBJECT]] == [("Lyon",), ("a baker",), ("Rome",)]
    assert [probe.answers for probe in case.locality[LocalityKind.FORGETFULNESS]] == [("male",)]


def test_knowedit_zsre_is_read(tmp_path: Path) -> None:
    """KnowEdit's ZsRE, with a paraphrase and a list of true answers, is read like the others."""
    record = {
        "subject": "Ada Brel",
        "prompt": "Which town was Ada Brel born in?",
        "target_new": "Oslo",
        "ground_truth": ["Lyon", "Lyons"],
        "rephrase_prompt": "In which town was Ada Brel born?",
        "cond": "Lyon >> Oslo || Which town was Ada Brel born in?",
        "portability": {"Reasoning": [{"prompt": "In which country was Ada Brel born?", "ground_truth": "Norway"}]},
        "locality": {"Relation_Specificity": [{"prompt": "Ada Brel occupation", "ground_truth": "baker"}]},
    }
    (case,) = load_dataset(written(tmp_path, [record]), "knowedit").cases
    assert (case.target, case.old_answers) == ("Oslo", ("Lyon", "Lyons"))
    assert case.paraphrases == ("In which town was Ada Brel born?",)
    assert case.portability == (Probe("In which country was Ada Brel born?", ("Norway",), "Reasoning"),)
    assert case.locality == {
        LocalityKind.SAME_SUBJECT: (Probe("Ada Brel occupation", ("baker",), "Relation_Specificity"),)
    }


def test_the_one_hop_question_of_extended_zsre_is_read(tmp_path: Path) -> None:
    """A portability question beside zsRE's fields (Yao et al. 2023) is a question of one hop."""
    extended = {
        **ZSRE,
        "portability": {"New Question": "Where is Ada Brel's language spoken?", "New Answer": "Denmark"},
    }
    (case,) = load_dataset(written(tmp_path, [extended]), "zsre").cases
    assert case.portability == (Probe("Where is Ada Brel's language spoken?", ("Denmark",), "portability"),)
    assert portability_kind(case.portability[0].kind) is PortabilityKind.ONE_HOP


def test_wikibio_is_read(tmp_path: Path) -> None:
    """KnowEdit's WikiBio, with field names of its own, gives statements."""
    record = {"text": "A passage about Ada.", "labels": "She was born in Rome.", "concept": "Ada", "locality": {}}
    (case,) = load_dataset(written(tmp_path, [record]), "knowedit").cases
    assert (case.prompt, case.target, case.subject) == ("A passage about Ada.", "She was born in Rome.", "Ada")


BROKEN = {
    "missing field": ("counterfact", [REDUCED, {"prompt": "X is"}], "record 2: target_new must be a text"),
    "blank prompt": ("zsre", [{**ZSRE, "src": " "}], "record 1: src must be a text"),
    "not an object": ("zsre", [ZSRE, "text"], "record 2: expected an object"),
    "other format": ("knowedit", [ZSRE], "record 1: expected a field 'target_new'"),
    "inner field": ("counterfact", [{"requested_rewrite": {"subject": "X"}}], "requested_rewrite.target_new"),
    "portability": ("knowedit", [{**KNOWEDIT, "portability": ["x"]}], "portability must be an object"),
    "portability entry": (
        "knowedit",
        [{**KNOWEDIT, "portability": {"Reasoning": ["x"]}}],
        "Reasoning must hold objects",
    ),
    "nothing usable": ("zsre", [{**ZSRE, "alt": ""}], "no usable zsre record; 1 dropped: blank_target"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_record_is_named_by_its_number(tmp_path: Path, name: str) -> None:
    """A record that lacks something is refused with its number and what was expected."""
    form, records, message = BROKEN[name]
    with pytest.raises(DatasetError, match=message):
        load_dataset(written(tmp_path, records), form)


@pytest.mark.parametrize("content", [b"[1, 2", b"hello", b"\xff\xfe\x00", b"{}\n{"])
def test_a_file_that_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file that is neither JSON nor JSON Lines raises a DatasetError that names it."""
    path = tmp_path / "data.json"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"data\.json"):
        load_dataset(path, "zsre")


def test_a_missing_file_and_an_unknown_format_are_refused(tmp_path: Path) -> None:
    """A file that is not there and a format nobody knows raise a DatasetError."""
    with pytest.raises(DatasetError, match="cannot read"):
        load_dataset(tmp_path / "none.json", "zsre")
    with pytest.raises(DatasetError, match=r"format must be one of counterfact, zsre, knowedit, mquake, .*, got 'csv'"):
        load_dataset(tmp_path / "none.json", "csv")


def test_unrelated_questions_are_read(tmp_path: Path) -> None:
    """NQ-open's lines become questions with accepted answers; U+2028 in a string ends no line."""
    path = written(tmp_path, [{"question": "who is\u2028it", "answer": ["a", "b"]}, {"question": "why"}], "nq.jsonl")
    path.write_text(path.read_text().replace("\\u2028", "\u2028"), encoding="utf-8")
    assert load_questions(path) == (Probe("who is\u2028it", ("a", "b"), "nq"), Probe("why", (), "nq"))


def test_a_sample_keeps_order_and_depends_on_its_seed_only() -> None:
    """A sample is the same for the same seed, keeps the order, and is everything if that is asked."""
    items = list(range(100))
    assert sample(items, 10, 3) == sample(items, 10, 3) == sorted(sample(items, 10, 3))
    assert sample(items, 10, 3) != sample(items, 10, 4)
    assert sample(items, 1000, 3) == items


def test_a_sample_keeps_groups_together() -> None:
    """Cases of one record come together, no more than were asked for, and never none."""
    cases = [Case(row, f"{row}.{part}", "x", group=row) for row in range(30) for part in range(3)]
    cases += [Case(row, str(row), "x") for row in range(30, 40)]
    drawn = sample(cases, 20, 1)
    assert drawn == sample(cases, 20, 1) == sorted(drawn, key=cases.index)
    assert len(drawn) == 20
    assert {drawn.count(case) for case in drawn} == {1}
    rows = Counter(case.row for case in drawn)
    assert all(count == (3 if row < 30 else 1) for row, count in rows.items())
    assert len(sample(cases[:90], 1, 1)) == 3
