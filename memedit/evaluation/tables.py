"""A comparison as Markdown: one table for each protocol and number of stored edits, methods as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memedit.evaluation.comparing import Comparison
from memedit.evaluation.runs import Run


@dataclass(frozen=True, slots=True)
class Table:
    """Columns that are taken by one protocol.

    Attributes:
        title: What they have in common.
        meaning: How they are taken, in a sentence or two.
        columns: Heading and dotted path in a report (`value_at`).
    """

    title: str
    meaning: str
    columns: Mapping[str, str]


TABLES = (
    Table(
        "Free decoding, exact match",
        "Greedy answers to the prompts as they stand, compared after SQuAD normalisation; locality is token identity "
        "with the base.",
        {
            "reliability": "reliability",
            "generality": "generality",
            "portability": "portability",
            "locality: unrelated": "locality.unrelated",
            "locality: neighbour": "locality.neighbour",
            "locality: same subject": "locality.same_subject",
        },
    ),
    Table(
        "Portability by kind, exact match",
        "The same answers to questions whose answer follows from the edit.",
        {
            "one hop": "portability_by_kind.one_hop",
            "alias": "portability_by_kind.alias",
            "reversed": "portability_by_kind.reversed",
            "compositional": "portability_by_kind.compositional",
            "other": "portability_by_kind.other",
        },
    ),
    Table(
        "Free decoding, containment",
        "The same answers, right if an accepted answer stands within them as whole words.",
        {name: f"scores.contains.{name}" for name in ("reliability", "generality", "portability")},
    ),
    Table(
        "Free decoding, token F1",
        "The same answers, mean F1 of their words against the best accepted answer.",
        {name: f"scores.token_f1.{name}" for name in ("reliability", "generality", "portability")},
    ),
    Table(
        "Free decoding, judge model",
        "The same answers, right if the judge model says so.",
        {name: f"scores.judged.{name}" for name in ("reliability", "generality", "portability")},
    ),
    Table(
        "Teacher forcing (synthetic)",
        "Share of the target's tokens that are predicted when those before it are given. It leaks the answer and its "
        "length; for comparison with papers only.",
        {name: f"synthetic.{name}" for name in ("reliability", "generality", "portability")},
    ),
    Table(
        "CounterFact's neighbourhood score",
        "Share of the neighbourhood prompts after which the old answer is more probable than the new one; an unedited "
        "model does not reach 1.",
        {"P(true) > P(new)": "neighbourhood_score"},
    ),
    Table(
        "Routing",
        "Paraphrases and out-of-scope queries, with the whole memory loaded.",
        {
            "paraphrase: right edit": "routing.paraphrase_recall",
            "paraphrase: wrong edit": "routing.wrong_edit",
            "precision": "routing.precision",
            "neighbour kept out": "routing.neighbour_kept_out",
            "same subject kept out": "routing.same_subject_kept_out",
            "unrelated kept out": "routing.unrelated_kept_out",
            "AUROC": "routing.auroc",
            "calibration error": "routing.ece",
        },
    ),
    Table(
        "Fluency",
        "Entropy of bigrams and trigrams of what is written after the edits' prompts, in bits.",
        {"n-gram entropy": "fluency"},
    ),
)


def markdown(comparison: Comparison) -> str:
    """All tables of a comparison, with a heading for each number of stored edits.

    A share is followed by its 95 % interval (bootstrap over edits). Columns for which nothing was
    asked are left out; "–" is what a method does not have.
    """
    sizes = sorted({run.edits for run in comparison.runs})
    parts = [_size(size, [run for run in comparison.runs if run.edits == size]) for size in sizes]
    return "\n\n".join(parts) + "\n"


def value_at(report: Mapping[str, Any], path: str) -> Any:
    """What a report holds at a dotted path such as `locality.neighbour`; None if nothing."""
    value: Any = report
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def present(columns: Mapping[str, str], reports: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Those of the columns (headings and paths) that hold something in any of the reports."""
    return {
        title: path for title, path in columns.items() if any(value_at(report, path) is not None for report in reports)
    }


def shown(value: float | None) -> str:
    """A figure for people: four digits, more where they stand before the point, "–" for None."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def cost_table(runs: Sequence[Run]) -> Table:
    """All costs that a run states, under the names of the report, which hold the unit."""
    names = dict.fromkeys(name for run in runs for name in run.evaluation_report["cost"])
    columns = {name.replace("_", " "): f"cost.{name}" for name in names}
    return Table("Cost", "Medians unless the name says otherwise.", columns)


def _size(size: int, runs: Sequence[Run]) -> str:
    tables = (_table(table, runs) for table in (*TABLES, cost_table(runs)))
    heading = f"## {size:,} edit{'' if size == 1 else 's'}"
    return "\n\n".join([heading, *(table for table in tables if table)])


def _table(table: Table, runs: Sequence[Run]) -> str:
    """The table; empty if none of its columns holds anything."""
    columns = present(table.columns, [run.evaluation_report for run in runs])
    if not columns:
        return ""
    lines = [
        f"### {table.title}",
        "",
        table.meaning,
        "",
        f"| method | {' | '.join(columns)} |",
        f"|---|{'---|' * len(columns)}",
    ]
    for run in runs:
        cells = (_cell(run.evaluation_report, path) for path in columns.values())
        lines.append(f"| {run.method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(report: Mapping[str, Any], path: str) -> str:
    value, found = value_at(report, path), value_at(report["intervals"], path)
    return shown(value) if found is None else f"{value:.3f} ({found['low']:.2f} to {found['high']:.2f})"
