"""Figures for which a model is asked otherwise than by free decoding, against passes made by hand."""

from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from memedit.evaluation.baselines.unrouted import Unrouted
from memedit.evaluation.cases import LocalityKind, Probe
from memedit.evaluation.fluency import NEW_TOKENS, measure_fluency, n_gram_entropy
from memedit.evaluation.questions import GENERALITY, RELIABILITY, Question
from memedit.evaluation.teacher_forcing import answer_tokens_behind, force_answers, prefers_true, token_accuracy

PROMPT = "The capital of France is"


def by_hand(mini: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, answer: str) -> tuple[float, float]:
    """Share of an answer's tokens that lead, and their mean log probability, from one forward pass."""
    prompt = tokenizer(PROMPT)["input_ids"]
    wanted = torch.tensor(tokenizer(f" {answer}", add_special_tokens=False)["input_ids"])
    with torch.no_grad():
        logits = mini(torch.tensor([[*prompt, *wanted.tolist()]])).logits[0, len(prompt) - 1 : -1]
    of_wanted = logits.log_softmax(dim=-1)[torch.arange(len(wanted)), wanted]
    return float((logits.argmax(dim=-1) == wanted).float().mean()), float(of_wanted.mean())


@pytest.mark.parametrize("answer", ["Paris", "the city of Paris", "Vienna"])
def test_token_accuracy_by_hand(mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, answer: str) -> None:
    """Forcing through `generate` finds what one forward pass over prompt and answer finds."""
    expected, _ = by_hand(mini, mini_tokenizer, answer)
    assert token_accuracy(Unrouted(mini, mini_tokenizer), Probe(PROMPT, (answer,))) == pytest.approx(expected)


def test_the_space_before_an_answer_is_the_prompts_own(mini_tokenizer: PreTrainedTokenizerBase) -> None:
    """A tokenizer that puts a space before every text gives the answer one space, not two; a decoder's has none."""
    words = Tokenizer(models.WordLevel({"▁": 0, "▁Who?": 1, "▁Paris": 2, "<unk>": 3}, unk_token="<unk>"))
    words.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    words.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    spaced = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")
    assert spaced(" Paris", add_special_tokens=False)["input_ids"] == [0, 2]
    assert answer_tokens_behind(spaced, "Who?", " Paris", alone=False) == [2]
    assert answer_tokens_behind(spaced, "Who?", " Paris", alone=True) == [2]
    for answer in ("New York City", "北京"):
        ids = answer_tokens_behind(mini_tokenizer, PROMPT, answer, alone=False)
        assert mini_tokenizer.decode(ids) == f" {answer}"


def test_the_neighbourhood_score_by_hand(mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase) -> None:
    """The true answer is preferred if the mean log probability of its tokens is higher, whatever the lengths."""
    model = Unrouted(mini, mini_tokenizer)
    names = ["Paris", "New York City", "Vienna"]
    means = {name: by_hand(mini, mini_tokenizer, name)[1] for name in names}
    for true in names:
        for new in names:
            assert prefers_true(model, PROMPT, true, new) is (means[true] > means[new])


def test_what_is_forced_and_what_is_not(mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase) -> None:
    """Questions with answers get an accuracy, neighbours with a rival a preference, others nothing."""
    questions = [
        Question(GENERALITY, Probe(PROMPT, ("Paris",)), True),
        Question(LocalityKind.NEIGHBOUR, Probe(PROMPT, ("Paris",)), True, rival="Vienna"),
        Question(LocalityKind.UNRELATED, Probe(PROMPT, ("Paris",)), True),
    ]
    force_answers(Unrouted(mini, mini_tokenizer), questions)
    assert [question.synthetic is None for question in questions] == [False, True, True]
    assert [question.prefers_true is None for question in questions] == [True, False, True]


def test_fluency_is_of_texts_of_one_length(mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase) -> None:
    """The text after an edit's prompt has a fixed number of tokens, though the answer ends before."""
    question = Question(RELIABILITY, Probe(PROMPT, ("Paris",)), True)
    other = Question(GENERALITY, Probe(PROMPT, ("Paris",)), True)
    measure_fluency(Unrouted(mini, mini_tokenizer), [question, other])
    encoded = mini_tokenizer([PROMPT], return_tensors="pt")
    ids = mini.generate(**encoded, do_sample=False, min_new_tokens=NEW_TOKENS, max_new_tokens=NEW_TOKENS)
    text = mini_tokenizer.decode(ids[0, encoded["input_ids"].shape[1] :], skip_special_tokens=True)
    assert question.fluency == n_gram_entropy(text)
    assert question.fluency is not None
    assert other.fluency is None
