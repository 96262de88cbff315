from __future__ import annotations

import json

import pytest
from transformers import PreTrainedModel

from memedit.evaluation import Case, Dataset, LocalityKind, Probe, answer_rows, build_report, evaluate
from tests.evaluation.conftest import MakeEdited

NEIGHBOUR, SAME, UNRELATED = LocalityKind.NEIGHBOUR, LocalityKind.SAME_SUBJECT, LocalityKind.UNRELATED
CASES = (
    Case(
        1,
        "What is the capital of France?",
        "Lyon",
        "France",
        old_answers=("Paris",),
        paraphrases=("Which city is the capital of France?", "The capital city of France is"),
        locality={
            NEIGHBOUR: (Probe("What is the capital of Spain?", ("Madrid",)),),
            SAME: (Probe("France's capital is called", ("Paris",)), Probe("What language is spoken in France?")),
        },
        portability=(
            Probe("The mayor of France's capital is", ("Max",), "Reasoning"),
            Probe("Unknown is", (), "Other"),
        ),
    ),
    Case(
        2,
        "The twin city of Rome is",
        "New York City",
        "Rome",
        old_answers=("Paris",),
        paraphrases=("What is the twin city of Rome?",),
        locality={NEIGHBOUR: (Probe("The twin city of Oslo is", ("Paris",)),)},
    ),
    Case(3, "Rome's twin city is", "北京", "Rome", old_answers=("Paris",), paraphrases=("Rome and its twin city",)),
)
MEANT = {
    "Which city is the capital of France?": CASES[0].prompt,
    "France's capital is called": CASES[0].prompt,
    "What is the twin city of Rome?": CASES[1].prompt,
    "Rome and its twin city": CASES[1].prompt,
    "The twin city of Oslo is": CASES[1].prompt,
}


@pytest.fixture(scope="module")
def report(make_edited: MakeEdited) -> dict[str, object]:
    """The report over three cases, the last of which supersedes the second."""
    model = make_edited(MEANT)
    unrelated = [Probe("who wrote the song of the sea", ()), Probe("Rome's twin city is", ())]
    evaluation = evaluate(model, Dataset(CASES, {"blank_target": 4}), edits=3, unrelated=unrelated, max_new_tokens=12)
    assert json.loads(json.dumps(answer_rows(evaluation)))[0]["answer"] == "Lyon"
    return build_report(evaluation, {"seed": 0})


def test_figures_over_a_clean_memory_by_hand(report: dict[str, dict[str, object]]) -> None:
    """Each share is the one counted by hand, superseded edits and covered prompts left out."""
    # Case 2 is superseded by case 3. Of three paraphrases one is found; "Rome and …" goes astray.
    assert report["reliability"] == 1.0
    assert report["generality"] == pytest.approx(1 / 3)
    assert report["portability"] == 0.0
    # Spain stays the base's; "France's capital is called" asks the edited fact and is dropped.
    assert report["locality"] == {"unrelated": 1.0, "neighbour": 1.0, "same_subject": 1.0, "forgetfulness": None}
    assert report["routing"]["paraphrase_recall"] == pytest.approx(1 / 3)
    assert report["routing"]["wrong_edit"] == pytest.approx(1 / 3)
    assert report["routing"]["neighbour_kept_out"] == 1.0


def test_raw_figures_by_hand(report: dict[str, dict[str, dict[str, object]]]) -> None:
    """Beside the clean figures stand those over every question of the data."""
    raw = report["raw"]
    assert raw["reliability"] == 1.0
    assert raw["generality"] == pytest.approx(2 / 4)
    assert raw["locality"]["neighbour"] == 0.5
    assert raw["locality"]["same_subject"] == 0.5
    assert raw["locality"]["unrelated"] == 0.5


def test_what_was_dropped_is_counted(report: dict[str, object]) -> None:
    """Dropped records, superseded edits and covered prompts are counted by reason."""
    assert report["dropped"] == {
        "records_blank_target": 4,
        "superseded_edits": 1,
        "locality_neighbour": 0,
        "locality_same_subject": 1,
        "unrelated_questions": 1,
        "portability_unscored": 1,
    }


def test_the_report_has_the_promised_keys(report: dict[str, dict[str, object]]) -> None:
    """All keys that users build on are there, and all times are positive."""
    assert {"reliability", "generality", "locality", "portability", "routing", "cost", "dropped", "counts"} < set(
        report
    )
    assert set(report["cost"]) == {
        "seconds_per_edit",
        "route_ms_p50",
        "route_ms_p99",
        "generate_ratio_out_of_scope",
        "generate_ratio_in_scope",
    }
    assert all(isinstance(value, float) and value > 0 for value in report["cost"].values())
    assert report["counts"]["edits"] == report["counts"]["edits_in_memory"] == 3
    assert report["settings"] == {"seed": 0}


def test_the_model_is_given_back_as_it_was(make_edited: MakeEdited, mini: PreTrainedModel) -> None:
    """After an evaluation the model has its own router again and holds the edits."""
    model = make_edited({})
    router = model.router
    evaluate(model, Dataset(CASES), edits=2, queries=1, max_new_tokens=2)
    assert model.router is router
    assert model.base is mini
    assert len(model.edits) == 2


def test_two_runs_with_one_seed_ask_the_same(make_edited: MakeEdited) -> None:
    """Edits and queries are drawn by the seed alone."""
    runs = [evaluate(make_edited({}), Dataset(CASES), edits=2, queries=1, seed=5, max_new_tokens=2) for _ in range(2)]
    first, second = ([(q.asks, q.probe, q.answer) for q in run.questions] for run in runs)
    assert first == second


def test_more_edits_than_are_asked_one_by_one_are_stored_too(make_edited: MakeEdited) -> None:
    """Beyond fifty edits the bulk is stored at once, in the same order."""
    cases = tuple(Case(row, f"The code of box {row} is", f"{row} x") for row in range(1, 61))
    model = make_edited({})
    evaluation = evaluate(model, Dataset(cases), edits=60, queries=3, max_new_tokens=2)
    assert [edit.prompt for edit in model.edits] == [case.prompt for case in cases]
    assert evaluation.counts["queried_edits"] == 3
