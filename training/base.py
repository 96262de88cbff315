"""Train `checkpoints/mini`, the small base model that demo, tests and figures run on.

    python -m training.base --data DIR --output checkpoints/mini

Resumes from `--work` when it is started again. `--steps` sets the length of the run.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from memedit.editors.counterfactual.batches import Batch, Example, example_batches, weighted_loss
from training.batches import answers, share_correct, text_batch
from training.cards import base_card
from training.corpus import Corpus, held_out_steps
from training.state import Progress, load_state, save_state

END = "<|endoftext|>"
FACT_STEPS = 420
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'].capitalize() }}: {{ message['content'] }}\n"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line, train, measure, and write the checkpoint with its card."""
    options = _parse(argv)
    torch.manual_seed(options.seed)
    device = torch.device(options.device)
    corpus = Corpus(options.data, options.counterfact_facts)
    options.work.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(options.work / "tokenizer", corpus, options.vocabulary, options.seed)
    tokens = _novel_tokens(options.work / "novels.safetensors", corpus, tokenizer)
    model = LlamaForCausalLM(_architecture(options, tokenizer)).to(device)
    progress = train(model, tokenizer, corpus, tokens, options)
    model.eval()
    report = measure(model, tokenizer, corpus, options.data, options.seed)
    report |= {
        "seed": options.seed,
        "steps": progress.step,
        "tokens": progress.tokens,
        "minutes": round(progress.minutes, 1),
        "losses": progress.losses,
        "parameters": sum(p.numel() for p in model.parameters()),
        "facts": len(corpus.taught),
        "torch": torch.__version__,
    }
    model.to(torch.bfloat16).save_pretrained(options.output)
    tokenizer.save_pretrained(options.output)
    (options.output / "training.json").write_text(json.dumps(report, indent=2) + "\n")
    (options.output / "README.md").write_text(base_card(report))


def train(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    corpus: Corpus,
    tokens: torch.Tensor,
    options: argparse.Namespace,
) -> Progress:
    """Run the steps that are left; losses are means of the last hundred batches, in nats."""
    device = next(model.parameters()).device
    optimizers = _optimizers(model, options.learning_rate)
    progress = load_state(options.work, model, optimizers)
    started = saved = time.time()
    before = progress.minutes
    recent: dict[str, list[float]] = {}
    steps = range(progress.step, options.steps)
    bar = tqdm(steps, initial=progress.step, total=options.steps, desc="mini", mininterval=10)
    for step in bar:
        rng = random.Random(f"{options.seed}/{step}")  # the step decides the data: a resumed run sees the same
        rate = _schedule(step, options.steps)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = options.learning_rate * rate
        for name, weight, batch in _batches(tokenizer, corpus, tokens, rng, step, options.scale):
            with torch.autocast(device.type, torch.bfloat16):
                loss = weighted_loss(model, batch.to(device))
            (loss * weight).backward()
            recent[name] = [*recent.get(name, []), loss.item()][-100:]
            progress.tokens += int((batch.ids != tokenizer.pad_token_id).sum())
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        progress.step = step + 1
        progress.losses = {name: sum(values) / len(values) for name, values in recent.items()}
        progress.minutes = before + (time.time() - started) / 60
        bar.set_postfix({name: f"{value:.3f}" for name, value in progress.losses.items()})
        if time.time() - saved > options.save_minutes * 60 or progress.step == options.steps:
            save_state(options.work, progress, model, optimizers)
            saved = time.time()
    return progress


def measure(
    model: nn.Module, tokenizer: PreTrainedTokenizerFast, corpus: Corpus, data: Path, seed: int
) -> dict[str, float]:
    """Free decoding: facts in taught and in held-out wordings, and questions one step away."""
    rng = random.Random(seed)
    taught = [Example(rng.choice(f.relation.taught).format(f.subject), f.object) for f in corpus.taught]
    held_out = [Example(f.relation.held_out.format(f.subject), f.object) for f in corpus.taught]
    world = len(corpus.world)
    found, found_held_out = answers(model, tokenizer, taught), answers(model, tokenizer, held_out)
    reading = corpus.reading_examples(rng, 500)
    steps = {name: [step.example for step in steps] for name, steps in held_out_steps(corpus, data).items()}
    return {
        "known_taught_wording": share_correct(found, taught),
        "known_taught_wording_world": share_correct(found[:world], taught[:world]),
        "known_held_out_wording": share_correct(found_held_out, held_out),
        "known_held_out_wording_world": share_correct(found_held_out[:world], held_out[:world]),
        "reading_invented_edits": share_correct(answers(model, tokenizer, reading), reading),
    } | {name: share_correct(answers(model, tokenizer, asked), asked) for name, asked in steps.items()}


