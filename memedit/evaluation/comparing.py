"""Several methods over one stream of edits, asked the same questions, scored by the same rules."""

from __future__ import annotations

import hashlib
import json
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from memedit.editors.fingerprint import fingerprint
from memedit.edits import Edit
from memedit.errors import DatasetError
from memedit.evaluation.cases import Case, Dataset, Probe
from memedit.evaluation.datasets import grouped, sample
from memedit.evaluation.decoding import BATCH_ROWS, MAX_NEW_TOKENS, BaseAnswers, Decoder
from memedit.evaluation.judging import Judge
from memedit.evaluation.methods import check_methods, make_method
from memedit.evaluation.protocols import Round, question_count, run_rounds
from memedit.evaluation.questions import Plan
from memedit.evaluation.report import answer_rows, build_report
from memedit.evaluation.subject import Method, Setup

STREAM = (1, 10, 100, 1_000, 10_000)


@dataclass(frozen=True, slots=True)
class Run:
    """One method judged with one number of edits in place.

    Attributes:
        method: Its name in `memedit.evaluation.methods.METHODS`.
        edits: How many edits of the stream were stored.
        evaluation_report: What `build_report` made of it; `settings` holds the method's own settings.
        seconds: Wall time of storing what was new, asking and scoring.
    """

    method: str
    edits: int
    evaluation_report: dict[str, Any]
    seconds: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` returns: all that was run, method by method, each from few edits to many.

    Attributes:
        settings: Everything needed to run it again.
        runs: One for each method and size of the stream.
    """

    settings: dict[str, Any]
    runs: list[Run]


def compare(
    setup: Setup,
    methods: Sequence[str],
    dataset: Dataset,
    *,
    folder: Path,
    stream: Sequence[int] = STREAM,
    queries: int | None = None,
    unrelated: Sequence[Probe] = (),
    limit: int | None = None,
    synthetic: bool = False,
    judge: Judge | None = None,
    rows: int = BATCH_ROWS,
    max_new_tokens: int = MAX_NEW_TOKENS,
    settings: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Comparison:
    """Let methods store one stream of edits, and ask all of them the same at certain sizes.

    The stream is a drawing of the data set: what is stored at one size stays, and more is added for the
    next. At each size everything is asked after all edits (the protocol `sequential`). The base's
    answers are decoded once for all methods.

    Each run is written when it is finished. A run that `folder` holds already is not done again, so that
    an interrupted comparison goes on where it was, and another method or a larger size adds to it.

    Args:
        setup: What methods are made from; each gets an empty folder below `setup.folder`. Its seed
            decides the drawing too.
        methods: Names of `METHODS`.
        dataset: Where edits and questions come from.
        folder: Where runs and answers are written (`run_file`, `answers_file`).
        stream: At which numbers of edits it is asked; those beyond the data set count as all of it.
        queries: At most so many edits, and unrelated questions, are asked about at each size; None for all.
        unrelated: Further questions out of every edit's scope.
        limit: For a quick look: no size, and no number of queries, above this one.
        synthetic: Whether to take teacher-forced accuracy too.
        judge: Scores answers beside the rules.
        rows: Prompts decoded together.
        max_new_tokens: The most tokens an answer may have.
        settings: Further things to be noted, such as names and hashes of files, as JSON-compatible values. A
            run of other settings in `folder` is refused.
        progress: Whether to show a progress bar over everything.

    Returns:
        All runs, those found in `folder` among them.

    Raises:
        ValueError: A method is unknown, or a size is less than 1.
        DatasetError: `folder` holds a run of other settings.
        RuntimeError: A method changed the base.
    """
    check_methods(methods)
    if limit is not None:
        stream = [min(size, limit) for size in stream]
        queries = limit if queries is None else min(queries, limit)
    stages = _stages(_drawn(dataset.cases, setup.seed), stream, queries, unrelated, setup.seed)
    given = {
        **(settings or {}),
        "protocol": "sequential",
        "seed": setup.seed,
        "queries": queries,
        "synthetic": synthetic,
        "rows": rows,
        "max_new_tokens": max_new_tokens,
        "base_fingerprint": fingerprint(setup.base),
    }
    known: BaseAnswers = {}
    runs = []
    with tqdm(
        total=len(methods) * question_count([one.round for one in stages]), unit="question", disable=not progress
    ) as bar:
        for name in methods:
            decoder = Decoder(setup.tokenizer, max_new_tokens, known)
            runs += _Runs(name, setup, dataset, folder, given, judge, synthetic, rows, decoder, bar).of(stages)
    stored = [one.edits for one in stages]
    return Comparison({**given, "methods": list(methods), "stream": stored, "limit": limit}, runs)


def planned(
    dataset: Dataset, edits: int, *, queries: int | None = None, unrelated: Sequence[Probe] = (), seed: int = 0
) -> tuple[list[Case], Plan]:
    """What `compare` stores and asks at one size of the stream, for tools that are not run here.

    Args:
        dataset: Where edits and questions come from.
        edits: The size.
        queries: As for `compare`.
        unrelated: As for `compare`.
        seed: That of its setup.

    Returns:
        All edits in their order, and what is asked once they are stored.
    """
    cases = _drawn(dataset.cases, seed)
    (stage,) = _stages(cases, [edits], queries, unrelated, seed)
    assert stage.round.plan is not None
    return list(stage.round.new), stage.round.plan


def answers_file(folder: Path, method: str, edits: int) -> Path:
    """Where the questions and answers of one run lie, as JSON Lines (rows of `answer_rows`)."""
    return folder / "answers" / f"{method}-{edits}.jsonl"


def run_file(folder: Path, method: str, edits: int) -> Path:
    """Where the figures of one run lie, as JSON: `run` with the fields of `Run`, and `settings`."""
    return folder / "runs" / f"{method}-{edits}.json"


@dataclass(frozen=True, slots=True)
class _Stage:
    """One size of the stream: how many edits are stored then, what is new and asked, and a hash of both."""

    edits: int
    round: Round
    digest: str


@dataclass(frozen=True, slots=True)
class _Runs:
    """What the runs of one method share."""

    name: str
    setup: Setup
    dataset: Dataset
    folder: Path
    given: Mapping[str, Any]
    judge: Judge | None
    synthetic: bool
    rows: int
    decoder: Decoder
    bar: Any

    def of(self, stages: Sequence[_Stage]) -> list[Run]:
        """The runs of all stages: read where they were made before, and made otherwise."""
        found = [self._read(stages[: number + 1]) for number in range(len(stages))]
        for run, stage in zip(found, stages, strict=True):
            self.bar.update(question_count([stage.round]) if run else 0)
        # What is stored after the last missing run is of no use.
        needed = max((number + 1 for number, run in enumerate(found) if run is None), default=0)
        if not needed:
            return [run for run in found if run]
        before = fingerprint(self.setup.base)
        with tempfile.TemporaryDirectory(dir=self.setup.folder) as scratch:
            method = make_method(self.name, replace(self.setup, folder=Path(scratch)))
            stored: list[Edit] = []
            with closing(method):
                for number in range(needed):
                    self.bar.set_description(f"{self.name} {stages[number].edits}")
                    if found[number] is None:
                        found[number] = self._run(method, stages[: number + 1], stored)
                    else:
                        stored += method.store(stages[number].round.new, progress=not self.bar.disable)[0]
        if fingerprint(self.setup.base) != before:
            raise RuntimeError(f"the method {self.name} did not give back the base as it was")
        return [run for run in found if run]

    def _run(self, method: Method, stages: Sequence[_Stage], stored: list[Edit]) -> Run:
        started = time.perf_counter()
        evaluation = run_rounds(
            method,
            [stages[-1].round],
            self.decoder,
            self.bar,
            records=self.dataset,
            seed=self.setup.seed,
            stored=stored,
            rows=self.rows,
            synthetic=self.synthetic,
        )
        settings = {**self._settings(stages), "method_settings": method.settings()}
        report = build_report(evaluation, settings, self.judge)
        run = Run(self.name, stages[-1].edits, report, time.perf_counter() - started)
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in answer_rows(evaluation, self.judge))
        _write(answers_file(self.folder, self.name, run.edits), "".join(lines))
        # Last, since it says that the run is finished.
        values = {"run": asdict(run), "settings": self._settings(stages)}
        _write(run_file(self.folder, self.name, run.edits), json.dumps(values, ensure_ascii=False, indent=2) + "\n")
        return run

    def _read(self, stages: Sequence[_Stage]) -> Run | None:
        path = run_file(self.folder, self.name, stages[-1].edits)
        if not path.is_file():
            return None
        values = json.loads(path.read_text(encoding="utf-8"))
        found, wanted = values["settings"], json.loads(json.dumps(self._settings(stages)))
        if differing := sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name)):
            raise DatasetError(
                f"{path} holds a run with other settings ({', '.join(differing)}); "
                "name another folder, or remove the runs from this one"
            )
        return Run(**values["run"])

    def _settings(self, stages: Sequence[_Stage]) -> dict[str, Any]:
        # What was stored at once before is a part of how a method that learns came to its state.
        sizes = [stage.edits for stage in stages]
        return {**self.given, "method": self.name, "stream": sizes, "asked_sha256": stages[-1].digest}


def _drawn(cases: Sequence[Case], seed: int) -> list[Case]:
    """All cases in an order drawn with `seed`; those of one group stay together."""
    groups = grouped(cases)
    random.Random(seed).shuffle(groups)
    return [case for group in groups for case in group]


def _stages(
    cases: Sequence[Case], stream: Sequence[int], queries: int | None, unrelated: Sequence[Probe], seed: int
) -> list[_Stage]:
    if not stream or min(stream) < 1:
        raise ValueError(f"a stream has sizes of 1 or more, got {list(stream)}")
    ends: list[int] = []
    for group in grouped(cases):
        ends.append((ends[-1] if ends else 0) + len(group))
    sizes = sorted({next((end for end in ends if end >= size), len(cases)) for size in stream})
    stages = []
    for start, end in zip([0, *sizes], sizes, strict=False):
        asked = sample(range(end), end if queries is None else queries, seed + 1)
        drawn = sample(unrelated, len(asked) if queries is None else queries, seed + 2)
        plan = Plan.of(cases[:end], asked, drawn)
        digest = hashlib.sha256(repr((cases[:end], plan.questions)).encode()).hexdigest()
        stages.append(_Stage(end, Round(cases[start:end], plan), digest))
    return stages


def _write(path: Path, text: str) -> None:
    """Write a file that is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
