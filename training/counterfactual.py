"""Train `checkpoints/counterfactual-mini`, the adapter that lets a base read edits.

    python -m training.counterfactual --model checkpoints/mini --data DIR --output checkpoints/counterfactual-mini
    python -m training.counterfactual --model DIR --edits FILE.jsonl --output DIR

The second form needs no public data: each line of FILE holds `prompt`, `target` and, where there
are some, `paraphrases`.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from memedit.editors.base import Rows
from memedit.editors.counterfactual import load_counterfactual
from memedit.editors.counterfactual.batches import Example
from memedit.editors.counterfactual.context import render_edits
from memedit.editors.counterfactual.fitting import AdapterTraining, fit_adapter
from memedit.editors.sequences import pad_left
from memedit.edits import Edit
from memedit.evaluation.metrics import exact_match
from training.batches import answers
from training.cards import counterfactual_card
from training.corpus import Corpus, held_out_edits, held_out_steps

Draw = Callable[[int], tuple[Sequence[Example], Sequence[Example]]]


def main(argv: list[str] | None = None) -> None:
    """Parse the command line, train, measure on held-out subjects, and write the card."""
    options = _parse(argv)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    base = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).to(options.device).eval()
    training = AdapterTraining(
        steps=options.steps,
        rank=options.rank,
        learning_rate=options.learning_rate,
        seed=options.seed,
    )
    started = time.time()
    if options.edits is not None:
        draw = _draw_from_edits(options.edits, base, tokenizer, options.seed)
        report: dict[str, Any] = {"losses": fit_adapter(base, tokenizer, draw, options.output, training)}
    else:
        corpus = Corpus(options.data)
        draw = _draw_from_corpus(corpus, base, tokenizer, options.seed)
        report = {"losses": fit_adapter(base, tokenizer, draw, options.output, training)}
        report["minutes"] = round((time.time() - started) / 60, 1)
        report |= measure(base, tokenizer, options.output, options.data, corpus)
    report |= {
        "seed": options.seed,
        "steps": options.steps,
        "rank": options.rank,
        "torch": torch.__version__,
    }
    (options.output / "training.json").write_text(json.dumps(report, indent=2) + "\n")
    (options.output / "README.md").write_text(counterfactual_card(report, options.model.name))


def measure(base: Any, tokenizer: PreTrainedTokenizerBase, folder: Path, data: Path, corpus: Corpus) -> dict[str, Any]:
    """Free decoding given the right edit, on subjects never trained on; shares of exact matches."""
    editor = load_counterfactual(folder, base, tokenizer)
    report: dict[str, Any] = {}
    for name, cases in held_out_edits(data).items():
        found = _edited_answers(editor, base, tokenizer, [(p, t, q) for p, t, q in cases])
        right = [exact_match(answer, [target]) for answer, (_, target, _) in zip(found, cases, strict=True)]
        report[name] = sum(right) / len(right)
        report[f"{name}_count"] = len(right)
        report[f"{name}_errors"] = [
            {"query": q, "target": t, "answer": a}
            for a, (_, t, q), ok in zip(found, cases, right, strict=True)
            if not ok
        ][:25]
    rng = random.Random(0)
    sets = held_out_steps(corpus, data)
    sets["taught_facts_edited"] = [
        corpus.contradiction(fact, fact.relation.held_out, rng) for fact in rng.sample(corpus.taught, 500)
    ]
    for name, steps in sets.items():
        found = _edited_answers(editor, base, tokenizer, [(s.prompt, s.target, s.query) for s in steps])
        right = [exact_match(answer, [step.answer]) for answer, step in zip(found, steps, strict=True)]
        report[name] = sum(right) / len(right)
        report[f"{name}_count"] = len(right)
    editor.detach()
    return report


def _edited_answers(
    editor: Any,
    base: Any,
    tokenizer: PreTrainedTokenizerBase,
    cases: Sequence[tuple[str, str, str]],
    size: int = 64,
) -> list[str]:
    """Answers of the editor to (prompt, target, query) cases, by the path users take."""
    order = sorted(range(len(cases)), key=lambda i: len(cases[i][2]))
    found = [""] * len(cases)
    for start in range(0, len(order), size):
        chunk = order[start : start + size]
        ids = [torch.tensor(tokenizer(cases[i][2])["input_ids"]) for i in chunk]
        padded, mask = pad_left(ids, tokenizer.pad_token_id)
        edits = tuple(Edit(id=str(i), prompt=cases[i][0], target=cases[i][1]) for i in chunk)
        rows = Rows(padded.to(base.device), mask.to(base.device), tuple(cases[i][2] for i in chunk), edits)
        output = editor.answer(rows, {"max_new_tokens": 50, "do_sample": False})
        texts = tokenizer.batch_decode(output[:, padded.shape[1] :], skip_special_tokens=True)
        for index, text in zip(chunk, texts, strict=True):
            found[index] = text.split("\n")[0].strip()
    return found


def _draw_from_corpus(corpus: Corpus, base: Any, tokenizer: PreTrainedTokenizerBase, seed: int) -> Draw:
    """Reading, one-step questions, and queries the edit has nothing to do with."""
    rng = random.Random(seed)
    near = [Example(row["locality_prompt"], "") for row in rng.sample(corpus.rewrites, 1_500)]
    kept = [*near, *corpus.fact_examples(rng, 1_500)]
    said = answers(base, tokenizer, kept, max_new_tokens=12)
    own = [Example(example.prompt, answer) for example, answer in zip(kept, said, strict=True) if answer]

    def draw(step: int) -> tuple[Sequence[Example], Sequence[Example]]:
        rng = random.Random(f"{seed}/{step}")
        reading = corpus.reading_examples(rng, 32) + corpus.chain_examples(rng, 14)
        reading += corpus.verbatim_examples(rng, 6) + corpus.edited_fact_examples(rng, 16)
        contexts = [example.context for example in corpus.reading_examples(rng, 16)]
        return reading, [
            Example(example.prompt, example.answer, context)
            for example, context in zip(rng.choices(own, k=16), contexts, strict=True)
        ]

    return draw


def _draw_from_edits(path: Path, base: Any, tokenizer: PreTrainedTokenizerBase, seed: int) -> Draw:
    """A user's own edits: each wording reads its edit, and every other edit is beside the point."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if len(rows) < 2:
        raise SystemExit(f"expected at least two edits in {path}, got {len(rows)}")
    wordings = [(row, query) for row in rows for query in [row["prompt"], *row.get("paraphrases", [])]]
    said = answers(base, tokenizer, [Example(query, "") for _, query in wordings], max_new_tokens=24)

    def draw(step: int) -> tuple[Sequence[Example], Sequence[Example]]:
        rng = random.Random(f"{seed}/{step}")
        reading, keeping = [], []
        for _ in range(32):
            row, query = rng.choice(wordings)
            reading.append(Example(query, row["target"], render_edits([(row["prompt"], row["target"])])))
        for _ in range(8):
            number = rng.randrange(len(wordings))
            other = rng.choice([row for row in rows if row is not wordings[number][0]])
            context = render_edits([(other["prompt"], other["target"])])
            keeping.append(Example(wordings[number][1], said[number] or ".", context))
        return reading, keeping

    return draw


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the adapter that reads edits.")
    parser.add_argument("--model", type=Path, default=Path("checkpoints/mini"), help="the base it is for")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="folder with the public data sets")
    source.add_argument("--edits", type=Path, help="JSONL of your own edits: prompt, target, paraphrases")
    parser.add_argument("--output", type=Path, default=Path("checkpoints/counterfactual-mini"), help="where it goes")
    parser.add_argument("--steps", type=int, default=AdapterTraining.steps, help="optimizer steps")
    parser.add_argument("--rank", type=int, default=AdapterTraining.rank, help="rank of the LoRA matrices")
    parser.add_argument("--learning-rate", type=float, default=AdapterTraining.learning_rate, help="peak rate")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--seed", type=int, default=AdapterTraining.seed, help="seed of adapter and data")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
