"""KnowEdit (Zhang et al. 2024, MIT): wiki_recent, wiki_counterfact, ZsRE and WikiBio.

Fields (zjunlp/KnowEdit on the hub; zjunlp/EasyEdit, `easyeditor/dataset/knowedit.py`): `subject`,
`prompt`, `target_new`, `ground_truth`, `rephrase_prompt`; `portability` and `locality` with a list of
`prompt` and `ground_truth` for each kind of question. Values are a string, a list or a list of lists.
WikiBio, whose targets are whole sentences, calls the first three `concept`, `text` and `labels`.
"""

from __future__ import annotations

from dataclasses import replace

from memedit.evaluation.cases import Case, LocalityKind, Probe, plain_name
from memedit.evaluation.datasets.info import DatasetInfo, HubSource
from memedit.transfer.facts import Fact, read_fact
from memedit.transfer.records import Record

_FILES = {
    "wiki-recent": "wiki_recent/recent_test.json",
    "wiki-counterfact": "wiki_counterfact/test_cf.json",
    "zsre": "ZsRE/ZsRE-test-all.json",
    "wikibio": "WikiBio/wikibio-test-all.json",
}
INFOS = tuple(
    DatasetInfo(
        name=f"knowedit-{part}",
        form="knowedit",
        licence="MIT",
        citation="Zhang et al. 2024, A Comprehensive Study of Knowledge Editing for Large Language Models",
        url=f"https://huggingface.co/datasets/zjunlp/KnowEdit/resolve/main/benchmark/{file}",
        hub=HubSource("zjunlp/KnowEdit", data_files=f"benchmark/{file}"),
    )
    for part, file in _FILES.items()
)

LOCALITY_NAMES = {
    "relationspecificity": LocalityKind.SAME_SUBJECT,
    "relationspecifity": LocalityKind.SAME_SUBJECT,
    "forgetfulness": LocalityKind.FORGETFULNESS,
    "neighborhood": LocalityKind.NEIGHBOUR,
    "distractingneighbor": LocalityKind.NEIGHBOUR,
}
"""Kinds by KnowEdit's and RippleEdits' names, as `plain_name` gives them."""


def read(record: Record) -> list[Case] | str:
    """The case of a record; of no use if its new answer is blank."""
    fact = read_fact(record, "knowedit")
    if not isinstance(fact, Fact):
        return fact
    locality: dict[LocalityKind, tuple[Probe, ...]] = {}
    for probe in _probes(record, "locality"):
        kind = LOCALITY_NAMES.get(plain_name(probe.kind), LocalityKind.SAME_SUBJECT)
        locality[kind] = (*locality.get(kind, ()), probe)
    return [
        Case(
            row=record.row,
            prompt=fact.prompt,
            target=fact.target,
            subject=fact.subject,
            answers=fact.answers,
            old_answers=fact.old_answers,
            paraphrases=record.texts("rephrase_prompt") or record.texts("rephrase"),
            locality=locality,
            portability=tuple(_probes(record, "portability")),
        )
    ]


def _probes(record: Record, name: str) -> list[Probe]:
    """The questions of a field that holds, by kind, one object with `prompt` and `ground_truth` or a list of them."""
    if record.values.get(name) is None:
        return []
    field = record.part(name)
    return [probe for kind in field.values for entry in field.parts(kind) for probe in _of_entry(entry, kind)]


def _of_entry(entry: Record, kind: str) -> list[Probe]:
    """A list of prompts in one object takes its answers from the list of the same length beside it."""
    prompts, truth = entry.values.get("prompt"), entry.values.get("ground_truth")
    if not isinstance(prompts, list):
        return [Probe(entry.text("prompt"), entry.answers("ground_truth"), kind)]
    texts = entry.texts("prompt")
    truths = truth if isinstance(truth, list) and len(truth) == len(texts) else [truth] * len(texts)
    return [
        Probe(text, replace(entry, values={"ground_truth": answers}).answers("ground_truth"), kind)
        for text, answers in zip(texts, truths, strict=True)
    ]
