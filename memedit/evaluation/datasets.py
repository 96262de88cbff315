"""Reading CounterFact, zsRE and KnowEdit files into cases.

| format | paper | licence of the data |
|---|---|---|
| `counterfact` | Meng et al. 2022, "Locating and Editing Factual Associations in GPT" | MIT |
| `zsre` | Levy et al. 2017, "Zero-Shot Relation Extraction" | CC BY-SA (text) |
| `knowedit` | Zhang et al. 2024, "A Comprehensive Study of Knowledge Editing" | MIT |
| NQ-open | Kwiatkowski et al. 2019, "Natural Questions" | CC BY-SA 3.0 |
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from memedit.errors import DatasetError
from memedit.evaluation.cases import Case, Dataset, LocalityKind, Probe
from memedit.evaluation.records import Record, read_records

NQ_PREFIX = "nq question:"
"""What zsRE puts before its unrelated questions."""


def load_dataset(path: str | Path, form: str) -> Dataset:
    """Read a data file.

    Args:
        path: A JSON file holding a list of records, or JSON Lines.
        form: One of `FORMATS`.

    Returns:
        The usable records as cases, in the order of the file, with the number of dropped ones.

    Raises:
        DatasetError: The format is unknown, the file cannot be read, or a record lacks something
            (the message gives its number, from 1).
    """
    if form not in _READERS:
        raise DatasetError(f"format must be one of {', '.join(FORMATS)}, got {form!r}")
    cases: list[Case] = []
    dropped: Counter[str] = Counter()
    for record in read_records(Path(path)):
        case = _READERS[form](record)
        if isinstance(case, Case):
            cases.append(case)
        else:
            dropped[case] += 1
    if not cases:
        raise DatasetError(f"{path} holds no usable {form} record")
    return Dataset(tuple(cases), dict(dropped))


def load_questions(path: str | Path) -> tuple[Probe, ...]:
    """Read unrelated questions: JSON Lines of {"question", "answer"} as NQ-open has them.

    Raises:
        DatasetError: The file cannot be read, or a record has no question.
    """
    return tuple(Probe(record.text("question"), record.answers("answer"), "nq") for record in read_records(Path(path)))


def sample(items: Sequence[Any], count: int, seed: int) -> list[Any]:
    """Up to `count` of the items, drawn with `seed`, in their own order."""
    if count >= len(items):
        return list(items)
    chosen = random.Random(seed).sample(range(len(items)), count)
    return [items[position] for position in sorted(chosen)]


def _counterfact(record: Record) -> Case | str:
    return _rome(record) if "requested_rewrite" in record.values else _reduced(record)


def _rome(record: Record) -> Case | str:
    rewrite = record.part("requested_rewrite")
    subject = rewrite.text("subject")
    new, old = rewrite.part("target_new").text("str"), rewrite.part("target_true").text("str")
    neighbours = record.texts("neighborhood_prompts")
    return Case(
        row=record.row,
        prompt=rewrite.text("prompt").replace("{}", subject),
        target=new,
        subject=subject,
        old_answers=(old,),
        relation=rewrite.values.get("relation_id"),
        paraphrases=record.texts("paraphrase_prompts"),
        locality={
            LocalityKind.NEIGHBOUR: tuple(Probe(prompt, (old,)) for prompt in neighbours),
        },
    )


def _reduced(record: Record) -> Case | str:
    neighbours = record.texts("locality_prompt")
    gold = record.answers("locality_ground_truth")
    return Case(
        row=record.row,
        prompt=record.text("prompt"),
        target=record.text("target_new"),
        subject=record.text("subject"),
        old_answers=record.answers("ground_truth"),
        paraphrases=record.texts("rephrase_prompt"),
        locality={LocalityKind.NEIGHBOUR: tuple(Probe(prompt, gold) for prompt in neighbours)},
    )


def _zsre(record: Record) -> Case | str:
    target = str(record.values.get("alt") or "").strip()
    if not target:
        return "blank_target"
    old = record.answers("answer") or record.answers("answers")
    if target in old:
        return "target_is_true_answer"
    unrelated = tuple(Probe(_without_prefix(prompt), record.answers("loc_ans"), "nq") for prompt in record.texts("loc"))
    return Case(
        row=record.row,
        prompt=record.text("src"),
        target=target,
        subject=record.values.get("subject") or None,
        old_answers=old,
        paraphrases=record.texts("rephrase"),
        locality={LocalityKind.UNRELATED: unrelated} if unrelated else {},
    )


def _without_prefix(prompt: str) -> str:
    if prompt.lower().startswith(NQ_PREFIX):
        return prompt[len(NQ_PREFIX) :].strip()
    return prompt


_KNOWEDIT_LOCALITY = {
    "relationspecificity": LocalityKind.SAME_SUBJECT,
    "forgetfulness": LocalityKind.FORGETFULNESS,
    "neighborhood": LocalityKind.NEIGHBOUR,
    "distractingneighbor": LocalityKind.NEIGHBOUR,
}
"""Kinds by their name without spaces and underscores; others count as same subject."""


def _knowedit(record: Record) -> Case | str:
    if "labels" in record.values and "text" in record.values:  # WikiBio has its own field names
        prompt, target, subject = "text", "labels", "concept"
    else:
        prompt, target, subject = "prompt", "target_new", "subject"
    if target not in record.values:
        raise record.error(f"expected a field {target!r}, got {sorted(record.values)}")
    targets = record.answers(target)
    if not targets:
        return "blank_target"
    locality: dict[LocalityKind, tuple[Probe, ...]] = {}
    for name, probe in record.probes("locality"):
        key = name.lower().replace("_", "").replace(" ", "")
        kind = _KNOWEDIT_LOCALITY.get(key, LocalityKind.SAME_SUBJECT)
        locality[kind] = (*locality.get(kind, ()), probe)
    return Case(
        row=record.row,
        prompt=record.text(prompt),
        target=targets[0],
        subject=record.values.get(subject) or None,
        answers=targets,
        old_answers=record.answers("ground_truth"),
        paraphrases=record.texts("rephrase_prompt") or record.texts("rephrase"),
        locality=locality,
        portability=tuple(probe for _, probe in record.probes("portability")),
    )


_READERS: Mapping[str, Callable[[Record], Case | str]] = {
    "counterfact": _counterfact,
    "zsre": _zsre,
    "knowedit": _knowedit,
}
FORMATS = tuple(_READERS)
"""Names of the formats that `load_dataset` reads."""
