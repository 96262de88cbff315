"""The plots of a comparison, drawn with matplotlib (the extra `memedit[plots]`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memedit.evaluation.comparing import Comparison
from memedit.evaluation.runs import Run
from memedit.evaluation.tables import cost_table, present, value_at
from memedit.scope.plots import GREY, new_figure, plot_style

CAPTIONS = {
    "retention": "Shares over the number of stored edits, with 95 % intervals",
    "cost": "Costs over the number of stored edits",
    "reliability": "Reliability diagram of the scope decision, at the largest number of edits",
    "precision_recall": "Precision and recall of the scope decision, at the largest number of edits",
}
"""The plots by name: what each shows. The last two need a method with scores, the third with probabilities."""

_RETAINED = {
    "Reliability": "reliability",
    "Generality": "generality",
    "Portability": "portability",
    "Locality: unrelated": "locality.unrelated",
    "Locality: neighbour": "locality.neighbour",
    "Locality: same subject": "locality.same_subject",
}
_MARKERS = "osD^vP*Xhp<>d"
"""Not as many as there are colours, so that more than ten methods can be told apart."""
_ACROSS = 3
"""Panels beside each other."""
_WIDE = 30
"""Costs that differ by a larger factor than this are drawn on a logarithmic axis."""

Looks = Mapping[str, Mapping[str, str]]
"""Colour and marker of each method, the same in all plots."""


def save_figures(comparison: Comparison, folder: Path) -> list[Path]:
    """Draw what the comparison has figures for, of the plots in `CAPTIONS`, each as `NAME.png`.

    Args:
        comparison: With at least one run.
        folder: Where to; made if it does not exist.

    Returns:
        The files.

    Raises:
        ImportError: matplotlib is not installed.
    """
    runs = comparison.runs
    largest = max(run.edits for run in runs)
    routed = [run for run in runs if run.edits == largest and run.evaluation_report["curves"]]
    looks = {
        method: {"color": f"C{number % 10}", "marker": _MARKERS[number % len(_MARKERS)]}
        for number, method in enumerate(dict.fromkeys(run.method for run in runs))
    }
    files = []
    with plot_style():
        folder.mkdir(parents=True, exist_ok=True)
        costs = cost_table(runs).columns
        figures = {"retention": _over_edits(runs, _RETAINED, looks), "cost": _over_edits(runs, costs, looks)}
        if stating := [run for run in routed if run.evaluation_report["curves"]["reliability"]]:
            figures["reliability"] = _reliability(stating, looks)
        if routed:
            figures["precision_recall"] = _precision_recall(routed, looks)
        for name, figure in figures.items():
            files.append(folder / f"{name}.png")
            figure.savefig(files[-1])
    return files


def _over_edits(runs: Sequence[Run], panels: Mapping[str, str], looks: Looks) -> Any:
    """One panel for each figure that any run has, a line for each method."""
    shown = present(panels, [run.evaluation_report for run in runs])
    rows = max(1, -(-len(shown) // _ACROSS))
    figure = new_figure((4.2 * _ACROSS, 3.2 * rows + 0.6))
    grid = figure.subplots(rows, _ACROSS, squeeze=False).ravel()
    for axes in grid[len(shown) :]:
        axes.set_visible(False)
    for axes, (title, path) in zip(grid, shown.items(), strict=False):
        lines = [_line(axes, [run for run in runs if run.method == method], path, looks) for method in looks]
        values = [value for line in lines for value in line]
        axes.set(title=title, xlabel="stored edits", xscale="log")
        if path.startswith("cost."):
            many_sizes = min(values) > 0 and max(values) > _WIDE * min(values)
            axes.set(**({"yscale": "log"} if many_sizes else {"ylim": (0, 1.1 * max(values) or 1)}))
        else:
            axes.set(ylim=(-0.03, 1.03))
        axes.xaxis.set_major_formatter("{x:,.0f}")
    handles = {label: each for axes in grid for each, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=min(5, max(1, len(handles))))
    return figure


def _line(axes: Any, runs: Sequence[Run], path: str, looks: Looks) -> list[float]:
    """One method's figure over the number of edits, with its interval as a band; returns what is drawn."""
    found = [
        (run.edits, run.evaluation_report)
        for run in sorted(runs, key=lambda run: run.edits)
        if value_at(run.evaluation_report, path) is not None
    ]
    if not found:
        return []
    edits, look = [size for size, _ in found], looks[runs[0].method]
    values = [value_at(report, path) for _, report in found]
    axes.plot(edits, values, **look, linewidth=1.6, label=runs[0].method)
    intervals = [value_at(report["intervals"], path) for _, report in found]
    if all(intervals):
        lows, highs = ([each[end] for each in intervals] for end in ("low", "high"))
        axes.fill_between(edits, lows, highs, color=look["color"], alpha=0.12, linewidth=0)
    return values


def _reliability(runs: Sequence[Run], looks: Looks) -> Any:
    """Observed share of queries in scope over the stated probability, a line for each method."""
    figure = new_figure((5.4, 5.2))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.2, label="perfectly calibrated")
    for run in runs:
        bins = [each for each in run.evaluation_report["curves"]["reliability"] if each["count"]]
        error = value_at(run.evaluation_report, "routing.ece")
        axes.plot(
            [each["probability"] for each in bins], [each["share"] for each in bins], **looks[run.method],
            linewidth=1.4, clip_on=False, label=f"{run.method}: ECE {error:.3f}",
        )  # fmt: skip
    title = f"Calibration, {runs[0].edits:,} edits"
    axes.set(title=title, xlabel="stated probability", ylabel="observed share in scope", xlim=(0, 1), ylim=(0, 1.03))
    axes.legend(loc="upper left", fontsize=8.5)
    return figure


def _precision_recall(runs: Sequence[Run], looks: Looks) -> Any:
    """Precision over recall of the best candidate's score, with the point at which each method stands."""
    figure = new_figure((5.4, 4.8))
    axes = figure.subplots()
    for run in runs:
        points, look = run.evaluation_report["curves"]["curve"], looks[run.method]
        # As steps: between two points precision is not known to be in between (Davis & Goadrich 2006).
        axes.step(
            [*(point["recall"] for point in points), 0.0], [*(point["precision"] for point in points), 1.0],
            where="post", color=look["color"], linewidth=1.6, label=run.method,
        )  # fmt: skip
        recall, precision = (run.evaluation_report["routing"][name] for name in ("paraphrase_recall", "precision"))
        if recall is not None and precision is not None:
            axes.plot([recall], [precision], **look, markersize=8, clip_on=False)
    title = f"Precision and recall, {runs[0].edits:,} edits"
    axes.set(title=title, xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.03))
    axes.legend(loc="lower left", fontsize=8.5)
    return figure
