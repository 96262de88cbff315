"""`memedit evaluate`: store edits of a data set, ask everything, write the figures; compare methods."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memedit.cli import options
from memedit.cli.evaluate_options import EvaluateOptions, Protocol
from memedit.cli.evaluate_output import print_comparison, print_report, write_figures
from memedit.cli.evaluate_runs import run_comparison, run_one, score_file, write_questions_file
from memedit.evaluation.methods import METHODS

_DATA, _OUTPUT = "Data", "Output"
_COMPARING, _OTHERS = "Comparing methods", "Other tools"


def evaluate(
    data: Annotated[
        str | None,
        typer.Option(help="Data file with its --format, or the name of a data set.", rich_help_panel=_DATA),
    ] = None,
    form: Annotated[
        options.DataFormat | None,
        typer.Option("--format", help="Format of the data file; a name needs none.", rich_help_panel=_DATA),
    ] = None,
    languages: Annotated[
        str | None,
        typer.Option(help="Of a data set in several: of the edits, of the questions (en,zh).", rich_help_panel=_DATA),
    ] = None,
    edits: Annotated[int | None, typer.Option(min=1, help="How many edits to store.", rich_help_panel=_DATA)] = None,
    queries: Annotated[
        int | None,
        typer.Option(min=1, help="About how many of them to ask. Default: all.", rich_help_panel=_DATA),
    ] = None,
    unrelated: Annotated[
        Path | None,
        typer.Option(help='Further unrelated questions: JSON Lines of {"question": …}.', rich_help_panel=_DATA),
    ] = None,
    distractors: Annotated[
        Path | None,
        typer.Option(
            help="File of further edits: stored behind those of --data to fill the memory, never asked about.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides which edits and questions are drawn.", rich_help_panel=_DATA)] = 0,
    protocol: Annotated[
        Protocol,
        typer.Option(
            help="sequential: ask when all edits are stored. after_each: ask about each right after it. "
            "batches, single: so many at a time, then taken out again."
        ),
    ] = Protocol.SEQUENTIAL,
    batch: Annotated[int, typer.Option(min=1, help="Edits of one batch under --protocol batches.")] = 100,
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="Take teacher-forced accuracy too, in tables of its own.")
    ] = False,
    judge: Annotated[
        str | None,
        typer.Option(help="A language model that judges answers beside the rules: a folder or a hub id."),
    ] = None,
    model: options.Model = None,
    editor: options.Editor = None,
    scope: options.Scope = None,
    encoder: options.Encoder = None,
    device: options.OnDevice = options.Device.CPU,
    compare: Annotated[
        str | None,
        typer.Option(
            help=f"Some of {', '.join(METHODS)}; with commas. They share base, edits and questions. "
            "grace:1000 stops at 1,000 edits.",
            rich_help_panel=_COMPARING,
        ),
    ] = None,
    stream: Annotated[
        str, typer.Option(help="Numbers of stored edits at which to ask.", rich_help_panel=_COMPARING)
    ] = "1,10,100,1000,10000",
    report: Annotated[
        Path | None,
        typer.Option(
            help="Folder for tables, plots, figures and answers. A comparison that is interrupted goes on from there.",
            rich_help_panel=_COMPARING,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, help="For a quick look: no more edits, and questions about no more.", rich_help_panel=_COMPARING
        ),
    ] = None,
    questions_out: Annotated[
        Path | None,
        typer.Option(help="Write edits and questions for another tool, and stop.", rich_help_panel=_OTHERS),
    ] = None,
    judge_file: Annotated[
        Path | None,
        typer.Option(
            help="Score the answers that another tool gave. With the --data options of --questions-out a line needs "
            "only id and answer.",
            rich_help_panel=_OTHERS,
        ),
    ] = None,
    tool: Annotated[
        str | None,
        typer.Option(
            help="The other tool's name: with --report its answers become a row of that comparison.",
            rich_help_panel=_OTHERS,
        ),
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(help="Write every question and answer here, as JSON Lines.", rich_help_panel=_OUTPUT),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here; - for stdout.", rich_help_panel=_OUTPUT)
    ] = None,
) -> None:
    """Store edits of a data set, ask everything by free decoding, and write the figures.

    With --compare several methods do so on the same base, edits and questions, for a report. With --judge-file
    the answers of another tool are scored by the same rules.
    """
    chosen = EvaluateOptions(
        data=data, form=form, languages=languages, edits=edits, queries=queries, unrelated=unrelated,
        distractors=distractors, protocol=protocol, batch=batch, synthetic=synthetic, model=model, editor=editor,
        scope=scope, encoder=encoder, device=device, seed=seed, compare=compare, stream=stream, limit=limit,
        report=report, judge=judge, questions_out=questions_out, judge_file=judge_file, tool=tool,
        answers=answers, json_file=json_file,
    )  # fmt: skip
    chosen.check()
    if questions_out is not None:
        write_questions_file(chosen)
        return
    if compare is not None:
        values = run_comparison(chosen)
        if write_figures(json_file, values):
            print_comparison(values)
        return
    values = run_one(chosen) if judge_file is None else score_file(chosen)
    if write_figures(json_file, values):
        print_report(values)
