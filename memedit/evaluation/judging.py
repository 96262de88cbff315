"""A model as judge of answers that no rule of comparison can match; off unless one is given."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any, Protocol

logger = logging.getLogger(__name__)

_INSTRUCTION = """\
Decide whether an answer to a question agrees with the reference. Other wordings of the same thing agree; \
a different name, number or date does not, nor does an answer that says several different things.

Question: {question}
Reference: {reference}
Answer: {answer}

Does the answer agree with the reference? Reply with one word, yes or no."""
_VERDICT = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
_LONGEST_REPLY = 8


class Judge(Protocol):
    """Decides whether an answer is right."""

    def __call__(self, question: str, accepted: Sequence[str], answer: str) -> bool:
        """Whether `answer` to `question` says one of the `accepted` answers."""
        ...


class PipelineJudge:
    """A language model that is asked whether answer and reference agree.

    Each distinct question is put once. Judges of this kind agree with people more often than exact
    match does, and err in their own ways (Zheng et al. 2023, "Judging LLM-as-a-Judge"): their
    share stands beside exact match, never in its place.

    Args:
        pipe: A transformers `text-generation` pipeline, or anything that is called like one. Where
            its tokenizer has a chat template, the question is put as a chat.
    """

    def __init__(self, pipe: Any) -> None:
        """Begin with nothing judged."""
        self._pipe = pipe
        self._verdicts: dict[tuple[str, tuple[str, ...], str], bool] = {}
        self.unclear = 0
        """Replies that were neither yes nor no; they count as no."""

    def __call__(self, question: str, accepted: Sequence[str], answer: str) -> bool:
        """Whether the model says yes; an empty answer is not put to it and is wrong."""
        key = (question, tuple(accepted), answer)
        if key not in self._verdicts:
            self._verdicts[key] = bool(answer.strip()) and self._ask(question, accepted, answer)
        return self._verdicts[key]

    def _ask(self, question: str, accepted: Sequence[str], answer: str) -> bool:
        text = _INSTRUCTION.format(question=question, reference=" / ".join(accepted), answer=answer)
        templated = getattr(getattr(self._pipe, "tokenizer", None), "chat_template", None)
        prompt: Any = [{"role": "user", "content": text}] if templated else f"{text}\n"
        (reply,) = self._pipe(prompt, max_new_tokens=_LONGEST_REPLY, do_sample=False, return_full_text=False)
        found = _VERDICT.search(reply["generated_text"])
        if found is None:
            self.unclear += 1
            logger.warning("the judge said neither yes nor no: %r", reply["generated_text"])
            return False
        return found.group().lower() == "yes"
