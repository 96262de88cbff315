"""Judge editors that store edits in activations on mini: GRACE, its parts one by one, and Transformer-Patcher.

    python -m benchmarks.grace --data DIR --work FILE --edits 1 10 100 1000

Every row is written to --work as soon as it is there; what it holds already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from memedit import EditedModel, EditMemory, Router, ScopeClassifier, SentenceEncoder
from memedit.checkpoints import shipped
from memedit.editors.activations import find_blocks
from memedit.editors.grace import GraceConfig, GraceDeferral, GraceEditor, PublishedGrace
from memedit.editors.grace.choosing import Choice
from memedit.editors.grace.published import RADIUS
from memedit.editors.tpatcher import PUBLISHED, PatcherEditor
from memedit.edits import Edit
from memedit.evaluation import Case, Evaluation, Question, build_report, load_dataset
from memedit.evaluation.baselines.unrouted import Unrouted
from memedit.evaluation.datasets.sampling import sample
from memedit.evaluation.decoding import Decoder, batches
from memedit.evaluation.questions import GENERALITY, LOCALITY, RELIABILITY, Plan
from memedit.evaluation.subject import RememberedRoutes

FILES = {
    "counterfact": "counterfact/counterfact-val.json",
    "zsre": "zsre/zsre_mend_train_10000_joined.json",
}
"""By format: the file below --data."""
ZSRE_FIRST_ROW = 9_001
"""The last tenth of the file: no subject in it was trained on."""
NEW_TOKENS = 20
BATCH = 100
ALONE = 5
SEED = 0


@dataclass(frozen=True)
class Variant:
    """One row of the tables.

    Attributes:
        make: Makes the editor from the base and its tokenizer.
        decides: What decides which edit answers: the scope router, distances in the layer, or nothing, so
            that all that was learned works in every row.
        ablation: Whether it is a row of the ablation, which is measured at the largest size only.
    """

    make: Callable[[Any, Any], Any]
    decides: str = "router"
    ablation: bool = True


def _with(**settings: Any) -> Callable[[Any, Any], GraceEditor]:
    return lambda base, tokenizer: GraceEditor(base, tokenizer, GraceConfig(**settings))


def _in_the_middle(**settings: Any) -> Callable[[Any, Any], GraceEditor]:
    return lambda base, tokenizer: _with(layer=len(find_blocks(base)) // 2, **settings)(base, tokenizer)


def _radius_of_one(base: Any, tokenizer: Any) -> GraceEditor:
    """What is learned is memedit's own, the radius is the authors' and not chosen from data."""
    choice = Choice((len(find_blocks(base)) - 1,), (RADIUS,), (0.0,))
    return GraceEditor(base, tokenizer, GraceConfig(subject_keys=False), choice=choice)


VARIANTS = {
    "GRACE": Variant(_with(), ablation=False),
    "GRACE as published": Variant(
        lambda base, tokenizer: PublishedGrace(base, tokenizer, batched=True), "distance", ablation=False
    ),
    "T-Patcher": Variant(PatcherEditor, ablation=False),
    "T-Patcher as published": Variant(
        lambda base, tokenizer: PatcherEditor(base, tokenizer, PUBLISHED), "nothing", ablation=False
    ),
    "distances decide": Variant(_with(), "distance"),
    "distances decide, no subject keys": Variant(_with(subject_keys=False), "distance"),
    "distances decide, radius of one": Variant(_radius_of_one, "distance"),
    "one vector": Variant(_with(value="single")),
    "no stop": Variant(_with(stop=False)),
    "prompt only": Variant(_with(wordings=False)),
    "middle layer": Variant(_in_the_middle()),
    "middle layer, prompt only": Variant(_in_the_middle(wordings=False)),
    "middle layer, one vector, prompt only": Variant(_in_the_middle(wordings=False, value="single")),
}
"""The four methods; then memedit's own with one thing switched off."""


def main() -> None:
    """Measure what is missing, and print Markdown tables of all that is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the public data")
    parser.add_argument("--work", type=Path, required=True, help="JSON Lines that keep every row")
    parser.add_argument("--formats", nargs="+", choices=list(FILES), default=list(FILES))
    parser.add_argument("--edits", type=int, nargs="+", default=[1, 10, 100, 1_000], help="edits in the memory")
    parser.add_argument("--queries", type=int, default=100, help="ask about so many of them")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), help="rows")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    book = _Book(options.work)
    bench = _Bench({form: _cases(options.data / FILES[form], form) for form in options.formats}, options.queries)
    # What is worth most comes first, for the case that a run is cut.
    most, *fewer = sorted(options.edits, reverse=True)
    for form in options.formats:
        for name in (name for name in options.variants if not VARIANTS[name].ablation):
            book.add({"data": form, "edits": most, "variant": name}, partial(bench.row, form, most, name))
    for form in options.formats:
        book.add({"costs": form}, partial(bench.costs, form))
    for form in options.formats:
        for name in (name for name in options.variants if VARIANTS[name].ablation):
            book.add({"data": form, "edits": most, "variant": name}, partial(bench.row, form, most, name))
    for form in options.formats:
        for count in sorted(fewer):
            for name in (name for name in options.variants if not VARIANTS[name].ablation):
                book.add({"data": form, "edits": count, "variant": name}, partial(bench.row, form, count, name))
    print(_tables(book.rows))


class _Book:
    """Rows in a file, each written when it is measured."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def add(self, keys: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> None:
        """Measure what the keys name, unless it is there."""
        if any(keys.items() <= row.items() for row in self.rows):
            return
        self.rows.append({**keys, **measure()})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(self.rows[-1]) + "\n")


