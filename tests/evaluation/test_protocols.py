from __future__ import annotations

import json
from dataclasses import replace

import pytest
from transformers import PreTrainedModel

from memedit.evaluation import Case, Dataset, LocalityKind, Probe, answer_rows, build_report, evaluate
from memedit.evaluation.cost import nothing_remembered
from memedit.evaluation.protocols import RELIABILITY, ProtocolName
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
        "bytes_per_edit",
        "route_ms_p50",
        "route_ms_p99",
        "generate_ratio_out_of_scope",
        "generate_ratio_in_scope",
    }
    assert report["cost"].pop("bytes_per_edit") is None  # the memory is in RAM
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


CITIES = tuple(
    Case(
        row,
        f"The twin city of {city} is",
        target,
        city,
        old_answers=("Paris",),
        paraphrases=(f"The city twinned with {city} is",),
        locality={NEIGHBOUR: (Probe(f"The twin city of {other} is", ("Paris",)),)},
    )
    for row, (city, target, other) in enumerate(
        (("Rome", "Oslo", "Lima"), ("Lima", "Cairo", "Rome"), ("Kyiv", "Delhi", "Bonn"), ("Lima", "Turin", "Kyiv")), 1
    )
)


@pytest.mark.parametrize(
    ("protocol", "reliability", "neighbours", "superseded", "in_memory"),
    [
        # Cases 2 and 4 are edits of one fact. Asked at the end, the first of them is superseded, and
        # the neighbours of 1, 2 and 4 ask facts that are stored.
        ("sequential", [True, False, True, True], [False, False, True, False], 1, 3),
        # Right after it is made each edit holds; stored by then are Rome for 2, and Kyiv for 4.
        ("after_each", [True] * 4, [True, False, True, False], 0, 3),
        # In pairs: 1 with 2, of which each covers the other's neighbour, and 3 with 4, which covers 3's.
        ("batches", [True] * 4, [False, False, True, False], 0, 2),
        ("single", [True] * 4, [True] * 4, 0, 1),
    ],
)
def test_protocols_by_hand(
    make_edited: MakeEdited,
    protocol: ProtocolName,
    reliability: list[bool],
    neighbours: list[bool],
    superseded: int,
    in_memory: int,
) -> None:
    """What is scored, and beside which edits, is what each protocol says."""
    model = make_edited({})
    unrelated = [Probe(f"question {number}") for number in range(9)]
    evaluation = evaluate(
        model, Dataset(CITIES), edits=4, unrelated=unrelated, protocol=protocol, batch=2, max_new_tokens=4
    )
    by_kind = {
        asks: [(q.scored and q.passed) for q in evaluation.questions if q.asks == asks]
        for asks in (RELIABILITY, NEIGHBOUR, UNRELATED)
    }
    assert by_kind[RELIABILITY] == reliability
    assert by_kind[NEIGHBOUR] == neighbours
    assert by_kind[UNRELATED] == [True] * 4
    assert evaluation.dropped["superseded_edits"] == superseded
    assert evaluation.dropped["locality_neighbour"] == sum(not kept for kept in neighbours) - superseded
    assert evaluation.counts["edits"] == evaluation.counts["queried_edits"] == 4
    assert evaluation.counts["edits_in_memory"] == in_memory


def test_groups_of_cases_stay_together(make_edited: MakeEdited) -> None:
    """Under the protocol of single edits, a record with several edits is stored and asked as a whole."""
    cases = tuple(replace(case, group=case.row // 3) for case in CITIES)  # 1 with 2, and 3 with 4
    evaluation = evaluate(make_edited({}), Dataset(cases), edits=4, protocol="single", max_new_tokens=2)
    assert evaluation.counts["edits_in_memory"] == 2
    assert evaluation.dropped["locality_neighbour"] == 3


def test_unknown_protocols_are_refused(make_edited: MakeEdited) -> None:
    """A protocol that does not exist is refused with the names of those that do."""
    with pytest.raises(ValueError, match="sequential, after_each, batches, single"):
        evaluate(make_edited({}), Dataset(CITIES), edits=1, protocol="all")  # type: ignore[arg-type]


def test_times_are_those_of_decisions_not_of_memories_of_them(make_edited: MakeEdited) -> None:
    """What was decided while answering is decided anew while it is timed, and the router is given back."""
    model = make_edited({})
    asked: list[int] = []
    probability = model.router.classifier.probability
    model.router.classifier.probability = lambda pairs: asked.append(len(pairs)) or probability(pairs)
    evaluate(model, Dataset(CITIES), edits=1, max_new_tokens=2)
    router = model.router
    answered = len(asked)
    with nothing_remembered(model):
        model.router.route([CITIES[0].prompt])
        model.router.route([CITIES[0].prompt])
    assert len(asked) == answered + 2
    assert model.router is router
