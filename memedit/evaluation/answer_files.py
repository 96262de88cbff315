"""Questions written for other tools, and their answers read back, so that they are scored by the same rules."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from memedit.evaluation.answers import cut_answer
from memedit.evaluation.cases import Case, LocalityKind, Probe
from memedit.evaluation.decoding import Answer
from memedit.evaluation.protocols import Evaluation
from memedit.evaluation.questions import GENERALITY, LOCALITY, PORTABILITY, RELIABILITY, Plan, Question
from memedit.evaluation.scoring import accepted
from memedit.transfer.records import Record, read_records, shown

ASKS = (RELIABILITY, GENERALITY, PORTABILITY, *LocalityKind)


def write_questions(path: Path, cases: Sequence[Case], plan: Plan) -> int:
    """Write what is to be stored and then asked, as JSON Lines.

    First come lines `{"do": "edit", "edit", "prompt", "target", "subject"}`, to be stored in this
    order; then lines `{"do": "ask", "id", "asks", "prompt", "accepted", "edit", "scored"}`.

    Args:
        path: Where to.
        cases: All that is stored, in that order.
        plan: What is asked then.

    Returns:
        How many questions there are.
    """
    rows: list[dict[str, Any]] = [
        {"do": "edit", "edit": number, "prompt": case.prompt, "target": case.target, "subject": case.subject}
        for number, case in enumerate(cases, start=1)
    ]
    named = named_questions(plan)
    rows += [
        {
            "do": "ask",
            "id": name,
            "asks": str(question.asks),
            "prompt": question.probe.prompt,
            "accepted": accepted(question.probe),
            "edit": None if question.edit_id is None else int(question.edit_id),
            "scored": question.scored,
        }
        for name, question in named.items()
    ]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return len(named)


def named_questions(plan: Plan) -> dict[str, Question]:
    """The questions by names that depend on data and options alone, such as `17-generality-2`.

    A name holds the record of the data file, what is asked, and a running number. `edit_id` is the
    number of the edit among the stored ones, from 1.
    """
    named: dict[str, Question] = {}
    seen: Counter[str] = Counter()
    for position, question in plan.questions:
        stem = f"{'' if question.row is None else f'{question.row}-'}{question.asks}"
        seen[stem] += 1
        edit_id = None if position is None else str(position + 1)
        named[f"{stem}-{seen[stem]}"] = replace(question, edit_id=edit_id)
    return named


def read_answers(path: Path, questions: Mapping[str, Question] | None = None) -> Evaluation:
    """Read what another tool answered.

    A line holds `answer`, all that the tool wrote after the prompt; it is cut where memedit's own
    answers end. Questions of locality need `base` as well: what the unedited model wrote. The two
    are compared as texts, since token ids of another tool mean nothing here.

    Args:
        path: JSON Lines, or a JSON list. Lines with `"do": "edit"` are passed over.
        questions: What was to be answered, from `named_questions`: each line then names its question
            by `id`, and questions without an answer count as wrong, unless none of what they ask
            was answered, which is then left out. None if the lines hold the questions themselves:
            `asks` (one of `ASKS`), `prompt`, `accepted` unless it asks locality (names of which any
            will do, or a list of such lists, each of which is wanted), and if known `edit`, which
            tells the questions that hang together.

    Returns:
        The questions with their answers, without costs.

    Raises:
        DatasetError: The file cannot be read, or a line lacks something, names an unknown question
            or one that was answered before.
    """
    answered: dict[str, Question] = {}
    for record in read_records(path):
        if record.values.get("do") == "edit":
            continue
        name, question = _own(record) if questions is None else _known(record, questions)
        if name in answered:
            raise record.error(f"id {name!r} was answered before")
        answered[name] = _answered(record, question)
    kinds = {question.asks for question in answered.values()}
    missing = [q for name, q in (questions or {}).items() if name not in answered and q.asks in kinds]
    found = [*answered.values(), *missing]
    return Evaluation(
        found,
        cost={},
        dropped={"unscored": sum(not question.scored for question in found)},
        counts={
            "edits": len({question.edit_id for question in found} - {None}),
            "unanswered": len(missing),
            **{f"asked_{name}": count for name, count in Counter(str(q.asks) for q in found).items()},
        },
    )


def _known(record: Record, questions: Mapping[str, Question]) -> tuple[str, Question]:
    name = record.text("id")
    if name not in questions:
        raise record.error(f"there is no question {name!r}: was the file of questions written with the same options?")
    return name, questions[name]


def _own(record: Record) -> tuple[str, Question]:
    """A question that the line holds itself, by the line's number if it has no name."""
    asks = record.text("asks")
    if asks not in ASKS:
        raise record.error(f"asks must be one of {', '.join(ASKS)}, got {shown(asks)}")
    answers, given = record.answers("accepted"), record.values.get("accepted")
    if asks not in LOCALITY and not answers:
        raise record.error("accepted must hold the answers that are right, got none")
    scored, edit = record.values.get("scored", True), record.values.get("edit")
    if not isinstance(scored, bool):
        raise record.error(f"scored must be true or false, got {shown(scored)}")
    question = Question(
        asks,
        Probe(record.text("prompt"), answers, "".join(record.texts("kind")), parts=_parts(record, given)),
        scored,
        None if edit is None else str(edit),
    )
    return str(record.values.get("id") or f"line {record.line}"), question


def _parts(record: Record, accepted: object) -> tuple[tuple[str, ...], ...]:
    """What an answer must name, if the accepted answers are lists themselves."""
    if not isinstance(accepted, list) or not any(isinstance(names, list) for names in accepted):
        return ()
    return tuple(replace(record, values={"accepted": names}).answers("accepted") for names in accepted)


def _answered(record: Record, question: Question) -> Question:
    base = _answer(record, "base") if question.asks in LOCALITY else None
    return replace(question, answer=_answer(record, "answer"), base_answer=base)


def _answer(record: Record, name: str) -> Answer:
    """An answer whose "tokens" are its characters."""
    value = record.values.get(name)
    if not isinstance(value, str):  # an empty text is an answer, though a wrong one
        raise record.error(f"{name} must be a text, got {shown(value)}")
    text = cut_answer(value)
    return Answer(text, tuple(map(ord, text)))
