"""The edit in a record of CounterFact, zsRE or KnowEdit, without the questions that test it.

| format | paper | licence of the data |
|---|---|---|
| `counterfact` | Meng et al. 2022, "Locating and Editing Factual Associations in GPT" | MIT |
| `zsre` | Levy et al. 2017, "Zero-Shot Relation Extraction" | CC BY-SA (text) |
| `knowedit` | Zhang et al. 2024, "A Comprehensive Study of Knowledge Editing" | MIT |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from memedit.transfer.records import Record


@dataclass(frozen=True, slots=True)
class Fact:
    """What a benchmark's record wants edited.

    Attributes:
        prompt: The edit's prompt.
        target: The answer to store.
        subject: The entity the edit speaks about, where the data names it.
        answers: Answers that count as the target, where the data names several.
        old_answers: What was true before, where the data says so.
    """

    prompt: str
    target: str
    subject: str | None
    answers: tuple[str, ...] = ()
    old_answers: tuple[str, ...] = ()


def read_fact(record: Record, form: str) -> Fact | str:
    """The edit of a record.

    Args:
        record: A record of a file in that format.
        form: One of `FACT_FORMATS`.

    Returns:
        The edit, or in a word why a record of the right form is of no use.

    Raises:
        RecordError: The record lacks something.
    """
    return _READERS[form](record)


def _counterfact(record: Record) -> Fact:
    """Both the authors' own form and EasyEdit's reduced one."""
    if "requested_rewrite" not in record.values:
        return Fact(
            prompt=record.text("prompt"),
            target=record.text("target_new"),
            subject=record.text("subject"),
            old_answers=record.answers("ground_truth"),
        )
    return read_rewrite(record.part("requested_rewrite"))


def read_rewrite(rewrite: Record) -> Fact:
    """The edit in a `requested_rewrite`, which CounterFact has one of and MQuAKE several.

    The targets are objects with `str`, or flat as in MQuAKE-Remastered: `target_new_str`.

    Raises:
        RecordError: It lacks something.
    """
    subject = rewrite.text("subject")
    if "target_new_str" in rewrite.values:
        target, old = rewrite.text("target_new_str"), rewrite.text("target_true_str")
    else:
        target, old = rewrite.part("target_new").text("str"), rewrite.part("target_true").text("str")
    return Fact(rewrite.text("prompt").replace("{}", subject), target, subject, old_answers=(old,))


def _zsre(record: Record) -> Fact | str:
    targets = record.texts("alt")
    if not targets:
        return "blank_target"
    old = record.answers("answer") or record.answers("answers")
    if targets[0] in old:
        return "target_is_true_answer"
    return Fact(record.text("src"), targets[0], _subject(record, "subject"), old_answers=old)


def _knowedit(record: Record) -> Fact | str:
    if "labels" in record.values and "text" in record.values:  # WikiBio has its own field names
        prompt, target, subject = "text", "labels", "concept"
    else:
        prompt, target, subject = "prompt", "target_new", "subject"
    if target not in record.values:
        raise record.error(f"expected a field {target!r}, got {sorted(record.values)}")
    answers = record.answers(target)
    if not answers:
        return "blank_target"
    return Fact(record.text(prompt), answers[0], _subject(record, subject), answers, record.answers("ground_truth"))


def _subject(record: Record, name: str) -> str | None:
    return record.text(name) if record.values.get(name) else None


_READERS: Mapping[str, Callable[[Record], Fact | str]] = {
    "counterfact": _counterfact,
    "zsre": _zsre,
    "knowedit": _knowedit,
}
FACT_FORMATS = tuple(_READERS)
"""Names of the formats that `read_fact` knows."""
