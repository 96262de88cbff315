"""Figures and plots of a scope classifier."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memedit.evaluation.metrics import auroc, expected_calibration_error
from memedit.scope.report import CURVE_POINTS, ScopeReport

STATED = [0.9, 0.8, 0.3, 0.7, 0.2, 0.1]
LABELS = [1, 1, 1, 0, 0, 0]


@pytest.fixture
def report() -> ScopeReport:
    """Two of three in scope found, one of three near-misses let in."""
    return ScopeReport.measure(STATED, LABELS, 0.5)


def test_figures_are_those_of_the_threshold(report: ScopeReport) -> None:
    """Counts, accuracy, precision, recall and locality are what one counts by hand."""
    assert (report.count, report.positives, report.negatives) == (6, 3, 3)
    assert report.accuracy == pytest.approx(4 / 6)
    assert report.precision == pytest.approx(2 / 3)
    assert report.recall == pytest.approx(2 / 3)
    assert report.locality == pytest.approx(2 / 3)
    assert report.locality_low is not None
    assert report.locality_high is not None
    assert report.locality_low < 2 / 3 < report.locality_high


def test_the_threshold_itself_fires() -> None:
    """A pair exactly at the threshold counts as in scope, as the router has it."""
    assert ScopeReport.measure([0.5, 0.1], [1, 0], 0.5).recall == 1.0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=80))
def test_figures_agree_with_the_evaluation(rows: list[tuple[float, bool]]) -> None:
    """Calibration error and AUROC are those that `memedit evaluate` would state."""
    stated, labels = [p for p, _ in rows], [label for _, label in rows]
    report = ScopeReport.measure(stated, labels, 0.5)
    assert report.ece == pytest.approx(expected_calibration_error(stated, labels))
    positives, negatives = ([p for p, label in rows if label is kind] for kind in (True, False))
    assert report.auroc == (pytest.approx(auroc(positives, negatives)) if positives and negatives else None)
    assert sum(each.count for each in report.reliability) == len(rows)


def test_a_class_that_is_missing_has_no_share() -> None:
    """Without near-misses there is no locality and no AUROC, and without positives no recall."""
    inside, outside = ScopeReport.measure([0.9], [1], 0.5), ScopeReport.measure([0.2], [0], 0.5)
    assert (inside.locality, inside.locality_low, inside.auroc) == (None, None, None)
    assert inside.recall == 1.0
    assert (outside.recall, outside.precision, outside.average_precision) == (None, None, None)
    assert outside.curve == ()


@pytest.mark.parametrize(
    ("stated", "labels", "message"),
    [
        ([], [], "as many labels"),
        ([0.1], [1, 0], "as many labels"),
        ([1.2], [1], "from 0 to 1"),
        ([float("nan")], [1], "from 0 to 1"),
        ([0.5], [2], "labels 0 and 1"),
    ],
)
def test_unusable_verdicts_are_refused(stated: list[float], labels: list[int], message: str) -> None:
    """Verdicts that cannot be measured get one clear sentence."""
    with pytest.raises(ValueError, match=message):
        ScopeReport.measure(stated, labels, 0.5)


def test_everything_is_json(report: ScopeReport) -> None:
    """`to_dict` survives JSON and holds bins and curve; `figures` are numbers only."""
    values = json.loads(json.dumps(report.to_dict()))
    assert values == report.to_dict()
    assert len(values["reliability"]) == 15
    assert {"threshold", "precision", "recall"} == set(values["curve"][0])
    assert not any(isinstance(value, list | dict | tuple) for value in report.figures().values())


def test_the_curve_of_many_pairs_stays_small() -> None:
    """The curve keeps both its ends and not each of thousands of points."""
    rng = np.random.default_rng(0)
    stated = rng.random(5000)
    curve = ScopeReport.measure(stated, (rng.random(5000) < stated).astype(int).tolist(), 0.5).curve
    assert 100 < len(curve) <= CURVE_POINTS
    assert curve[0].recall == 1.0
    assert curve[-1].recall < 0.01


@pytest.mark.parametrize("labels", [LABELS, [0] * 6, [1] * 6])
def test_plots_are_drawn(labels: list[int], tmp_path: Path) -> None:
    """Both plots are PNG files, whichever labels there are."""
    pytest.importorskip("matplotlib")
    files = ScopeReport.measure(STATED, labels, 0.5).save_plots(tmp_path / "new" / "folder")
    assert [file.name for file in files] == ["reliability.png", "precision_recall.png"]
    for file in files:
        assert file.read_bytes().startswith(b"\x89PNG")
        assert file.stat().st_size > 5_000


def test_without_matplotlib_the_extra_is_named(
    report: ScopeReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'memedit\[plots\]'"):
        report.save_plots(tmp_path)