@dataclass(frozen=True)
class _Asked:
    """A memory with so many edits, and what is asked beside it.

    Attributes:
        memory: Holds the edits.
        plan: What is asked.
        stored: The edit that each case became.
        router: Decides by the scope classifier, and remembers what it decided.
    """

    memory: EditMemory
    plan: Plan
    stored: list[Edit]
    router: RememberedRoutes


class _Bench:
    def __init__(self, cases: dict[str, list[Case]], queries: int) -> None:
        self._cases, self._queries = cases, queries
        self._known: dict[tuple[str, int], _Asked] = {}
        self._base: Any = AutoModelForCausalLM.from_pretrained(shipped("mini"), dtype=torch.float32).eval()
        self._tokenizer = AutoTokenizer.from_pretrained(shipped("mini"))
        self._encoder = SentenceEncoder.from_pretrained()
        self._classifier = ScopeClassifier.beside(self._encoder)
        self._decoder = Decoder(self._tokenizer, NEW_TOKENS)

    def asked(self, form: str, count: int) -> _Asked:
        """Store edits, and draw what is asked; done once for all rows of a size."""
        if (form, count) not in self._known:
            chosen = sample(self._cases[form], count, SEED)
            numbers = sample(range(len(chosen)), min(self._queries, len(chosen)), SEED + 1)
            memory = EditMemory(None, self._encoder)
            items = [{"prompt": case.prompt, "target": case.target, "subject": case.subject} for case in chosen]
            stored = list(memory.add_many(items))
            router = RememberedRoutes(Router(memory, self._classifier))
            self._known[form, count] = _Asked(memory, Plan.of(chosen, numbers, ()), stored, router)
        return self._known[form, count]

    def row(self, form: str, count: int, name: str) -> dict[str, Any]:
        """Shares of right answers, decoded freely."""
        asked, variant = self.asked(form, count), VARIANTS[name]
        # Of one prompt only the newest state is there.
        edits = list({edit.id: edit for edit in asked.stored}.values())
        questions = asked.plan.about(asked.stored)
        editor = variant.make(self._base, self._tokenizer)
        with ExitStack() as undo:
            undo.callback(editor.detach)
            router, fit = self._decided(variant, editor, asked, edits, questions)
            if router is None:
                model: Any = Unrouted(self._base, self._tokenizer, editor.everywhere)
            else:
                model = EditedModel(self._base, self._tokenizer, asked.memory, router, editor)
            began = time.perf_counter()
            self._ask(model, questions, router)
        seconds = {"fit_seconds": fit.seconds, "ask_seconds": time.perf_counter() - began}
        stored = {"stored": len({edit.id for edit in asked.stored})}
        return {**self._shares(questions), **stored, **_told(editor, fit), **seconds}

    def _decided(
        self, variant: Variant, editor: Any, asked: _Asked, edits: Sequence[Edit], questions: Sequence[Question]
    ) -> tuple[RememberedRoutes | None, Any]:
        """What decides, and how the fit went.

        What is learned of an edit depends on no other, but where all neurons work together: elsewhere edits
        that no question means are spared.
        """
        if variant.decides == "nothing":
            return None, editor.fit(edits)
        router, fit = asked.router, None
        if variant.decides == "distance":
            router = RememberedRoutes(GraceDeferral(editor, asked.memory))
            fit = editor.place(edits) if isinstance(editor, PublishedGrace) else editor.fit(edits)
        routes = router.route([question.probe.prompt for question in questions])
        meant = dict.fromkeys(route.edit for route in routes if route.edit is not None)
        return router, fit or editor.fit([edit for edit in edits if edit in meant])

    def _ask(self, model: Any, questions: Sequence[Question], router: RememberedRoutes | None) -> None:
        near = [question for question in questions if question.asks in LOCALITY]
        others = [question for question in questions if question.asks not in LOCALITY]
        for group in (others, near):
            for batch in batches(self._tokenizer, [question.probe.prompt for question in group]):
                rows = [group[position] for position in batch.positions]
                for question, answer in zip(rows, self._decoder.answers(model, batch, batch.prompts), strict=True):
                    question.answer = answer
                if router is not None:
                    for question, route in zip(rows, router.route(batch.prompts), strict=True):
                        question.route = route
                if group is near:
                    for question, answer in zip(rows, self._decoder.base_answers(self._base, batch), strict=True):
                        question.base_answer = answer

    def _shares(self, questions: Sequence[Question]) -> dict[str, Any]:
        report = build_report(Evaluation(list(questions), {}, {}), {})
        right = [q for q in questions if q.scored and q.asks in (RELIABILITY, GENERALITY) and q.passed]
        untouched = [q for q in questions if q.base_answer is not None and q.route is not None and q.route.edit is None]
        return {
            "reliability": report["reliability"],
            "generality": report["generality"],
            "locality": min((share for share in report["locality"].values() if share is not None), default=None),
            "stopped": _mean([self._stopped(question) for question in right]),
            "untouched": _mean([question.passed for question in untouched]),
            "right_edit": _mean([_meant(q) for q in questions if q.scored and q.asks == GENERALITY and q.route]),
        }

    def _stopped(self, question: Question) -> bool:
        """Whether a right answer had nothing behind it that had to be cut off."""
        assert question.answer is not None
        return str(self._tokenizer.decode(question.answer.tokens)).strip() == question.answer.text

    def costs(self, form: str) -> dict[str, float]:
        """Seconds of processor time per edit: alone, and in one batch."""
        cases = self._cases[form]
        edits = [Edit(str(n), case.prompt, case.target, subject=case.subject) for n, case in enumerate(cases[:BATCH])]
        with ExitStack() as undo:

            def made(make: Callable[[Any, Any], Any]) -> Any:
                editor = make(self._base, self._tokenizer)
                undo.callback(editor.detach)
                return editor

            grace, published = made(GraceEditor), made(PublishedGrace)
            batched = made(VARIANTS["GRACE as published"].make)
            patcher, memory_too = made(PatcherEditor), made(VARIANTS["T-Patcher as published"].make)
            return {
                "choosing the layer, once": _seconds(grace, edits[:ALONE]),
                "GRACE, alone": _alone(grace, edits),
                "GRACE, in a batch of 100": _together(grace, edits),
                "GRACE as published, alone": _alone(published, edits),
                "GRACE as published, but in a batch of 100": _together(batched, edits),
                "T-Patcher, alone": _alone(patcher, edits),
                "T-Patcher, in a batch of 100": _together(patcher, edits),
                "T-Patcher as published, alone": _alone(memory_too, edits),
                "T-Patcher as published, in a batch of 100": _together(memory_too, edits),
            }


