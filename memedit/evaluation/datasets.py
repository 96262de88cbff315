"""Reading CounterFact, zsRE and KnowEdit files into cases, and NQ-open into questions.

For the papers and licences of the first three see `memedit.transfer.facts`; NQ-open is of Kwiatkowski
et al. 2019, "Natural Questions", CC BY-SA 3.0.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from memedit.errors import DatasetError
from memedit.evaluation.cases import Case, Dataset, LocalityKind, Probe
from memedit.evaluation.records import Record, read_probes, read_records
from memedit.transfer.facts import Fact, read_fact

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
        fact = read_fact(record, form)
        if isinstance(fact, Fact):
            cases.append(_READERS[form](record, fact))
        else:
            dropped[fact] += 1
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


def _counterfact(record: Record, fact: Fact) -> Case:
    return _rome(record, fact) if "requested_rewrite" in record.values else _reduced(record, fact)


def _rome(record: Record, fact: Fact) -> Case:
    neighbours = record.texts("neighborhood_prompts")
    return Case(
        row=record.row,
        prompt=fact.prompt,
        target=fact.target,
        subject=fact.subject,
        old_answers=fact.old_answers,
        relation=record.part("requested_rewrite").values.get("relation_id"),
        paraphrases=record.texts("paraphrase_prompts"),
        locality={
            LocalityKind.NEIGHBOUR: tuple(Probe(prompt, fact.old_answers) for prompt in neighbours),
        },
    )


def _reduced(record: Record, fact: Fact) -> Case:
    neighbours = record.texts("locality_prompt")
    gold = record.answers("locality_ground_truth")
    return Case(
        row=record.row,
        prompt=fact.prompt,
        target=fact.target,
        subject=fact.subject,
        old_answers=fact.old_answers,
        paraphrases=record.texts("rephrase_prompt"),
        locality={LocalityKind.NEIGHBOUR: tuple(Probe(prompt, gold) for prompt in neighbours)},
    )


def _zsre(record: Record, fact: Fact) -> Case:
    unrelated = tuple(Probe(_without_prefix(prompt), record.answers("loc_ans"), "nq") for prompt in record.texts("loc"))
    return Case(
        row=record.row,
        prompt=fact.prompt,
        target=fact.target,
        subject=fact.subject,
        old_answers=fact.old_answers,
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


def _knowedit(record: Record, fact: Fact) -> Case:
    locality: dict[LocalityKind, tuple[Probe, ...]] = {}
    for name, probe in read_probes(record, "locality"):
        key = name.lower().replace("_", "").replace(" ", "")
        kind = _KNOWEDIT_LOCALITY.get(key, LocalityKind.SAME_SUBJECT)
        locality[kind] = (*locality.get(kind, ()), probe)
    return Case(
        row=record.row,
        prompt=fact.prompt,
        target=fact.target,
        subject=fact.subject,
        answers=fact.answers,
        old_answers=fact.old_answers,
        paraphrases=record.texts("rephrase_prompt") or record.texts("rephrase"),
        locality=locality,
        portability=tuple(probe for _, probe in read_probes(record, "portability")),
    )


_READERS: Mapping[str, Callable[[Record, Fact], Case]] = {
    "counterfact": _counterfact,
    "zsre": _zsre,
    "knowedit": _knowedit,
}
FORMATS = tuple(_READERS)
"""Names of the formats that `load_dataset` reads."""
