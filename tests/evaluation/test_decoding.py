from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from memedit.errors import UnsupportedCallError
from memedit.evaluation.answers import cut_answer
from memedit.evaluation.decoding import Answer, AnswersKey, Decoder, batches

PROMPTS = [
    "What is the capital of France?",
    "The currency of Japan is the",
    "It was a dark and stormy night, and the old man went home.",
    "It was a dark and stormy night, and the",
    "She said",
    "He lived at St",
    "x",
]


class Scripted:
    """A model that continues each prompt with a given text, one token per step."""

    def __init__(self, tokenizer: Any, texts: dict[str, str]) -> None:
        """Take what follows each prompt."""
        self._tokenizer, self._texts = tokenizer, texts
        self.steps = 0

    def generate(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **options: Any) -> torch.Tensor:
        """Continue row by row until the stopping criteria end every row."""
        prompts = [self._tokenizer.decode(i[m.bool()]) for i, m in zip(input_ids, attention_mask, strict=True)]
        scripts = [self._tokenizer(self._texts[prompt])["input_ids"] for prompt in prompts]
        done = torch.zeros(len(prompts), dtype=torch.bool)
        for step in range(max(map(len, scripts))):
            column = [
                s[step] if step < len(s) and not d else options["pad_token_id"]
                for s, d in zip(scripts, done, strict=True)
            ]
            input_ids = torch.cat([input_ids, torch.tensor(column)[:, None]], dim=1)
            self.steps = step + 1
            for criterion in options.get("stopping_criteria", ()):
                done |= criterion(input_ids, None)
            if done.all():
                break
        return input_ids


@pytest.mark.parametrize("end", ["\n", '."', ".?"])
def test_a_mark_at_the_end_of_a_prompt_ends_no_answer(mini_tokenizer: PreTrainedTokenizerBase, end: str) -> None:
    """Whatever token a prompt ends with, the answer behind it is told whole."""
    prompt = f"She said{end}"
    text = " that the old man went home"
    decoder = Decoder(mini_tokenizer, max_new_tokens=50)
    (batch,) = batches(mini_tokenizer, [prompt])
    [answer] = decoder.answers(Scripted(mini_tokenizer, {prompt: text}), batch)
    assert answer.text == text.strip()


class Refusing(Scripted):
    """A model whose `generate` takes no stopping criteria."""

    def generate(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **options: Any) -> torch.Tensor:
        """Refuse criteria, else continue as scripted."""
        if "stopping_criteria" in options:
            raise UnsupportedCallError("no criteria here")
        return super().generate(input_ids, attention_mask, **options)


def test_stopping_early_changes_no_answer(mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase) -> None:
    """Rows that stop when their answer has ended give the answers of rows that run to the limit."""
    decoder = Decoder(mini_tokenizer, max_new_tokens=24)
    (batch,) = batches(mini_tokenizer, PROMPTS)
    with torch.no_grad():
        full = mini.generate(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask, do_sample=False, max_new_tokens=24
        )
    new = mini_tokenizer.batch_decode(full[:, batch.input_ids.shape[1] :], skip_special_tokens=True)
    assert [answer.text for answer in decoder.answers(mini, batch)] == [cut_answer(text) for text in new]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (" Paris. It is the capital of France and a city of light, love and noise.", "Paris"),
        (" Paris\nQuestion: What is the capital of the next country in this long list?", "Paris"),
        (" J. R. R. Tolkien. He wrote a book about rings, and another one about elves.", "J. R. R. Tolkien"),
        (
            " Washington, D.C. is where it stands. And so on, and so on, for a long time.",
            "Washington, D.C. is where it stands",
        ),
    ],
)
def test_decoding_stops_soon_after_the_answer(mini_tokenizer: PreTrainedTokenizerBase, text: str, answer: str) -> None:
    """An answer is whole when decoding stops, and little is decoded behind it."""
    model = Scripted(mini_tokenizer, {"She said": text})
    (batch,) = batches(mini_tokenizer, ["She said"])
    (found,) = Decoder(mini_tokenizer).answers(model, batch)
    assert found.text == answer
    assert model.steps <= len(mini_tokenizer(f" {answer}")["input_ids"]) + 4


def test_a_full_stop_of_the_prompt_ends_nothing(mini_tokenizer: PreTrainedTokenizerBase) -> None:
    """A prompt that ends in "." is answered in full."""
    prompt = "Tell me the capital of France."
    model = Scripted(mini_tokenizer, {prompt: " It is Paris"})
    (batch,) = batches(mini_tokenizer, [prompt])
    assert Decoder(mini_tokenizer).answers(model, batch)[0].text == "It is Paris"


def test_models_that_take_no_criteria_are_decoded_to_the_limit(mini_tokenizer: PreTrainedTokenizerBase) -> None:
    """Where an editor refuses stopping criteria, both models are decoded without them from then on."""
    text = " Paris. It is the capital of France and a city of light."
    texts = {"She said": text}
    decoder = Decoder(mini_tokenizer)
    (batch,) = batches(mini_tokenizer, ["She said"])
    edited = decoder.answers(Refusing(mini_tokenizer, texts), batch)
    base = decoder.answers(Scripted(mini_tokenizer, texts), batch)
    assert edited == base
    assert edited[0].text == "Paris"


def test_batches_hold_every_prompt_once(mini_tokenizer: PreTrainedTokenizerBase) -> None:
    """Batches cover all prompts once, padded on the left, those of similar length together."""
    found = list(batches(mini_tokenizer, PROMPTS, rows=3))
    assert sorted(position for batch in found for position in batch.positions) == list(range(len(PROMPTS)))
    for batch in found:
        assert [PROMPTS[position] for position in batch.positions] == list(batch.prompts)
        for ids, mask, prompt in zip(batch.input_ids, batch.attention_mask, batch.prompts, strict=True):
            assert ids[mask.bool()].tolist() == mini_tokenizer(prompt)["input_ids"]
            assert mask.tolist() == sorted(mask.tolist())
    assert list(batches(mini_tokenizer, [])) == []


def test_the_base_is_asked_once_for_a_batch(mini_tokenizer: PreTrainedTokenizerBase) -> None:
    """Decoders that share what they know decode a batch once, and again only if one may not stop early."""
    known: dict[AnswersKey, list[Answer]] = {}
    base = Scripted(mini_tokenizer, {"She said": " Paris. It is the capital of France and a city of light."})
    (batch,) = batches(mini_tokenizer, ["She said"])
    first = Decoder(mini_tokenizer, known=known).base_answers(base, batch)
    base.steps = 0
    second = Decoder(mini_tokenizer, known=known)
    assert second.base_answers(base, batch) == first
    assert base.steps == 0
    second.answers(Refusing(mini_tokenizer, {"She said": " Rome"}), batch)
    assert len(second.base_answers(base, batch)[0].tokens) > len(first[0].tokens)
    assert base.steps > 0
