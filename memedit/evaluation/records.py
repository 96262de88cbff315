"""Questions in the records of data files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from memedit.evaluation.cases import Probe
from memedit.transfer.records import Record, read_records, shown

__all__ = ["Record", "read_probes", "read_records"]


def read_probes(record: Record, name: str) -> list[tuple[str, Probe]]:
    """A field as (kind, probe) pairs.

    Each kind holds one object with `prompt` and `ground_truth`, or a list of them. A list of
    prompts in one object takes its answers from the list of the same length beside it.

    Raises:
        DatasetError: The field is present but has another form.
    """
    if record.values.get(name) is None:
        return []
    found = []
    for kind, entries in record.part(name).values.items():
        for entry in entries if isinstance(entries, list) else [entries]:
            if not isinstance(entry, Mapping):
                raise record.error(f"{name}.{kind} must hold objects, got {shown(entry)}")
            part = replace(record, values=entry, where=f"{name}.{kind}.")
            found += [(kind, probe) for probe in _entry_probes(part, kind)]
    return found


def _entry_probes(entry: Record, kind: str) -> list[Probe]:
    prompts, truth = entry.values.get("prompt"), entry.values.get("ground_truth")
    if not isinstance(prompts, list):
        return [Probe(entry.text("prompt"), entry.answers("ground_truth"), kind)]
    texts = entry.texts("prompt")
    truths = truth if isinstance(truth, list) and len(truth) == len(texts) else [truth] * len(texts)
    return [
        Probe(text, replace(entry, values={"ground_truth": answers}).texts("ground_truth"), kind)
        for text, answers in zip(texts, truths, strict=True)
    ]
