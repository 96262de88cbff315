"""The report of one run, and tables, plots and files of a comparison."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from memedit.edits import Edit
from memedit.evaluation.cases import LocalityKind, Probe
from memedit.evaluation.comparing import Comparison
from memedit.evaluation.decoding import Answer
from memedit.evaluation.protocols import Evaluation
from memedit.evaluation.publishing import save_comparison
from memedit.evaluation.questions import GENERALITY, PORTABILITY, RELIABILITY, Question
from memedit.evaluation.report import answer_rows, build_report
from memedit.evaluation.runs import Run
from memedit.evaluation.tables import markdown, value_at
from memedit.scope.route import Candidate, Route

NEIGHBOUR = LocalityKind.NEIGHBOUR
PNG = b"\x89PNG\r\n\x1a\n"


def asked(
    asks: str, edit: str | None, said: str, *, kind: str = "", probability: float | None = None, base: str | None = None
) -> Question:
    """A question whose right answer is "New York City", answered."""
    route = None
    if probability is not None:
        candidate = Candidate(Edit(edit or "other", "p", "t"), "p", 0.9, probability, 0.5)
        fired = candidate.edit if probability >= 0.5 else None
        route = Route("q", fired, probability, 0.5, (candidate,), "because", 0.0)
    return Question(
        asks,
        Probe(f"{asks} {edit}?", ("New York City", "NYC"), kind),
        True,
        edit,
        route=route,
        answer=Answer(said, tuple(map(ord, said))),
        base_answer=None if base is None else Answer(base, tuple(map(ord, base))),
    )


def evaluation(*, routed: bool = True) -> Evaluation:
    """Two edits; of the second's questions some fail."""

    def stated(probability: float) -> float | None:
        return probability if routed else None

    return Evaluation(
        [
            asked(RELIABILITY, "a", "NYC"),
            asked(RELIABILITY, "b", "New York"),
            asked(GENERALITY, "a", "New York City", probability=stated(0.9)),
            asked(GENERALITY, "b", "in New York City", probability=stated(0.4)),
            asked(PORTABILITY, "a", "NYC", kind="Reasoning"),
            asked(PORTABILITY, "b", "Rome", kind="reasoning"),
            asked(PORTABILITY, "b", "NYC", kind="Subject_Aliasing"),
            asked(NEIGHBOUR, "a", "Oslo", base="Oslo", probability=stated(0.1)),
            asked(NEIGHBOUR, "b", "NYC", base="Oslo", probability=stated(0.7)),
        ],
        cost={"seconds_per_edit": 0.01, "route_ms_p50": 12.0 if routed else None},
        dropped={"superseded_edits": 1},
        counts={"edits": 2},
    )


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """The report over the two edits."""
    return build_report(evaluation(), {"seed": 3})


def test_shares_by_hand(report: dict[str, Any]) -> None:
    """Exact match, containment and F1 are different columns of the same answers."""
    assert report["reliability"] == 0.5
    assert report["generality"] == 0.5
    assert report["scores"]["contains"] == {"reliability": 0.5, "generality": 1.0, "portability": pytest.approx(2 / 3)}
    # "New York" against "New York City": 0.8; "in New York City": 6/7.
    assert report["scores"]["token_f1"]["reliability"] == pytest.approx((1 + 0.8) / 2)
    assert report["scores"]["token_f1"]["generality"] == pytest.approx((1 + 6 / 7) / 2)
    assert report["locality"]["neighbour"] == 0.5
    assert report["routing"]["precision"] == 0.5
    assert report["synthetic"] == {"reliability": None, "generality": None, "portability": None}


def test_portability_is_told_by_kind(report: dict[str, Any]) -> None:
    """Data sets' own names for a kind are brought under the one that the report uses."""
    assert report["portability"] == pytest.approx(2 / 3)
    assert report["portability_by_kind"] == {"alias": 1.0, "one_hop": 0.5}


