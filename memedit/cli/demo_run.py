"""The demo itself: ask, edit, ask again, undo, reopen, and check every step."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from memedit.cli.demo_script import DemoScript
from memedit.edits import Edit, EditKind
from memedit.evaluation.decoding import Answer, Decoder, batches
from memedit.evaluation.metrics import exact_match

Wrap = Callable[[Path], Any]
"""Makes an `EditedModel` with the memory in this file."""


@dataclass(frozen=True)
class Row:
    """One question with both answers.

    Attributes:
        step: Which part of the demo asked it.
        kind: `edit`, `paraphrase`, `near miss` or `unrelated`.
        question: The prompt.
        base: The base's answer.
        memedit: The edited model's answer.
        fired: Prompt of the edit that answered; None if the base did.
        reason: The routing decision in one sentence.
        tokens_equal: Whether both answers are the same tokens.
        passed: Whether this is what the demo promises.
    """

    step: str
    kind: str
    question: str
    base: str
    memedit: str
    fired: str | None
    reason: str
    tokens_equal: bool
    passed: bool


@dataclass
class Demo:
    """What the demo did.

    Attributes:
        known: (question, true answer, the base's answer) of questions the base knows.
        edits: The edits as stored.
        milliseconds: How long each `add` took.
        rows: All questions asked of the edited model.
        checks: Each promise, by name, and whether it was kept.
        seconds: Time of the whole demo without loading.
    """

    known: list[tuple[str, str, str]] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    checks: dict[str, bool] = field(default_factory=dict)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The demo as JSON-compatible values."""
        return {
            "known": [dict(zip(("question", "true", "base"), row, strict=True)) for row in self.known],
            "edits": [edit.to_dict() for edit in self.edits],
            "milliseconds_per_edit": self.milliseconds,
            "rows": [asdict(row) for row in self.rows],
            "checks": self.checks,
            "seconds": self.seconds,
        }


def run_demo(wrap: Wrap, memory: Path, script: DemoScript) -> Demo:
    """Run the script on a model.

    Args:
        wrap: Makes the edited model, twice: at the beginning and after closing the memory.
        memory: A file that does not exist yet.
        script: What to edit and to ask.

    Returns:
        All answers, and whether every promise was kept.
    """
    started = time.perf_counter()
    model = wrap(memory)
    demo = Demo()
    asker = _Asker(model)
    with model.edits:
        _ask_known(demo, asker, script)
        for item in script.edits:
            before = time.perf_counter()
            demo.edits.append(model.edits.add(item.prompt, item.target, kind=item.kind))
            demo.milliseconds.append(1e3 * (time.perf_counter() - before))
        _ask_edited(demo, asker, script)
        _undo_last(demo, asker, script)
        kept = list(model.edits)
    _reopen(demo, wrap, memory, script, kept)
    demo.seconds = time.perf_counter() - started
    return demo


class _Asker:
    """Asks base and edited model the same batch."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self._decoder = Decoder(model.tokenizer)

    def __call__(self, questions: Sequence[str]) -> list[tuple[Answer, Answer]]:
        """The base's and the edited model's answer to each question."""
        found: dict[int, tuple[Answer, Answer]] = {}
        for batch in batches(self.model.tokenizer, questions, self.model.base.device):
            edited = self._decoder.answers(self.model, batch, queries=batch.prompts)
            base = self._decoder.answers(self.model.base, batch)
            found.update(zip(batch.positions, zip(base, edited, strict=True), strict=True))
        return [found[position] for position in range(len(questions))]


def _ask_known(demo: Demo, ask: _Asker, script: DemoScript) -> None:
    answers = ask([question for question, _ in script.known])
    for (question, true), (base, _) in zip(script.known, answers, strict=True):
        demo.known.append((question, true, base.text))
    demo.checks["the base knows the answers"] = all(exact_match(base, true) for _, true, base in demo.known)
    demo.checks["with an empty memory every answer is the base's, token for token"] = all(
        base.tokens == edited.tokens for base, edited in answers
    )


def _ask_edited(demo: Demo, ask: _Asker, script: DemoScript) -> None:
    wanted: list[tuple[str, str, Edit | None]] = []
    for item, edit in zip(script.edits, demo.edits, strict=True):
        wanted.append(("edit", item.prompt, edit))
        wanted += [("paraphrase", question, edit) for question in item.paraphrases]
        wanted += [("near miss", question, None) for question in item.near_misses]
    wanted += [("unrelated", question, None) for question in script.unrelated]
    rows = _ask_rows("after the edits", ask, wanted)
    demo.rows += rows
    inside = [row for row in rows if row.kind in ("edit", "paraphrase")]
    demo.checks["every edit and paraphrase gets its new answer"] = all(r.passed for r in inside)
    for kind in ("near miss", "unrelated"):
        name = f"{kind} answers are the base's, token for token"
        demo.checks[name] = all(row.passed for row in rows if row.kind == kind)


def _undo_last(demo: Demo, ask: _Asker, script: DemoScript) -> None:
    ask.model.edits.undo()
    last = script.edits[-1]
    questions = [("edit", last.prompt), *(("paraphrase", text) for text in last.paraphrases)]
    rows = _ask_rows("after undo", ask, [(kind, text, None) for kind, text in questions])
    demo.rows += rows
    demo.checks["undo brings the base's answer back, token for token"] = all(r.passed for r in rows)


def _reopen(demo: Demo, wrap: Wrap, memory: Path, script: DemoScript, kept: list[Edit]) -> None:
    model = wrap(memory)
    with model.edits:
        demo.checks["the reopened memory holds the same edits"] = list(model.edits) == kept
        asked: list[tuple[str, str, Edit | None]] = [
            ("paraphrase", item.paraphrases[0], edit)
            for item, edit in zip(script.edits[:-1], demo.edits[:-1], strict=True)
            if item.paraphrases
        ]
        rows = _ask_rows("after reopening", _Asker(model), asked)
    demo.rows += rows
    demo.checks["the reopened memory answers as before"] = all(row.passed for row in rows)


def _ask_rows(step: str, ask: _Asker, wanted: Sequence[tuple[str, str, Edit | None]]) -> list[Row]:
    questions = [question for _, question, _ in wanted]
    routes = ask.model.router.route(questions)
    rows = []
    for (kind, question, edit), (base, edited), route in zip(wanted, ask(questions), routes, strict=True):
        equal = base.tokens == edited.tokens
        fired = route.edit
        if edit is None:
            passed = fired is None and equal
        else:
            leaked = edit.kind is EditKind.ERASE and base.text.casefold() in edited.text.casefold()
            same_edit = fired is not None and fired.id == edit.id
            passed = same_edit and exact_match(edited.text, edit.target) and not leaked
        rows.append(
            Row(
                step=step,
                kind=kind,
                question=question,
                base=base.text,
                memedit=edited.text,
                fired=fired.prompt if fired else None,
                reason=route.reason,
                tokens_equal=equal,
                passed=passed,
            )
        )
    return rows
