"""RippleEdits (Cohen et al. 2024, MIT): what else an edit must change, and what it must not.

Fields (edenbiran/RippleEdits, README and `src/benchmark.py`, `fact.py`, `query.py`): `edit` with
`prompt` (the new fact as a whole statement), `relation`, `target_id` and, where the fact replaces
one, `original_fact`; six lists of tests, `Logical_Generalization`, `Compositionality_I`,
`Compositionality_II`, `Subject_Aliasing` (portability), `Relation_Specificity`, `Forgetfulness`
(locality), each test with `test_queries`, `test_condition` and `condition_queries`; each query with
`prompt` and `answers`, objects with `value` and `aliases`.

Prompt, target and subject are not given apart: the target is found among the names that the
queries give to `target_id`, or behind the statement's last verb, the subject by the wording of the
statements (`src/relation.py`). Where this differs from the paper: each test query is a question by
itself, whether the test says OR or AND; and a test is asked whether or not the base knows its
condition queries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from memedit.evaluation.cases import Case, LocalityKind, Probe
from memedit.evaluation.datasets.info import DatasetInfo
from memedit.transfer.records import Record

INFOS = (
    DatasetInfo(
        name="rippleedits",
        form="rippleedits",
        licence="MIT",
        citation="Cohen, Biran, Yoran, Globerson, Geva 2024, Evaluating the Ripple Effects of Knowledge Editing "
        "in Language Models (TACL)",
        url="https://github.com/edenbiran/RippleEdits/tree/main/data/benchmark",
    ),
)

_PORTABILITY = ("Logical_Generalization", "Compositionality_I", "Compositionality_II", "Subject_Aliasing")
_LOCALITY = {
    "Relation_Specificity": LocalityKind.SAME_SUBJECT,
    "Relation_Specifity": LocalityKind.SAME_SUBJECT,  # as the README spells it
    "Forgetfulness": LocalityKind.FORGETFULNESS,
}
_STATEMENT = re.compile(r"(?P<prompt>.+ (?:is followed by|follows|is|are)) (?P<target>.+)\.")
_SUBJECT = re.compile(
    r"The [a-z ]+ (?P<subject>.+?)"
    r"(?: has| won| plays in| is a member of| is part of| is associated with| is the capital of)? (?:is|are)"
)
_SUBJECT_FIRST = re.compile(r"(?P<subject>.+) (?:is followed by|follows)")


def read(record: Record) -> list[Case] | str:
    """The case of a record; of no use if its statement does not show which part is the target."""
    edit = record.part("edit")
    names = _names(record, edit.values.get("target_id"))
    found = _split(edit.text("prompt"), names)
    if found is None:
        return "unclear_target"
    prompt, target = found
    locality: dict[LocalityKind, tuple[Probe, ...]] = {}
    for name, kind in _LOCALITY.items():
        if probes := _probes(record, name):
            locality[kind] = (*locality.get(kind, ()), *probes)
    return [
        Case(
            row=record.row,
            prompt=prompt,
            target=target,
            subject=_subject(prompt),
            answers=names,
            old_answers=_old_answers(edit, prompt),
            relation=edit.values.get("relation"),
            locality=locality,
            portability=tuple(probe for name in _PORTABILITY for probe in _probes(record, name)),
        )
    ]


def _probes(record: Record, name: str) -> list[Probe]:
    return [_probe(query, name) for query in _queries(record, name)]


def _probe(query: Record, name: str) -> Probe:
    """A query; one with several answers wants a name of each of them."""
    parts = tuple(tuple(names) for answer in query.parts("answers") if (names := _named(answer)))
    answers = tuple(dict.fromkeys(name for names in parts for name in names))
    return Probe(query.text("prompt"), answers, name, parts=parts if len(parts) > 1 else ())


def _queries(record: Record, name: str) -> Iterator[Record]:
    for test in record.parts(name):
        yield from test.parts("test_queries")


def _named(answer: Record) -> list[str]:
    """All names of an answer; the authors pass over single letters, too (`Query._filter_answers`)."""
    names = (*answer.texts("value"), *answer.texts("aliases"))
    return [name for name in names if len(name) > 1 or name.isdigit()]


def _names(record: Record, target: object) -> tuple[str, ...]:
    """What the queries call the entity that the edit makes the answer."""
    found: dict[str, None] = {}
    for kind in (*_PORTABILITY, *_LOCALITY):
        for query in _queries(record, kind):
            last_hop = "second_hop_target_ids" if query.values.get("query_type") == "two_hop" else "target_ids"
            for asked, answer in zip(query.texts(last_hop), query.parts("answers"), strict=False):
                if asked == target:
                    found.update(dict.fromkeys(_named(answer)))
    return tuple(found)


def _split(statement: str, names: tuple[str, ...]) -> tuple[str, str] | None:
    """Prompt and target of a statement."""
    for name in names:
        if statement.endswith(f" {name}."):
            return statement[: -len(name) - 2].strip(), name
    match = _STATEMENT.fullmatch(statement)
    return (match["prompt"], match["target"]) if match else None


def _subject(prompt: str) -> str | None:
    match = _SUBJECT.fullmatch(prompt) or _SUBJECT_FIRST.fullmatch(prompt)
    return match["subject"] if match else None


def _old_answers(edit: Record, prompt: str) -> tuple[str, ...]:
    """What the statement of the original fact, or `previous_fact` in `src/benchmark.py`, says behind the prompt."""
    statements = [
        text
        for name in ("original_fact", "previous_fact")
        for part in edit.parts(name)
        for text in part.texts("prompt")
    ]
    return tuple(text[len(prompt) :].strip(" .") for text in statements if text.startswith(f"{prompt} "))
