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
from memedit.evaluation.comparing import Comparison, answers_file, compare, run_file
from memedit.evaluation.subject import Setup

CITIES = ("Rome", "Oslo", "Lima", "Kyiv", "Bonn")
TARGETS = ("Turin", "Delhi", "Cairo", "Lyon", "Quito")
DATASET = Dataset(
    tuple(
        Case(
            row,
            f"The twin city of {city} is",
            target,
            city,
            paraphrases=(f"What is the twin city of {city}?",),
            locality={LocalityKind.NEIGHBOUR: (Probe(f"The twin city of {city}ville is"),)},
        )
        for row, (city, target) in enumerate(zip(CITIES, TARGETS, strict=True), start=1)
    ),
    {"blank_target": 2},
)
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


def test_groups_of_cases_are_stored_together(run: Compare) -> None:
    """A size of the stream that would part a group is raised to the group's end."""
    cases = tuple(replace(case, group=case.row // 4) for case in DATASET.cases)  # 1 to 3, and 4 with 5
    drawn = comparing._drawn(cases, seed=0)
    stages = comparing._stages(drawn, (1, 4), None, (), 0)
    assert [stage.edits for stage in stages] == [len([c for c in cases if c.group == drawn[0].group]), 5]


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