def test_every_share_has_its_interval(report: dict[str, Any]) -> None:
    """Beside each share stands an interval of the same value, which holds it."""
    no_shares = {"intervals", "raw", "curves", "cost", "dropped", "counts", "settings", "fluency", "auroc", "ece"}

    def check(figures: Mapping[str, Any], intervals: Mapping[str, Any]) -> None:
        for name in figures.keys() - no_shares:
            share, found = figures[name], intervals[name]
            if isinstance(share, Mapping):
                check(share, found)
            elif share is None:
                assert found is None
            else:
                assert found["low"] <= found["value"] == share <= found["high"]

    check(report, report["intervals"])
    check(report["raw"], report["raw"]["intervals"])
    assert report["intervals"]["portability"]["n"] == 3
    assert report["intervals"]["portability"]["edits"] == 2


def test_rows_tell_every_score() -> None:
    """Each answer can be checked by reading: what was asked, accepted, said, and how it was scored."""
    rows = json.loads(json.dumps(answer_rows(evaluation(), judge=lambda question, accepted, answer: True)))
    assert rows[1]["answer"] == "New York"
    assert (rows[1]["passed"], rows[1]["contains"], rows[1]["judged"]) == (False, False, True)
    assert rows[1]["token_f1"] == pytest.approx(0.8)
    assert "contains" not in rows[-1]
    assert rows[-1]["base"] == "Oslo"


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    """Two methods, one of which routes, at two numbers of edits."""
    runs = [
        Run(method, edits, build_report(evaluation(routed=method == "counterfactual"), {}), 1.0)
        for method in ("counterfactual", "finetune")
        for edits in (1, 1000)
    ]
    return Comparison({"seed": 3, "data": "counterfact", "sha256": {"data": "ab"}}, runs)


def test_tables_keep_protocols_apart(comparison: Comparison) -> None:
    """Each number of edits has a table for each protocol, methods as rows, nothing for what was not taken."""
    text = markdown(comparison)
    assert text.index("## 1 edit\n") < text.index("## 1,000 edits")
    _, exact, _ = text.split("### Free decoding, exact match", 2)
    exact = exact.split("###")[0]
    assert "| method | reliability | generality | portability | locality: neighbour |" in exact
    assert exact.count("| counterfactual | 0.500 (") == 1
    assert "contain" not in exact
    assert "### Free decoding, containment" in text
    assert "synthetic" not in text
    assert "judge" not in text
    routing = text.split("### Routing", 1)[1].split("###")[0]
    assert "| finetune | – |" in routing


def test_the_folder_of_a_report(comparison: Comparison, tmp_path: Path) -> None:
    """Page, figures and four plots are written, and no window system is chosen for them."""
    pytest.importorskip("matplotlib")
    files = save_comparison(comparison, tmp_path / "new")
    assert {file.name for file in files} == {
        "README.md", "comparison.json", "retention.png", "cost.png", "reliability.png", "precision_recall.png",
    }  # fmt: skip
    for file in files:
        if file.suffix == ".png":
            assert file.read_bytes().startswith(PNG)
            assert file.stat().st_size > 5_000
    values = json.loads((tmp_path / "new" / "comparison.json").read_text(encoding="utf-8"))
    assert values["settings"] == comparison.settings
    assert value_at(values["runs"][0], "report.reliability") == 0.5
    page = (tmp_path / "new" / "README.md").read_text(encoding="utf-8")
    assert "| seed | 3 |" in page
    assert "| 1,000 | 1 |" in page
    assert "matplotlib.pyplot" not in sys.modules


def test_a_comparison_without_routing_has_no_plots_of_it(comparison: Comparison, tmp_path: Path) -> None:
    """Where no method states probabilities, retention and cost remain."""
    pytest.importorskip("matplotlib")
    unrouted = [run for run in comparison.runs if run.method == "finetune"]
    files = save_comparison(Comparison({}, unrouted), tmp_path)
    assert {file.stem for file in files if file.suffix == ".png"} == {"retention", "cost"}


def test_without_matplotlib_the_extra_is_named(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written, and the error says what to install."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'memedit\[plots\]'"):
        save_comparison(comparison, tmp_path / "none")
    assert not (tmp_path / "none").exists()
