from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from memedit import ScopeClassifier, SentenceEncoder
from memedit.errors import DatasetError
from memedit.evaluation import Case, Dataset, LocalityKind, Probe, comparing
from memedit.evaluation.comparing import Comparison, compare
from memedit.evaluation.runs import answers_file, run_file
from memedit.evaluation.stages import stages_of
from memedit.evaluation.subject import Setup

CITIES = ("Rome", "Oslo", "Lima", "Kyiv", "Bonn")
TARGETS = ("Turin", "Delhi", "Cairo", "Lyon", "Quito")
CASES = tuple(
    Case(
        row,
        f"The twin city of {city} is",
        target,
        city,
        paraphrases=(f"What is the twin city of {city}?",),
        locality={LocalityKind.NEIGHBOUR: (Probe(f"The twin city of {city}ville is"),)},
    )
    for row, (city, target) in enumerate(zip(CITIES, TARGETS, strict=True), start=1)
)
DATASET = Dataset(CASES, {"blank_target": 2})
UNRELATED = (Probe("who wrote the song of the sea"), Probe("when was the first bridge built"))
Compare = Callable[..., Comparison]


@pytest.fixture
def run(
    mini: PreTrainedModel,
    mini_tokenizer: PreTrainedTokenizerBase,
    encoder: SentenceEncoder,
    classifier: ScopeClassifier,
    tmp_path: Path,
) -> Compare:
    """Compares methods on mini over the stream 1, 3 into one folder."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    setup = Setup(mini, mini_tokenizer, encoder, classifier, scratch, seed=3)

    def make(
        methods: list[str], stream: tuple[int, ...] = (1, 3), seed: int = 3, into: str = "", **options: Any
    ) -> Comparison:
        given = {"queries": 2, "unrelated": UNRELATED, "max_new_tokens": 6} | options
        return compare(replace(setup, seed=seed), methods, DATASET, folder=tmp_path / into, stream=stream, **given)

    return make


def rows(folder: Path, method: str, edits: int) -> list[dict[str, Any]]:
    """What was asked and answered in one run."""
    return [json.loads(line) for line in answers_file(folder, method, edits).read_text().splitlines()]


def test_all_methods_are_asked_the_same_at_every_size(run: Compare, tmp_path: Path) -> None:
    """Runs come method by method from few edits to many, with equal questions, and are on the disk."""
    comparison = run(["base", "bm25"])
    assert [(one.method, one.edits) for one in comparison.runs] == [("base", 1), ("base", 3), ("bm25", 1), ("bm25", 3)]
    assert comparison.settings["stream"] == [1, 3]
    for edits in (1, 3):
        asked = [
            [(row["asks"], row["prompt"], row["accepted"], row["base"]) for row in rows(tmp_path, name, edits)]
            for name in ("base", "bm25")
        ]
        assert asked[0] == asked[1]
        saved = json.loads(run_file(tmp_path, "bm25", edits).read_text())["run"]
        assert saved["edits"] == edits
        assert saved["evaluation_report"]["counts"]["edits"] == edits
    base, bm25 = comparison.runs[1].evaluation_report, comparison.runs[3].evaluation_report
    assert base["locality"]["unrelated"] == base["locality"]["neighbour"] == 1.0
    assert base["reliability"] == 0.0
    assert bm25["reliability"] == 1.0
    assert bm25["dropped"]["records_blank_target"] == 2
    assert bm25["cost"]["bytes_per_edit"] > 0


def test_an_interrupted_comparison_goes_on(run: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is finished is read and not made again; what is missing is made as if nothing had happened."""
    whole = run(["dense"])
    run_file(tmp_path, "dense", 3).unlink()
    again = run(["dense"])
    assert again.runs[0] == whole.runs[0]
    assert again.runs[1].evaluation_report["reliability"] == whole.runs[1].evaluation_report["reliability"]
    assert again.runs[1].seconds != whole.runs[1].seconds
    monkeypatch.setattr(comparing, "make_method", None)
    assert run(["dense"]).runs == again.runs


def test_a_larger_stream_adds_to_the_runs_there_are(run: Compare, tmp_path: Path) -> None:
    """Smaller sizes are drawn alike whatever follows, and sizes beyond the data count as all of it."""
    first = run(["base"])
    more = run(["base"], stream=(1, 3, 100, 1000))
    assert more.runs[:2] == first.runs
    assert [one.edits for one in more.runs] == [1, 3, 5]
    assert [one.edits for one in run(["dense"], limit=2).runs] == [1, 2]


def test_a_run_of_other_settings_is_refused(run: Compare) -> None:
    """A folder with runs of another seed is not mixed with new ones, and the message names what differs."""
    run(["base"], stream=(1,))
    with pytest.raises(DatasetError, match=r"base-1.json holds a run with other settings \(asked_sha256, seed\)"):
        run(["base"], stream=(1,), seed=4)
    with pytest.raises(DatasetError, match="max_new_tokens"):
        run(["base"], stream=(1,), max_new_tokens=5)


def test_what_lies_elsewhere_is_the_same_if_its_hash_is(run: Compare) -> None:
    """A file in another place is no other setting; one with another hash is."""
    first = run(["base"], stream=(1,), settings={"data": {"path": "here.json", "sha256": "ab"}})
    moved = run(["base"], stream=(1,), settings={"data": {"path": "there.json", "sha256": "ab"}})
    assert moved.runs == first.runs
    with pytest.raises(DatasetError, match=r"other settings \(data\)"):
        run(["base"], stream=(1,), settings={"data": {"path": "here.json", "sha256": "cd"}})


