"""`memedit doctor`: what is installed, what is found, what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from memedit.cli import options
from memedit.cli.console import print_json, print_table
from memedit.errors import MemeditError

CHECKPOINTS = ("mini", "counterfactual-mini", "scope")


def doctor(
    memory: Annotated[Path | None, typer.Option("--memory", help="A memory file to check as well.")] = None,
    encoder: options.Encoder = None,
    as_json: options.AsJson = False,
) -> None:
    """Show versions, devices, the sentence encoder, checkpoints and their hashes.

    Exit code 1 if anything is missing or broken.
    """
    from memedit.evaluation.provenance import versions

    found: dict[str, Any] = {
        "versions": versions(),
        "devices": _devices(),
        "encoder": _checked(lambda: _encoder(encoder)),
        "checkpoints": {name: _checked(lambda n=name: _checkpoint(n)) for name in CHECKPOINTS},
    }
    if memory is not None:
        found["memory"] = _checked(lambda: _memory(memory, encoder))
    parts = [found["encoder"], *found["checkpoints"].values(), found.get("memory", {})]
    found["problems"] = [part["error"] for part in parts if "error" in part]
    if as_json:
        print_json(found)
    else:
        _print(found)
    if found["problems"]:
        raise typer.Exit(1)


def _checked(check: Any) -> dict[str, Any]:
    try:
        result: dict[str, Any] = check()
    except MemeditError as error:
        return {"error": str(error)}
    return result


def _devices() -> dict[str, Any]:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return {
        "cpu_threads": torch.get_num_threads(),
        "cuda": [torch.cuda.get_device_name(number) for number in range(count)],
    }


def _encoder(name: str | None) -> dict[str, Any]:
    from memedit.scope.encoder import SentenceEncoder

    encoder = SentenceEncoder.from_pretrained(name)
    return {"id": encoder.id, "dimension": encoder.dimension}


def _checkpoint(name: str) -> dict[str, Any]:
    from memedit.checkpoints import shipped
    from memedit.evaluation.provenance import folder_hashes

    folder = shipped(name)
    return {"path": str(folder), "sha256": folder_hashes(folder)}


def _memory(path: Path, encoder: str | None) -> dict[str, Any]:
    from memedit.cli.loading import open_memory

    with open_memory(path, encoder, must_exist=True) as memory:
        return {"path": str(path), "edits": len(memory), "revision": memory.revision}


def _print(found: dict[str, Any]) -> None:
    rows = [["version", name, value or "not installed"] for name, value in found["versions"].items()]
    rows.append(["device", "cpu", f"{found['devices']['cpu_threads']} threads"])
    rows += [["device", "cuda", name] for name in found["devices"]["cuda"]]
    encoder = found["encoder"]
    rows.append(["encoder", str(encoder.get("dimension", "")), encoder.get("id", "missing")])
    for name, checkpoint in found["checkpoints"].items():
        rows.append(["checkpoint", name, checkpoint.get("path", "missing")])
        rows += [["", file, digest] for file, digest in checkpoint.get("sha256", {}).items()]
    if "memory" in found:
        shown = found["memory"]
        rows.append(["memory", shown.get("path", "broken"), f"{shown.get('edits', 0)} edits"])
    print_table("memedit doctor", ["what", "name", "value"], rows)
    for problem in found["problems"]:
        typer.echo(f"Problem: {problem}", err=True)
