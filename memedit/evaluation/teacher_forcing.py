"""Teacher forcing, for comparison with papers that report nothing else: *synthetic* accuracy, neighbourhood score.

The answer's tokens are given one after the other, and each time it is asked whether the model would have
chosen the next one. This gives away the answer's length and forgives every mistake ("The Mirage of Model
Editing", Yang et al. 2025, arXiv 2502.11177, section 3): it is never mixed with scores of free answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from memedit.evaluation.cases import Probe
from memedit.evaluation.decoding import pad_token_id
from memedit.evaluation.questions import LOCALITY, Question
from memedit.evaluation.subject import EvaluatedModel


def force_answers(model: EvaluatedModel, questions: Sequence[Question]) -> None:
    """Note `synthetic` for each question that has accepted answers, `prefers_true` for each with a rival.

    Args:
        model: The model to judge.
        questions: Asked while its present edits are stored.
    """
    for question in questions:
        if question.rival is not None:
            true = question.probe.answers[0]
            question.prefers_true = prefers_true(model, question.probe.prompt, true, question.rival)
        elif question.asks not in LOCALITY:
            question.synthetic = token_accuracy(model, question.probe)


def token_accuracy(model: EvaluatedModel, probe: Probe) -> float | None:
    """Share of the tokens of the first accepted answer that the model predicts when it is forced along them.

    Through `generate`, so that every method answers as it does in use. One row at a time: a row is
    decoded in one pass then, whoever answers it.

    Args:
        model: The model to judge; its `generate` takes logits processors.
        probe: Prompt and accepted answers.

    Returns:
        A share in [0, 1]; None if the probe has no answer.
    """
    if not probe.answers:
        return None
    forced = _force(model, probe.prompt, probe.answers[0])
    return forced.hits / forced.length


def prefers_true(model: EvaluatedModel, prompt: str, true: str, new: str) -> bool:
    """CounterFact's neighbourhood score of one prompt: whether P(true) > P(new) after it.

    The probabilities are means over tokens of log probabilities, as in ROME (Meng et al. 2022,
    section 3.4 and its code). An unedited model does not reach 1, and an editor that leaves the
    model alone reaches what that reaches: this is not locality by token identity.

    Args:
        model: The model to judge; its `generate` takes logits processors.
        prompt: A prompt about another subject.
        true: Its true answer.
        new: The target of the edit.
    """
    answers = (_force(model, prompt, answer) for answer in (true, new))
    of_true, of_new = (forced.log_probability / forced.length for forced in answers)
    return of_true > of_new


def _force(model: EvaluatedModel, prompt: str, answer: str) -> _Forced:
    """What the model makes of an answer when it is forced along it."""
    wanted = answer_tokens_behind(model.tokenizer, prompt, answer, alone=model.base.config.is_encoder_decoder)
    encoded = model.tokenizer([prompt], return_tensors="pt").to(model.base.device)
    forced = _Forced(wanted)
    with torch.no_grad():
        model.generate(
            input_ids=encoded["input_ids"],
            attention_mask=encoded["attention_mask"],
            queries=[prompt],
            do_sample=False,
            num_beams=1,
            max_new_tokens=len(wanted),
            pad_token_id=pad_token_id(model.tokenizer),
            logits_processor=LogitsProcessorList([forced]),
        )
    return forced


def answer_tokens_behind(tokenizer: Any, prompt: str, answer: str, *, alone: bool) -> list[int]:
    """The tokens of an answer as they stand behind its prompt, one space between the two.

    Tokenized by itself, " Paris" is "▁ ▁Paris" to tokenizers that put a space before every text (Llama 2),
    which no model would write.

    Args:
        tokenizer: The model's tokenizer.
        prompt: The prompt.
        answer: Its answer.
        alone: Whether an answer stands by itself, as a decoder's does behind an encoder.
    """
    if alone:
        return list(tokenizer(answer.strip(), add_special_tokens=False)["input_ids"])
    before, both = (
        list(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in (prompt, f"{prompt} {answer.strip()}")
    )
    if both[: len(before)] == before:
        return both[len(before) :]
    # The answer changes how the prompt's end is cut: what it is by itself has to do.
    return list(tokenizer(f" {answer.strip()}", add_special_tokens=False)["input_ids"])


class _Forced(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped
    """Notes whether the next wanted token leads and how probable it is, and lets nothing else through.

    It counts its calls and no columns, so it is right for whatever an editor puts before the prompt.
    """

    def __init__(self, wanted: list[int]) -> None:
        self._wanted = wanted
        self._step = 0
        self.length = len(wanted)
        self.hits = 0
        self.log_probability = 0.0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG002 - as transformers calls it
        """Scores that leave the wanted token only, float (1, vocabulary)."""
        token = self._wanted[self._step]
        self._step += 1
        self.hits += int(scores.argmax(dim=-1).item() == token)
        self.log_probability += float(scores.log_softmax(dim=-1)[0, token])
        return torch.full_like(scores, -torch.inf).index_fill(1, torch.tensor([token], device=scores.device), 0.0)