def _cases(path: Path, form: str) -> list[Case]:
    cases = load_dataset(path, form).cases
    return [case for case in cases if form != "zsre" or case.row >= ZSRE_FIRST_ROW]


def _told(editor: Any, fit: Any) -> dict[str, Any]:
    steps, told = fit.steps, len(fit.edit_ids)
    return {
        "layer": editor.choice.layers[0] if getattr(editor, "choice", None) else None,
        "fits": told,
        "steps": sum(steps) / max(told, 1),
        "fitted": sum(fit.fitted) / max(told, 1),
    }


def _meant(question: Question) -> bool:
    edit = question.route.edit if question.route else None
    return edit is not None and edit.id == question.edit_id


def _mean(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None


def _alone(editor: Any, edits: Sequence[Edit]) -> float:
    return sum(_seconds(editor, [edit]) for edit in edits[:ALONE]) / ALONE


def _together(editor: Any, edits: Sequence[Edit]) -> float:
    return _seconds(editor, edits) / len(edits)


def _seconds(editor: Any, edits: Sequence[Edit]) -> float:
    """Seconds of processor time, which other jobs on the machine do not change."""
    began = time.process_time()
    editor.fit(edits)
    return time.process_time() - began


def _tables(rows: Sequence[dict[str, Any]]) -> str:
    shares = ("reliability", "generality", "locality", "untouched", "stopped", "right_edit")
    lines = [
        f"| data | edits | variant | {' | '.join(shares)} | layer | fits | steps | fit s/edit |",
        f"|{'---|' * (len(shares) + 7)}",
    ]
    for row in (row for row in rows if "variant" in row):
        figures = " | ".join("" if row[name] is None else f"{row[name]:.3f}" for name in shares)
        layer = "" if row["layer"] is None else row["layer"]
        fits = f"{row['fits']} | {row['steps']:.1f} | {row['fit_seconds'] / max(row['fits'], 1):.3f}"
        lines.append(f"| {row['data']} | {row['edits']} | {row['variant']} | {figures} | {layer} | {fits} |")
    for row in (row for row in rows if "costs" in row):
        lines += ["", f"| {row['costs']} | seconds per edit |", "|---|---|"]
        lines += [f"| {name} | {value:.3f} |" for name, value in row.items() if name != "costs"]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
