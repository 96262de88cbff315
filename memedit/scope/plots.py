"""Plots in one style, and the two of a `ScopeReport`, drawn with matplotlib (the extra `memedit[plots]`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memedit.scope.report import ScopeReport

BLUE, ORANGE, GREY, _INK = "#2f6690", "#d1603d", "#b9bfc4", "#2b2d31"
_STYLE = {
    "font.size": 10,
    "axes.edgecolor": GREY,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e9ecef",
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "savefig.dpi": 160,
}


@contextmanager
def plot_style() -> Iterator[None]:
    """Let figures be drawn in memedit's style; matplotlib's own settings are put back afterwards.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'memedit[plots]'") from error
    with mpl.rc_context(_STYLE):
        yield


def new_figure(size: tuple[float, float]) -> Any:
    """An empty figure of that size in inches, which belongs to no window system."""
    # Not pyplot, which would choose a window system and keep figures of the whole program.
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def save_plots(report: ScopeReport, folder: Path) -> list[Path]:
    """Draw `reliability.png` and `precision_recall.png` into `folder`; see `ScopeReport.save_plots`.

    Raises:
        ImportError: matplotlib is not installed.
    """
    files = []
    with plot_style():
        folder.mkdir(parents=True, exist_ok=True)
        for name, draw in (("reliability", _reliability), ("precision_recall", _precision_recall)):
            files.append(folder / f"{name}.png")
            draw(report).savefig(files[-1])
    return files


def _reliability(report: ScopeReport) -> Any:
    """Observed share over stated probability, and below it how many pairs were stated so."""
    figure = new_figure((5.4, 6.6))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
    above.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.2, label="perfectly calibrated")
    filled = [each for each in report.reliability if each.share is not None]
    width = 1 / len(report.reliability)
    above.bar(
        [each.lower + width / 2 for each in filled], [each.share for each in filled], width * 0.88,
        color=BLUE, alpha=0.28, label="share in scope",
    )  # fmt: skip
    above.plot(
        [each.probability for each in filled], [each.share for each in filled],
        color=BLUE, marker="o", markersize=4.5, linewidth=1.4, clip_on=False,
        label="share at the mean probability",
    )  # fmt: skip
    above.set(
        title=f"Reliability: ECE {report.ece:.3f}, Brier {report.brier:.3f}", ylabel="observed share in scope",
        xlim=(0, 1), ylim=(0, 1.03),
    )  # fmt: skip
    below.bar(
        [each.lower + width / 2 for each in report.reliability], [each.count for each in report.reliability],
        width * 0.88, color=BLUE, alpha=0.75,
    )  # fmt: skip
    # Most pairs are near 0 or 1; a linear axis would hide all the others.
    below.set_yscale("symlog", linthresh=1)
    below.yaxis.set_major_formatter("{x:,.0f}")
    below.set_ylim(bottom=0)
    below.set(xlabel="stated probability", ylabel="pairs")
    for axes in (above, below):
        axes.axvline(report.threshold, color=ORANGE, linewidth=1.4, label=f"threshold {report.threshold:.3f}")
    # Outside, since the bars of an uncalibrated classifier can be anywhere.
    figure.legend(*above.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8.5)
    return figure


def _precision_recall(report: ScopeReport) -> Any:
    """Precision over recall with the point at which the threshold stands."""
    figure = new_figure((5.4, 4.6))
    axes = figure.subplots()
    # As steps: between two points precision is not known to be in between (Davis & Goadrich 2006).
    axes.step(
        [*(point.recall for point in report.curve), 0.0], [*(point.precision for point in report.curve), 1.0],
        where="post", color=BLUE, linewidth=1.8,
    )  # fmt: skip
    base = report.positives / report.count
    axes.axhline(base, color=GREY, linestyle="--", linewidth=1.2, label=f"by chance ({base:.2f})")
    if report.precision is not None and report.recall is not None:
        axes.plot(
            [report.recall], [report.precision], color=ORANGE, marker="o", markersize=8, linestyle="none",
            clip_on=False,
            label=f"threshold {report.threshold:.3f}: precision {report.precision:.3f}, recall {report.recall:.3f}",
        )  # fmt: skip
    score = "none in scope" if report.average_precision is None else f"average precision {report.average_precision:.3f}"
    axes.set(title=f"Precision and recall: {score}", xlabel="recall", ylabel="precision")
    axes.set(xlim=(0, 1.02), ylim=(0, 1.03))
    axes.legend(loc="lower left", fontsize=8.5)
    return figure
