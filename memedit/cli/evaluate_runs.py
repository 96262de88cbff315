"""The four things that `memedit evaluate` does; each returns JSON-compatible figures."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memedit.cli.console import note
from memedit.cli.evaluate_options import EvaluateOptions
from memedit.cli.evaluate_output import write_rows
from memedit.cli.evaluate_settings import settings_given, settings_of, settings_of_model
from memedit.cli.loading import load_base


def run_one(options: EvaluateOptions) -> dict[str, Any]:
    """Judge one model with edits."""
    dataset, unrelated = _load_data(options)
    assert options.edits is not None
    base, tokenizer, encoder, classifier = _load_models(options)
    judge = _load_judge(options)
    from memedit.evaluation import answer_rows, build_report, evaluate
    from memedit.memory import EditMemory
    from memedit.pipelines import wrap

    with tempfile.TemporaryDirectory(prefix="memedit-") as folder:
        # In a file, so that the seconds per edit are those of durable writes.
        memory = EditMemory(Path(folder) / "edits.db", encoder)
        edited = wrap(base, tokenizer, memory=memory, scope=classifier, editor=options.editor)
        with edited.edits:
            evaluation = evaluate(
                edited,
                dataset,
                edits=options.edits,
                queries=options.queries,
                unrelated=unrelated,
                seed=options.seed,
                protocol=options.protocol.value,
                batch=options.batch,
                synthetic=options.synthetic,
                progress=True,
            )
    settings = {
        **settings_of(options, base, encoder, classifier),
        **settings_of_model(edited),
        "edits": options.edits,
        "protocol": options.protocol.value,
        "batch": options.batch,
    }
    write_rows(options.answers, answer_rows(evaluation, judge))
    return build_report(evaluation, settings, judge)


def run_comparison(options: EvaluateOptions) -> dict[str, Any]:
    """Compare methods over one stream of edits and publish the comparison."""
    assert options.report is not None
    dataset, unrelated = _load_data(options)
    base, tokenizer, encoder, classifier = _load_models(options)
    from memedit.evaluation.comparing import compare
    from memedit.evaluation.other_tools import with_tools
    from memedit.evaluation.publishing import comparison_values
    from memedit.evaluation.subject import Setup

    methods = options.methods()
    with tempfile.TemporaryDirectory(prefix="memedit-") as scratch:
        editor = None if options.editor is None else Path(options.editor)
        comparison = compare(
            Setup(base, tokenizer, encoder, classifier, Path(scratch), options.seed, editor),
            list(methods),
            dataset,
            folder=options.report,
            stream=options.sizes(),
            queries=options.queries,
            unrelated=unrelated,
            distractors=_load_distractors(options),
            most={name: most for name, most in methods.items() if most is not None},
            limit=options.limit,
            synthetic=options.synthetic,
            judge=_load_judge(options),
            settings=settings_of(options, base, encoder, classifier),
            progress=True,
        )
    comparison = with_tools(comparison, options.report)
    _publish(comparison, options.report)
    return comparison_values(comparison)


def write_questions_file(options: EvaluateOptions) -> None:
    """Write what another tool is to store and to answer."""
    from memedit.evaluation.answer_files import write_questions

    assert options.questions_out is not None
    stage = _planned(options)
    assert stage.round.plan is not None
    count = write_questions(options.questions_out, stage.round.new, stage.round.plan)
    note(f"wrote {stage.edits} edits and {count} questions to {options.questions_out}")


def score_file(options: EvaluateOptions) -> dict[str, Any]:
    """Score what another tool answered."""
    from memedit.evaluation import answer_rows, build_report
    from memedit.evaluation.answer_files import named_questions, read_answers
    from memedit.evaluation.other_tools import add_tool, with_tools
    from memedit.evaluation.provenance import source, versions
    from memedit.evaluation.publishing import load_comparison

    assert options.judge_file is not None
    stage = None if options.data is None else _planned(options)
    evaluation = read_answers(options.judge_file, stage and named_questions(stage.round.plan))
    judge = _load_judge(options)
    settings = {
        **settings_given(options),
        "judge_file": source(options.judge_file),
        "edits": options.edits,
        "versions": versions(),
    }
    write_rows(options.answers, answer_rows(evaluation, judge))
    if options.report is None:
        return build_report(evaluation, settings, judge)
    assert options.tool is not None
    assert stage is not None
    run = add_tool(options.report, options.tool, stage, evaluation, settings, judge)
    if (options.report / "comparison.json").is_file():
        _publish(with_tools(load_comparison(options.report), options.report), options.report)
    return run.evaluation_report


def _publish(comparison: Any, folder: Path) -> None:
    from memedit.evaluation.publishing import save_comparison

    for file in save_comparison(comparison, folder):
        note(f"wrote {file}")


def _planned(options: EvaluateOptions) -> Any:
    """The edits and questions that a comparison with the same options would have at this size."""
    from memedit.evaluation.stages import planned

    dataset, unrelated = _load_data(options)
    assert options.edits is not None
    return planned(
        dataset,
        options.edits,
        queries=options.queries,
        unrelated=unrelated,
        distractors=_load_distractors(options),
        seed=options.seed,
    )


def _load_data(options: EvaluateOptions) -> tuple[Any, Sequence[Any]]:
    """The data set and the further unrelated questions; loads no model."""
    from memedit.evaluation import load_dataset, load_questions

    assert options.data is not None
    dataset = load_dataset(options.data, _form(options), languages=options.language_pair())
    largest = max(options.sizes()) if options.compare else options.edits or 0
    if largest > len(dataset.cases) and options.distractors is None:
        note(f"{largest} edits were asked for, {options.data} holds {len(dataset.cases)} usable records")
    return dataset, load_questions(options.unrelated) if options.unrelated else ()


def _load_distractors(options: EvaluateOptions) -> Sequence[Any]:
    """The edits that fill a memory and are not asked about, of a file of the same format."""
    if options.distractors is None:
        return ()
    from memedit.evaluation import load_dataset

    return load_dataset(options.distractors, _form(options) or "", languages=options.language_pair()).cases


def _form(options: EvaluateOptions) -> str | None:
    return None if options.form is None else options.form.value


def _load_models(options: EvaluateOptions) -> tuple[Any, Any, Any, Any]:
    """Base, tokenizer, encoder and scope classifier."""
    base, tokenizer = load_base(options.model, options.device)
    from memedit.scope import ScopeClassifier, SentenceEncoder

    # One line per batch of rows would drown the progress bar.
    logging.getLogger("memedit").setLevel(logging.WARNING)
    encoder = SentenceEncoder.from_pretrained(options.encoder, device=options.device)
    classifier = ScopeClassifier.beside(encoder, options.scope, device=options.device)
    return base, tokenizer, encoder, classifier


def _load_judge(options: EvaluateOptions) -> Any:
    """The judge model, None if none was asked for."""
    if options.judge is None:
        return None
    from transformers import pipeline

    from memedit.evaluation.judging import PipelineJudge

    model, tokenizer = load_base(options.judge, options.device)
    return PipelineJudge(pipeline("text-generation", model=model, tokenizer=tokenizer))
