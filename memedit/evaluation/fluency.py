"""Fluency: how varied the words of generated text are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from memedit.evaluation.decoding import batches, generate_exactly
from memedit.evaluation.questions import RELIABILITY, Question
from memedit.evaluation.scoring import split_words
from memedit.evaluation.subject import EvaluatedModel

NEW_TOKENS = 100
"""Length of each text, as in ROME; entropies of texts of other lengths cannot be compared."""
TEXTS = 32
"""How many texts are written: as many as are decoded together."""

_WEIGHTS = {2: 2 / 3, 3: 4 / 3}
"""Of bigrams and trigrams, as ROME weighs them."""


def measure_fluency(model: EvaluatedModel, questions: Sequence[Question]) -> None:
    """Let the model write after prompts of stored edits, and note how varied the texts are.

    Args:
        model: The model to judge.
        questions: Those of the edits that are stored; the reliability prompts of the first `TEXTS`
            edits get their `fluency`. The others are left as they are.
    """
    chosen = [question for question in questions if question.asks == RELIABILITY and question.scored][:TEXTS]
    for batch in batches(model.tokenizer, [question.probe.prompt for question in chosen], model.base.device):
        tokens = generate_exactly(model, model.tokenizer, batch, NEW_TOKENS, queries=list(batch.prompts))
        texts = model.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        for position, text in zip(batch.positions, texts, strict=True):
            chosen[position].fluency = n_gram_entropy(text)


def n_gram_entropy(text: str) -> float | None:
    """Weighted mean of the bigram and trigram entropies, in bits.

    The "generation entropy" of ROME (Meng et al. 2022, section 3.4), after Zhang et al. 2018: text
    that repeats itself, which damaged models write, has little. It grows with the length of the
    text, so only texts of one length can be compared. Words are what white space parts (characters
    in Chinese and the like), where ROME takes those of NLTK: figures are near, not equal.

    Args:
        text: What a model wrote.

    Returns:
        (2/3 · H₂ + 4/3 · H₃) / 2; None for a text of fewer than three words.
    """
    words = split_words(text)
    if len(words) < max(_WEIGHTS):
        return None
    return sum(weight * _entropy(words, n) for n, weight in _WEIGHTS.items()) / len(_WEIGHTS)


def _entropy(words: Sequence[str], n: int) -> float:
    counts = Counter(zip(*(words[start:] for start in range(n)), strict=False))
    shares = np.array(list(counts.values())) / counts.total()
    return float(-(shares * np.log2(shares)).sum()) + 0.0  # no negative zero
