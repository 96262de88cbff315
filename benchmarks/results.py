"""Write `docs/results.md`: the editing methods compared on CounterFact and zsRE, from the shipped checkpoints.

    python -m benchmarks.results --data DIR --work DIR

What was run before lies in --work and is not run again; further methods and sizes add to it.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from memedit.cli.app import app
from memedit.evaluation.comparing import Comparison, Run
from memedit.evaluation.methods import METHODS
from memedit.evaluation.tables import markdown

DOCS = Path(__file__).parent.parent / "docs"
FILES = {
    "counterfact": ("CounterFact", "counterfact/counterfact-val.json"),
    "zsre": ("zsRE", "zsre/zsre_mend_train_10000_joined.json"),
}
"""By format: what the data set is called, and its file below --data."""
QUESTIONS = "nq_open/NQ-open.dev.jsonl"
PLOTS = ("retention", "cost", "reliability", "precision_recall")

_BEGINNING = """# Results

Made by `python -m benchmarks.results --data DIR --work DIR` with the shipped checkpoints: the base is `mini`, a model
of 13 M parameters. How figures are taken, and what they cannot say, is told in [evaluation.md](evaluation.md); which
methods these are in `memedit evaluate --help` and, for those of memedit itself, in [editors.md](editors.md).

Everything is asked after all edits of a size are stored, by greedy free decoding. Shares stand with their 95 %
intervals (bootstrap over edits). `–` is what a method does not have or what was not run.
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is not there yet, then write page and plots."""
    options = _parse(argv)
    parts = [_BEGINNING]
    for form in options.formats:
        folder = options.work / form
        _run(options, form, folder)
        parts.append(_section(form, folder))
    (DOCS / "results.md").write_text("\n".join(parts), encoding="utf-8")


def _run(options: argparse.Namespace, form: str, folder: Path) -> None:
    file = options.data / FILES[form][1]
    arguments = ["--data", file, "--format", form, "--unrelated", options.data / QUESTIONS, "--report", folder]
    arguments += ["--compare", ",".join(options.methods), "--stream", ",".join(map(str, options.stream))]
    app(["evaluate", *map(str, arguments), "--queries", str(options.queries)], standalone_mode=False)


def _section(form: str, folder: Path) -> str:
    """One data set's part of the page; its plots are copied beside it."""
    values = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    runs = [Run(run["method"], run["edits"], run["report"], run["seconds"]) for run in values["runs"]]
    (DOCS / "results").mkdir(exist_ok=True)
    shown = []
    for plot in PLOTS:
        source = folder / f"{plot}.png"
        if source.exists():
            shutil.copy(source, DOCS / "results" / f"{form}-{plot}.png")
            shown.append(f"![{FILES[form][0]}, {plot.replace('_', ' ')}](results/{form}-{plot}.png)")
    settings = values["settings"]
    told = f"{settings['queries']} edits asked about at each size, seed {settings['seed']}, {settings['machine']}"
    tables = re.sub("^#", "##", markdown(Comparison(settings, runs)), flags=re.MULTILINE)
    return "\n\n".join([f"## {FILES[form][0]}", f"{told}.", *shown, tables])


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the public data")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps runs and raw answers")
    parser.add_argument("--formats", nargs="+", choices=FILES, default=list(FILES))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--stream", type=int, nargs="+", default=[1, 10, 100, 1_000])
    parser.add_argument("--queries", type=int, default=100, help="edits asked about at each size")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
