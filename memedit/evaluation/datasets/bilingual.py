"""MzsRE (Wang et al. 2024) and BMIKE-53 (Nie et al. 2025, MIT): edit in one language, ask in another.

Fields (weixuan-wang123/ReMaKE, `data/MzsRE`; ercong21/MultiKnow, README and `icl.py`): one object
per language, with zsRE's fields `subject`, `src`, `rephrase`, `alt`, `loc`, `loc_ans` and, in
BMIKE-53, `old`, `port`, `port_ans`; MzsRE has `portability` with `New Question` and `New Answer`. In
some files the English fields stand in the record itself, beside the object of the other language.

Two forms, since a record does not tell what its `loc` is: `mzsre` for MzsRE and BMIKE-53's zsRE, an
unrelated question; `bmike` for BMIKE-53's CounterFact and WikiFactDiff, the same relation of another
subject. What is stored is the prompt of one language; its paraphrases, here the same question and
its rephrasing in the other language, must be answered in that language.
"""

from __future__ import annotations

from functools import partial

from memedit.evaluation.cases import Case, LocalityKind
from memedit.evaluation.datasets.info import DatasetInfo
from memedit.evaluation.datasets.zsre import locality_probes, portability_probes
from memedit.transfer.records import Record

INFOS = (
    DatasetInfo(
        name="mzsre",
        form="mzsre",
        licence="none stated; the text is of Wikipedia, CC BY-SA",
        citation="Wang, Haddow, Birch 2024, Retrieval-augmented Multilingual Knowledge Editing (ACL)",
        url="https://github.com/weixuan-wang123/ReMaKE/tree/main/data/MzsRE",
    ),
    DatasetInfo(
        name="bmike-53",
        form="bmike",
        licence="MIT",
        citation="Nie et al. 2025, BMIKE-53: Investigating Cross-Lingual Knowledge Editing with In-Context Learning "
        "(ACL)",
        url="https://github.com/ercong21/MultiKnow",
    ),
)


def read(
    record: Record, languages: tuple[str, str] | None = None, *, locality: LocalityKind = LocalityKind.UNRELATED
) -> list[Case] | str:
    """The case of a record; of no use if it lacks a language or its new answer.

    Args:
        record: A record.
        languages: The one of the edit and the one of the questions; None for the record's first two.
        locality: What its `loc` asks.
    """
    sides = _sides(record)
    edit_in, ask_in = languages or _first_two(record, sides)
    if edit_in not in sides or ask_in not in sides:
        return "language_missing"
    edit, asked = sides[edit_in], sides[ask_in]
    targets, answers = edit.answers("alt"), asked.answers("alt")
    if not targets or not answers:
        return "blank_target"
    old = tuple(dict.fromkeys((*edit.answers("old"), *asked.answers("old"))))
    if targets[0] in old:
        return "target_is_true_answer"
    probes = locality_probes(asked)
    prompt = edit.text("src")
    subjects = dict.fromkeys((*edit.texts("subject"), *asked.texts("subject")))
    subject, *other_names = subjects or [None]
    return [
        Case(
            row=record.row,
            prompt=prompt,
            target=targets[0],
            subject=subject,
            answers=targets,
            old_answers=old,
            paraphrases=tuple(text for text in (asked.text("src"), *asked.texts("rephrase")) if text != prompt),
            locality={locality: probes} if probes else {},
            portability=portability_probes(asked),
            paraphrase_answers=answers,
            other_names=tuple(name for name in other_names if name),
        )
    ]


read_neighbours = partial(read, locality=LocalityKind.NEIGHBOUR)
"""As `read`, for records whose `loc` asks the same relation of another subject."""


def _sides(record: Record) -> dict[str, Record]:
    """The record's languages, in its order."""
    inner = {
        name: record.part(name) for name, value in record.values.items() if isinstance(value, dict) and "src" in value
    }
    return {"en": record, **inner} if "src" in record.values else inner


def _first_two(record: Record, sides: dict[str, Record]) -> tuple[str, str]:
    if len(sides) < 2:
        raise record.error(f"expected an object with src for each of two languages, got {list(record.values)}")
    first, second, *_ = sides
    return first, second