def test_a_new_checkpoint_concerns_the_methods_made_from_it(run: Compare) -> None:
    """Runs of methods that do not use the scope classifier stay good when that changes; others are refused."""
    old, new = ({"checkpoints": {"scope": {"sha256": digest}}} for digest in ("ab", "cd"))
    first = run(["base", "counterfactual"], stream=(1,), settings=old)
    assert [set(one.evaluation_report["settings"]["checkpoints"]) for one in first.runs] == [set(), {"scope"}]
    assert first.settings["checkpoints"] == old["checkpoints"]
    assert run(["base"], stream=(1,), settings=new).runs == first.runs[:1]
    with pytest.raises(DatasetError, match=r"counterfactual-1.json .* \(checkpoints\)"):
        run(["counterfactual"], stream=(1,), settings=new)


def test_distractors_are_searched_and_never_asked_about(run: Compare, tmp_path: Path) -> None:
    """Edits that fill the memory come behind those of the data set, can be taken for theirs, and bring no question."""
    city = replace(CASES[0], row=9, prompt=CASES[0].paraphrases[0], target="Accra", paraphrases=())
    options = {"distractors": (city,), "queries": None}
    comparison = run(["dense"], stream=(5, 6), **options)
    alone, filled = (one.evaluation_report for one in comparison.runs)
    assert filled["counts"]["edits_in_memory"] == 6
    assert filled["counts"]["queried_edits"] == alone["counts"]["queried_edits"] == 5
    assert {row["row"] for row in rows(tmp_path, "dense", 6)} == {1, 2, 3, 4, 5, None}
    # The paraphrase of the first case is the distractor's own prompt now, and the case is superseded by it.
    first = [row for row in rows(tmp_path, "dense", 6) if row["row"] == 1 and row["asks"] == "generality"]
    assert [(row["answer"], row["scored"]) for row in first] == [("Accra", False)]
    assert filled["dropped"]["superseded_edits"] == 1


def test_a_slow_method_stops_at_its_own_size(run: Compare) -> None:
    """A method with a largest size is not run beyond it, the others are."""
    comparison = run(["base", "dense"], most={"dense": 2})
    assert [(one.method, one.edits) for one in comparison.runs] == [("base", 1), ("base", 3), ("dense", 1)]
    assert comparison.settings["most"] == {"dense": 2}


def test_a_resumed_comparison_does_not_ask_the_base_again(
    run: Compare, mini: PreTrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base's answers lie beside the runs: what another process decoded is read, line for line."""
    calls = []
    generate = mini.generate
    monkeypatch.setattr(mini, "generate", lambda *args, **kwargs: calls.append(1) or generate(*args, **kwargs))
    counts = []
    for _ in range(2):
        run(["dense"], stream=(1,))
        counts.append(len(calls))
        calls.clear()
        answers = answers_file(tmp_path, "dense", 1).read_text()
        run_file(tmp_path, "dense", 1).unlink()
    near, unrelated = 1, 1
    assert counts[0] - counts[1] == near + unrelated
    assert answers_file(tmp_path, "dense", 1).read_text() == answers


def test_the_base_answers_once_for_all_methods(
    run: Compare, mini: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two methods in one comparison let the base answer fewer times than in two."""
    calls = []
    generate = mini.generate
    monkeypatch.setattr(mini, "generate", lambda *args, **kwargs: calls.append(1) or generate(*args, **kwargs))
    counts = []
    for names in (["base"], ["dense"], ["base", "dense"]):
        run(names, stream=(1,), into="-".join(names))
        counts.append(len(calls))
        calls.clear()
    near, unrelated = 1, 1  # batches whose base answers are shared
    assert counts[2] == counts[0] + counts[1] - near - unrelated


def test_groups_of_cases_are_stored_together() -> None:
    """A size of the stream that would part a group is raised to the group's end."""
    cases = tuple(replace(case, group=case.row // 4) for case in CASES)  # 1 to 3, and 4 with 5
    for seed in range(4):
        stages = stages_of(replace(DATASET, cases=cases), (1, 4), queries=None, unrelated=(), distractors=(), seed=seed)
        first = stages[0].round.new[0].group
        assert [stage.edits for stage in stages] == [len([case for case in cases if case.group == first]), 5]


def test_a_method_that_keeps_the_base_changed_is_reported(
    run: Compare, mini: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a method leaves another base behind, the comparison stops and names it."""
    fingerprints = iter(["a", "a", "b"])
    monkeypatch.setattr(comparing, "fingerprint", lambda base: next(fingerprints))
    with pytest.raises(RuntimeError, match="base did not give back the base"):
        run(["base"], stream=(1,))


def test_names_and_sizes_are_checked_first(run: Compare) -> None:
    """An unknown method or an impossible size is refused before anything is loaded or stored."""
    with pytest.raises(ValueError, match=r"methods to compare are base, .*; got 'rome'"):
        run(["base", "rome"])
    with pytest.raises(ValueError, match="sizes of 1 or more"):
        run(["base"], stream=(0, 10))
