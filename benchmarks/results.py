"""Write `docs/results.md`: the editing methods compared on CounterFact and zsRE, from the shipped checkpoints.

    python -m benchmarks.results --data DIR --work DIR

What was run before lies in --work and is not run again; further methods and sizes add to it. The page is written
from all runs that are there, so that `--methods` without a name writes the page alone.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from memedit.checkpoints import shipped
from memedit.cli.app import app
from memedit.evaluation.comparing import Comparison
from memedit.evaluation.figures import CAPTIONS, save_figures
from memedit.evaluation.methods import METHODS
from memedit.evaluation.provenance import source
from memedit.evaluation.runs import Run, all_runs
from memedit.evaluation.tables import markdown
from training.corpus import split_zsre

DOCS = Path(__file__).parent.parent / "docs"
STREAM = (1, 10, 100, 1_000, 10_000)
MOST = {
    "grace": 1_000,
    "grace-published": 100,
    "tpatcher": 1_000,
    "tpatcher-published": 100,
    "finetune": 1_000,
    "lora": 100,
}
"""The largest memory of the methods that take too long for all sizes."""
FILES = {
    "counterfact": ("CounterFact", ("counterfact/counterfact-val.json", "counterfact/counterfact-train.json")),
    "zsre": ("zsRE", ("zsre/zsre_mend_train_10000_joined.json",)),
}
"""By format: what the data set is called, and its files below --data."""
QUESTIONS = "nq_open/NQ-open.dev.jsonl"
CHECKPOINTS = {"scope": "scope", "editor": "counterfactual-mini"}
"""The shipped folders of what methods are made from."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is not there yet, then write page and plots."""
    options = _parse(argv)
    for form in options.formats:
        asked, distractors = _split(options, form)
        if options.methods:
            _run(options, form, asked, distractors)
    sections = [_section(options.work, form) for form in FILES if (options.work / form / "runs").is_dir()]
    page = (Path(__file__).parent / "results_beginning.md").read_text(encoding="utf-8")
    (DOCS / "results.md").write_text("\n\n".join([page.rstrip(), *sections]) + "\n", encoding="utf-8")


def _run(options: argparse.Namespace, form: str, asked: Path, distractors: Path) -> None:
    arguments = ["--data", asked, "--format", form, "--distractors", distractors]
    arguments += ["--unrelated", options.data / QUESTIONS, "--report", options.work / form]
    arguments += ["--compare", ",".join(f"{name}:{MOST[name]}" if name in MOST else name for name in options.methods)]
    arguments += ["--stream", ",".join(map(str, options.stream)), "--queries", options.queries]
    app(["evaluate", *map(str, arguments)], standalone_mode=False)


def _split(options: argparse.Namespace, form: str) -> tuple[Path, Path]:
    """Files of the edits that are asked about, on whose subjects nothing was trained, and of all others."""
    files = [json.loads((options.data / name).read_text(encoding="utf-8")) for name in FILES[form][1]]
    if form == "zsre":
        others, asked = split_zsre(files[0])
    else:
        asked, others = files
        held_out = {row["subject"] for row in asked}
        others = [row for row in others if row["subject"] not in held_out]
    options.work.mkdir(parents=True, exist_ok=True)
    paths = options.work / f"{form}-asked.json", options.work / f"{form}-distractors.json"
    for path, rows in zip(paths, (asked, others), strict=True):
        path.write_text(json.dumps(rows), encoding="utf-8")
    return paths


def _section(work: Path, form: str) -> str:
    """One data set's part of the page; its plots are drawn beside it."""
    name = FILES[form][0]
    runs = all_runs(work / form)
    _check(runs)
    plots = save_figures(Comparison({}, runs), DOCS / "results" / form)
    shown = (f"![{name}: {CAPTIONS[plot.stem]}](results/{form}/{plot.name})" for plot in plots)
    settings = runs[0].evaluation_report["settings"]
    versions, system = settings["versions"], settings["machine"]["platform"].partition("-")[0]
    told = (
        f"At most {settings['queries']} edits, and as many unrelated questions, are asked about at each size; seed "
        f"{settings['seed']}, {settings['threads']} thread on {system}, torch "
        f"{versions['torch']}, transformers {versions['transformers']}."
    )
    tables = re.sub("^#", "##", markdown(Comparison({}, runs)).rstrip(), flags=re.MULTILINE)
    return "\n\n".join([f"## {name}", told, _not_run(runs), *shown, tables])


def _not_run(runs: Iterable[Run]) -> str:
    """Which methods were run up to which size."""
    largest: dict[str, int] = {}
    for run in runs:
        largest[run.method] = max(run.edits, largest.get(run.method, 0))
    most = max(largest.values(), default=0)
    told = [f"{name} up to {size:,} edits" for name, size in largest.items() if size < most]
    told += [f"{name} not at all" for name in METHODS if name not in largest]
    return f"Not run at every size: {'; '.join(told)}." if told else "Every method was run at every size."


def _check(runs: Iterable[Run]) -> None:
    """Refuse runs of other checkpoints than those that are shipped now."""
    wanted = {name: source(shipped(folder))["sha256"] for name, folder in CHECKPOINTS.items()}
    for run in runs:
        for name, found in run.evaluation_report["settings"]["checkpoints"].items():
            if found["sha256"] != wanted[name]:
                raise SystemExit(f"{run.method} at {run.edits} edits was run with another {name}: remove its runs")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the public data")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps runs and raw answers")
    parser.add_argument("--formats", nargs="+", choices=FILES, default=list(FILES))
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--stream", type=int, nargs="+", default=STREAM)
    parser.add_argument("--queries", type=int, default=40, help="edits asked about at each size")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