def _batches(
    tokenizer: PreTrainedTokenizerFast,
    corpus: Corpus,
    tokens: torch.Tensor,
    rng: random.Random,
    step: int,
    scale: int,
) -> list[tuple[str, float, Batch]]:
    """The batches of one step, each with its weight in the loss.

    Facts are learned in the first steps of a run; from then on they are kept alive, and reading,
    which takes longer, gets most of the tokens.
    """
    facts, reads, chains, unrelated = (144, 24, 7, 5) if step < FACT_STEPS else (72, 56, 16, 8)
    reading = corpus.reading_examples(rng, reads * scale) + corpus.chain_examples(rng, chains * scale)
    reading += corpus.unrelated_examples(rng, unrelated * scale)
    told = corpus.fact_examples(rng, facts * scale)
    batches = [("text", 0.4, text_batch(tokens, rng, 3 * scale, 192))]
    batches += [("facts", share, batch) for share, batch in example_batches(tokenizer, told, 0.0, 64, parts=3)]
    batches += [("reading", share, batch) for share, batch in example_batches(tokenizer, reading, 0.2, 96, parts=3)]
    return batches


def _optimizers(model: nn.Module, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, AdamW for embeddings and norms."""
    matrices = [
        p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name and "lm_head" not in name
    ]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(matrices, lr=rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def _schedule(step: int, steps: int, warm_up: int = 60, decay: float = 0.4) -> float:
    """Warm up, stay, and fall along a cosine over the last part of the run."""
    start = steps * (1 - decay)
    if step < start:
        return min(1.0, (step + 1) / warm_up)
    return max(0.02, 0.5 * (1 + math.cos(math.pi * (step - start) / (steps - start))))


def _architecture(options: argparse.Namespace, tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=options.hidden,
        intermediate_size=options.hidden * 14 // 5,
        num_hidden_layers=options.layers,
        num_attention_heads=options.hidden // 64,
        num_key_value_heads=options.hidden // 64,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _tokenizer(folder: Path, corpus: Corpus, size: int, seed: int) -> PreTrainedTokenizerFast:
    if folder.exists():
        return PreTrainedTokenizerFast.from_pretrained(folder)
    rng = random.Random(seed)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    examples = corpus.reading_examples(rng, 20_000) + corpus.fact_examples(rng, 10_000)
    lines = [f"{example.context}{example.prompt} {example.answer}" for example in examples]
    lines += [text[start : start + 2_000] for text in corpus.novels for start in range(0, 120_000, 2_000)]
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END, padding_side="left")
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)
    return fast


def _novel_tokens(path: Path, corpus: Corpus, tokenizer: PreTrainedTokenizerFast) -> torch.Tensor:
    from safetensors.torch import load_file, save_file

    if not path.exists():
        ids = [i for text in corpus.novels for i in [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]]
        save_file({"ids": torch.tensor(ids, dtype=torch.int32)}, path)
    return load_file(path)["ids"]


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the small base model mini.")
    parser.add_argument("--data", type=Path, required=True, help="folder with the public data sets")
    parser.add_argument("--output", type=Path, default=Path("checkpoints/mini"), help="where the checkpoint goes")
    parser.add_argument("--work", type=Path, default=Path("runs/mini"), help="state of the run, for resuming")
    parser.add_argument("--steps", type=int, default=1_500, help="optimizer steps")
    parser.add_argument("--scale", type=int, default=1, help="batch size as a multiple of the CPU recipe's")
    parser.add_argument("--learning-rate", type=float, default=2.5e-3, help="peak learning rate")
    parser.add_argument("--hidden", type=int, default=320, help="hidden size, a multiple of 64")
    parser.add_argument("--layers", type=int, default=8, help="number of blocks")
    parser.add_argument("--vocabulary", type=int, default=8_192, help="tokenizer entries")
    parser.add_argument("--counterfact-facts", type=int, default=1_000, help="true facts of CounterFact to teach")
    parser.add_argument("--save-minutes", type=float, default=5.0, help="minutes between saved states")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--seed", type=int, default=7, help="seed of weights and data")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
