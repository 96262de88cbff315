"""`memedit evaluate`: store edits of a data set, ask everything, write the figures."""

from __future__ import annotations

import json
import logging
import platform
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from memedit.cli import options
from memedit.cli.console import note, print_json, print_table
from memedit.cli.loading import base_folder, load_base
from memedit.errors import DatasetError


def evaluate(
    data: Annotated[Path, typer.Option(help="Data file: JSON or JSON Lines.")],
    form: Annotated[options.DataFormat, typer.Option("--format", help="Format of the data file.")],
    edits: Annotated[int, typer.Option(min=1, help="How many edits to store.")],
    queries: Annotated[int | None, typer.Option(min=1, help="About how many of them to ask. Default: all.")] = None,
    model: options.Model = None,
    editor: options.Editor = None,
    scope: options.Scope = None,
    encoder: options.Encoder = None,
    unrelated: Annotated[
        Path | None, typer.Option(help='Further unrelated questions: JSON Lines of {"question": …}.')
    ] = None,
    device: options.OnDevice = options.Device.CPU,
    seed: Annotated[int, typer.Option(help="Decides which edits and questions are drawn.")] = 0,
    answers: Annotated[Path | None, typer.Option(help="Write every question and answer here, as JSON Lines.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here; - for stdout.")] = None,
) -> None:
    """Store edits of a data set, ask everything by free decoding, and write the figures."""
    for file in (json_file, answers):
        if file is not None and str(file) != "-" and not file.absolute().parent.is_dir():
            raise DatasetError(f"cannot write {file}: there is no folder {file.absolute().parent}")
    # Data first: a mistake in a file shows before anything slow is loaded.
    from memedit.evaluation.datasets import load_dataset, load_questions

    dataset = load_dataset(data, form)
    questions = load_questions(unrelated) if unrelated else ()
    if edits > len(dataset.cases):
        note(f"{edits} edits were asked for, {data} holds {len(dataset.cases)} usable records")
    base, tokenizer = load_base(model, device)
    from memedit.evaluation.protocols import evaluate as run
    from memedit.evaluation.report import answer_rows, build_report

    # One line per batch of rows would drown the progress bar.
    logging.getLogger("memedit").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="memedit-") as folder:
        # In a file, so that the seconds per edit are those of durable writes.
        edited = _edited(base, tokenizer, Path(folder) / "edits.db", editor, scope, encoder, device)
        with edited.edits:
            evaluation = run(
                edited,
                dataset,
                edits=edits,
                queries=queries,
                unrelated=questions,
                seed=seed,
                progress=True,
            )
    given = {
        "model": str(base_folder(model)),
        "data": str(data),
        "format": form.value,
        "edits": edits,
        "queries": queries,
        "editor": editor,
        "scope": None if scope is None else str(scope),
        "unrelated": None if unrelated is None else str(unrelated),
        "device": device.value,
        "seed": seed,
    }
    report = build_report(evaluation, {**given, **_found(given, edited)})
    if answers is not None:
        rows = answer_rows(evaluation)
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        answers.write_text(lines, encoding="utf-8")
    if json_file is not None and str(json_file) != "-":
        json_file.write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        note(f"wrote {json_file}")
    if str(json_file) == "-":
        print_json(report)
    else:
        _print(report)


def _edited(
    base: Any,
    tokenizer: Any,
    memory: Path,
    editor: str | None,
    scope: Path | None,
    encoder: str | None,
    device: str,
) -> Any:
    from memedit.memory import EditMemory
    from memedit.pipelines import wrap
    from memedit.scope import ScopeClassifier, SentenceEncoder

    sentences = SentenceEncoder.from_pretrained(encoder, device=device)
    return wrap(
        base,
        tokenizer,
        memory=EditMemory(memory, sentences),
        scope=ScopeClassifier.from_pretrained(scope, encoder, device=device),
        editor=editor,
    )


def _found(given: dict[str, Any], edited: Any) -> dict[str, Any]:
    """What else is needed to run it again: hashes, versions, the machine, the protocol."""
    import torch

    from memedit.checkpoints import shipped
    from memedit.evaluation.decoding import BATCH_ROWS, MAX_NEW_TOKENS
    from memedit.evaluation.provenance import file_hash, folder_hashes, versions

    files = {name: given[name] for name in ("data", "unrelated") if given[name]}
    folders = {"model": given["model"], "scope": given["scope"] or str(shipped("scope"))}
    used = _editor_used(edited.editor)
    if given["editor"] and Path(given["editor"]).is_dir():
        folders["editor"] = given["editor"]
    elif used.get("kind") == "adapter":
        folders["editor"] = str(shipped("counterfactual-mini"))
    parameter = next(edited.base.parameters())
    cuda = torch.cuda.get_device_name() if parameter.device.type == "cuda" else None
    return {
        "sha256": {
            **{name: file_hash(path) for name, path in files.items()},
            **{name: folder_hashes(path) for name, path in folders.items()},
        },
        "encoder": edited.edits.encoder.id,
        "editor_used": used,
        "threshold": edited.router.classifier.threshold,
        "isolation": edited.isolation,
        "protocol": "all edits stored, then all questions; prompts as they stand",
        "decoding": {"greedy": True, "max_new_tokens": MAX_NEW_TOKENS, "batch_rows": BATCH_ROWS},
        "dtype": str(parameter.dtype),
        "threads": torch.get_num_threads(),
        "machine": {"platform": platform.platform(), "cuda": cuda},
        "versions": versions(),
    }


def _editor_used(editor: Any) -> dict[str, Any]:
    from dataclasses import asdict, is_dataclass

    config = getattr(editor, "config", None)
    known = asdict(config) if is_dataclass(config) and not isinstance(config, type) else {}
    return {"class": type(editor).__name__, **known}


def _print(report: dict[str, Any]) -> None:
    rows = [[name, _shown(report[name]), _shown(report["raw"][name])] for name in _SHARES]
    for group in ("locality", "routing"):
        rows += [
            [f"{group}: {name}", _shown(value), _shown(report["raw"][group][name])]
            for name, value in report[group].items()
        ]
    rows += [[f"cost: {name}", _shown(value), ""] for name, value in report["cost"].items()]
    rows += [[f"dropped: {name}", str(value), ""] for name, value in report["dropped"].items()]
    print_table("memedit evaluate", ["figure", "clean memory", "raw"], rows)


_SHARES = ("reliability", "generality", "portability")


def _shown(value: float | None) -> str:
    return "none asked" if value is None else f"{value:.4g}"
