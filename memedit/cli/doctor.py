"""`memedit doctor`: what is installed, what is found, what is missing."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memedit.cli import options
from memedit.cli.console import print_json, print_table
from memedit.errors import CheckpointError, MemeditError

if TYPE_CHECKING:
    from memedit.memory import TextEncoder
    from memedit.memory.integrity import Fault

CHECKPOINTS = {
    "mini": ("config.json", "model.safetensors", "tokenizer.json"),
    "counterfactual-mini": ("counterfactual.json", "adapter_config.json", "adapter_model.safetensors"),
    "scope": ("config.json", "adapter.safetensors", "calibration.json"),
}
"""What ships with memedit, and the files that each cannot do without."""


def doctor(
    memory: Annotated[Path | None, typer.Option("--memory", help="A memory file to check as well.")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Derive again from the journal what is damaged in the memory file.")
    ] = False,
    encoder: options.Encoder = None,
    as_json: options.AsJson = False,
) -> None:
    """Show versions, devices, the sentence encoder, checkpoints and their hashes; check a memory file.

    Of a memory file every page, event, state and vector is checked. Exit code 1 if anything is
    missing or broken, and was not repaired.
    """
    from memedit.evaluation.provenance import versions

    if repair and memory is None:
        raise typer.BadParameter("expected --memory with --repair, got none")
    loaded: list[TextEncoder] = []
    found: dict[str, Any] = {
        "versions": versions(),
        "devices": _devices(),
        "encoder": _checked(lambda: _encoder(encoder, loaded)),
        "checkpoints": {name: _checked(lambda n=name: _checkpoint(n)) for name in CHECKPOINTS},
    }
    if memory is not None:
        found["memory"] = _checked(lambda: _memory(memory, loaded[0] if loaded else None, repair=repair))
    parts = [found["encoder"], *found["checkpoints"].values(), found.get("memory", {})]
    found["problems"] = [part["error"] for part in parts if "error" in part]
    found["problems"] += [_sentence(fault) for fault in found.get("memory", {}).get("faults", [])]
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


def _encoder(name: str | None, loaded: list[TextEncoder]) -> dict[str, Any]:
    from memedit.scope.encoder import SentenceEncoder

    encoder = SentenceEncoder.from_pretrained(name)
    loaded.append(encoder)
    return {"id": encoder.id, "dimension": encoder.dimension}


def _checkpoint(name: str) -> dict[str, Any]:
    from memedit.checkpoints import shipped
    from memedit.evaluation.provenance import folder_hashes

    folder = shipped(name)
    for file in CHECKPOINTS[name]:
        _check_file(folder / file)
    return {"path": str(folder), "sha256": folder_hashes(folder)}


def _check_file(path: Path) -> None:
    """Raise a `CheckpointError` unless a file is there and whole."""
    from safetensors import SafetensorError, safe_open

    try:
        if path.suffix == ".safetensors":
            # The header tells how long the file has to be.
            with safe_open(path, framework="pt"):
                return
        json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; reinstall memedit") from None
    except (SafetensorError, ValueError, OSError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); reinstall memedit") from None


def _memory(path: Path, encoder: TextEncoder | None, *, repair: bool) -> dict[str, Any]:
    from memedit.cli.loading import require_file
    from memedit.memory import integrity
    from memedit.memory.sqlite import SQLiteStore

    require_file(path)
    with closing(SQLiteStore(path)) as store:
        found = integrity.check(store, encoder)
        repaired: list[Fault] = []
        if repair and encoder is not None and any(fault.is_repairable for fault in found.faults):
            before = found.faults
            integrity.repair(store, encoder)
            found = integrity.check(store, encoder)
            repaired = [fault for fault in before if fault not in found.faults]
        return {
            "path": str(path),
            "edits": found.edits,
            "events": found.events,
            "vectors": found.vectors,
            "revision": store.revision,
            "encoder": found.encoder and found.encoder.id,
            "faults": [asdict(fault) for fault in found.faults],
            "repaired": [asdict(fault) for fault in repaired],
        }


def _sentence(fault: dict[str, Any]) -> str:
    advice = " (--repair puts it right)" if fault["is_repairable"] else ""
    return f"memory, {fault['part']}: {fault['message']}{advice}"


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
        rows += [["", "repaired", fault["message"]] for fault in shown.get("repaired", [])]
    print_table("memedit doctor", ["what", "name", "value"], rows)
    for problem in found["problems"]:
        typer.echo(f"Problem: {problem}", err=True)
