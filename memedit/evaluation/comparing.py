"""Several methods over one stream of edits, asked the same questions, scored by the same rules."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tqdm import tqdm

from memedit.editors.fingerprint import fingerprint
from memedit.edits import Edit
from memedit.evaluation.base_answers import BaseAnswersFile
from memedit.evaluation.cases import Case, Dataset, Probe
from memedit.evaluation.decoding import BATCH_ROWS, MAX_NEW_TOKENS, Decoder
from memedit.evaluation.judging import Judge
from memedit.evaluation.methods import METHODS, check_methods, make_method
from memedit.evaluation.protocols import question_count, run_rounds
from memedit.evaluation.provenance import surroundings
from memedit.evaluation.report import build_report
from memedit.evaluation.runs import Run, read_run, write_run
from memedit.evaluation.stages import STREAM, Stage, stages_of
from memedit.evaluation.subject import Method, Setup


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
    distractors: Sequence[Case] = (),
    most: Mapping[str, int] = MappingProxyType({}),
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

    Each run is written when it is finished, and so are the base's answers. A run that `folder` holds
    already is not done again, so that an interrupted comparison goes on where it was, and another method
    or a larger size adds to it.

    Args:
        setup: What methods are made from; each gets an empty folder below `setup.folder`. Its seed
            decides the drawing too.
        methods: Names of `METHODS`.
        dataset: Where edits and questions come from.
        folder: Where runs and answers are written (`run_file`, `answers_file`).
        stream: At which numbers of edits it is asked; those beyond all that there are count as all.
        queries: At most so many edits, and unrelated questions, are asked about at each size; None for all.
        unrelated: Further questions out of every edit's scope.
        distractors: Stored behind the data set's cases where a size needs more: searched, never asked about.
        most: The largest size of methods that are too slow for the whole stream, by name.
        limit: For a quick look: no size, and no number of queries, above this one.
        synthetic: Whether to take teacher-forced accuracy too.
        judge: Scores answers beside the rules.
        rows: Prompts decoded together.
        max_new_tokens: The most tokens an answer may have.
        settings: Further things to be noted, such as names and hashes of files, as JSON-compatible values. A
            run of other settings in `folder` is refused, but for what stands under the name `path`. Under
            `checkpoints`, by the names of `CHECKPOINTS`, stands what only concerns the methods that are made
            from them.
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
    stages = stages_of(dataset, stream, queries=queries, unrelated=unrelated, distractors=distractors, seed=setup.seed)
    stages_by_method = {
        name: [stage for stage in stages if stage.edits <= most.get(name, stage.edits)] for name in methods
    }
    given = {
        **(settings or {}),
        "protocol": "sequential",
        "seed": setup.seed,
        "queries": queries,
        "synthetic": synthetic,
        "judged": judge is not None,
        "rows": rows,
        "max_new_tokens": max_new_tokens,
        "base_fingerprint": fingerprint(setup.base),
    }
    known = BaseAnswersFile(
        folder / "base_answers.jsonl",
        {"base": given["base_fingerprint"], "vocabulary": setup.tokenizer.get_vocab(), **surroundings(setup.base)},
    )
    total = sum(question_count([one.round for one in chosen]) for chosen in stages_by_method.values())
    runs = []
    with tqdm(total=total, unit="question", disable=not progress) as bar:
        for name, chosen in stages_by_method.items():
            decoder = Decoder(setup.tokenizer, max_new_tokens, known)
            runs += _Runs(name, setup, dataset, folder, given, judge, synthetic, rows, decoder, bar).of(chosen)
    stored = [one.edits for one in stages]
    return Comparison({**given, "methods": list(methods), "stream": stored, "most": dict(most), "limit": limit}, runs)


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

    def of(self, stages: Sequence[Stage]) -> list[Run]:
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

    def _run(self, method: Method, stages: Sequence[Stage], stored: list[Edit]) -> Run:
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
        write_run(self.folder, run, self._settings(stages), evaluation, self.judge)
        return run

    def _read(self, stages: Sequence[Stage]) -> Run | None:
        return read_run(self.folder, self.name, stages[-1].edits, self._settings(stages))

    def _settings(self, stages: Sequence[Stage]) -> dict[str, Any]:
        # What was stored at once before is a part of how a method that learns came to its state.
        sizes = [stage.edits for stage in stages]
        given = {**self.given, "method": self.name, "stream": sizes, "asked_sha256": stages[-1].digest}
        if "checkpoints" in given:
            needed = METHODS[self.name].checkpoints
            given["checkpoints"] = {name: value for name, value in given["checkpoints"].items() if name in needed}
        return given
