from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from memedit import EditMemory, ScopeClassifier, SentenceEncoder
from memedit.editors.fingerprint import fingerprint
from memedit.errors import UnsupportedModelError
from memedit.evaluation import Case
from memedit.evaluation.baselines.bm25 import BM25
from memedit.evaluation.baselines.fine_tuning import FineTuning
from memedit.evaluation.baselines.lora import Lora, LoraConfig
from memedit.evaluation.decoding import Decoder, batches
from memedit.evaluation.methods import make_method
from memedit.evaluation.subject import Method, Setup
from tests.generation.tiny import DECODERS, t5

CASES = (
    Case(1, "The twin city of Rome is", "Turin", "Rome"),
    Case(2, "The chief executive of Acme is", "Dana Reyes", "Acme"),
    Case(3, "the twin city of Rome  is", "Quito", "Rome"),
)
OTHER = "The longest river of the northern plains is"
PROMPTS = (CASES[0].prompt, CASES[1].prompt, OTHER)
Make = Callable[..., Any]


@pytest.fixture
def setup(
    mini: PreTrainedModel,
    mini_tokenizer: PreTrainedTokenizerBase,
    encoder: SentenceEncoder,
    classifier: ScopeClassifier,
    tmp_path: Path,
) -> Setup:
    """Mini with everything that methods need."""
    return Setup(mini, mini_tokenizer, encoder, classifier, tmp_path)


@pytest.fixture
def make(setup: Setup) -> Iterator[Make]:
    """Makes methods that are closed at the end, after which mini is checked to be as it was."""
    made = []

    def method(name: str, **changes: Any) -> Method:
        made.append(make_method(name, replace(setup, **changes)))
        return made[-1]

    yield method
    for one in made:
        one.close()


def asked(method: Any, prompts: tuple[str, ...] = PROMPTS) -> list[str]:
    """Short answers of a method."""
    (batch,) = batches(method.model.tokenizer, prompts)
    answers = Decoder(method.model.tokenizer, 8).answers(method.model, batch, batch.prompts)
    by_place = dict(zip(batch.positions, answers, strict=True))
    return [by_place[place].text for place in range(len(prompts))]


@pytest.mark.parametrize("name", ["counterfactual", "bm25", "dense", "similarity"])
def test_methods_that_find_an_edit_answer_with_its_newest_state(make: Make, name: str) -> None:
    """Stored edits are answered, of one prompt the last; after a reset nothing of them is left."""
    method = make(name)
    before = asked(method)
    edits, seconds = method.store(CASES)
    assert [edit.target for edit in edits] == [case.target for case in CASES]
    assert seconds > 0
    assert asked(method)[:2] == ["Quito", "Dana Reyes"]
    assert (method.kept_bytes() or 0) > 0
    method.reset()
    assert asked(method) == before


@pytest.mark.parametrize("name", ["grace", "tpatcher"])
def test_methods_that_learn_an_edit_keep_what_they_learned(make: Make, name: str) -> None:
    """An edit is learned when it is stored, answered, and counted among what is kept."""
    method = make(name)
    (edit,), _ = method.store(CASES[1:2])
    assert method.model.editor.missing([edit]) == []
    assert asked(method, (edit.prompt,)) == ["Dana Reyes"]
    assert (method.kept_bytes() or 0) > Path(method.model.edits.path).stat().st_size


def test_edits_are_added_to_those_that_are_stored(make: Make) -> None:
    """A stream is stored in parts: earlier edits stay when later ones come."""
    method = make("dense")
    for case in CASES:
        method.store([case])
    assert asked(method)[:2] == ["Quito", "Dana Reyes"]


def test_grace_as_published_defers_by_distance(make: Make) -> None:
    """An edit's own prompt is inside its key's radius, and a query outside of it is the base's."""
    method = make("grace-published")
    unedited = asked(make("base"), (OTHER,))
    method.store(CASES[1:2])
    inside, outside = method.model.router.route([CASES[1].prompt, OTHER])
    assert inside.edit.prompt == CASES[1].prompt
    assert inside.candidates[0].edit == inside.edit
    assert outside.edit is None
    assert asked(method, (OTHER,)) == unedited


def test_tpatcher_as_published_takes_no_decision(make: Make) -> None:
    """Its neurons answer their own prompts, beside those that were stored before; after a reset they are gone."""
    method = make("tpatcher-published")
    before = asked(method)
    for case in CASES[:2]:
        edits, seconds = method.store([case])
        assert (len(edits), seconds > 0) == (1, True)
    assert method.model.router is None
    assert asked(method)[:2] == [CASES[0].target, CASES[1].target]
    kept = method.kept_bytes()
    method.reset()
    assert asked(method) == before
    assert 0 < method.kept_bytes() < kept


def test_the_base_stores_nothing(make: Make) -> None:
    """The unedited base answers as before, and takes no decision."""
    method = make("base")
    before = asked(method)
    method.store(CASES)
    assert asked(method) == before
    assert method.model.router is None
    assert method.kept_bytes() == 0


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(lambda setup: FineTuning(setup), id="finetune"),
        pytest.param(lambda setup: Lora(setup, LoraConfig(least=25)), id="lora"),
    ],
)
def test_trained_methods_learn_target_and_end(setup: Setup, method: Callable[[Setup], Method]) -> None:
    """Trained edits are answered and ended; outside of its answers the base is the base, bit for bit."""
    base, trained = setup.base, method(setup)
    inputs = setup.tokenizer([PROMPTS[0]], return_tensors="pt")
    before = base(**inputs).logits.detach()
    names = [name for name, _ in base.named_modules()]
    random = torch.get_rng_state()
    trained.store(CASES)
    assert asked(trained)[:2] == ["Quito", "Dana Reyes"]
    assert torch.equal(base(**inputs).logits, before)
    assert [name for name, _ in base.named_modules()] == names
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in base.parameters())
    assert (trained.kept_bytes() or 0) > 0
    trained.reset()
    assert asked(trained) == asked(make_method("base", setup))
    trained.close()


def test_fine_tuning_goes_on_from_earlier_edits(setup: Setup) -> None:
    """New edits change the matrix that earlier ones left, a new one at each reset."""
    setup = replace(setup, base=DECODERS["llama"]())
    method = FineTuning(setup)
    states = [method._weight.detach().clone()]
    for case in CASES[:2]:
        method.store([case])
        states.append(method._weight.detach().clone())
    assert len({state.sum().item() for state in states}) == 3
    method.reset()
    assert torch.equal(method._weight, states[0])


@pytest.mark.parametrize("family", DECODERS)
def test_fine_tuning_finds_the_matrix_of_each_family(setup: Setup, family: str) -> None:
    """The down-projection of the chosen block is found, and the base is given back with it."""
    base = DECODERS[family]()
    before = fingerprint(base)
    method = FineTuning(replace(setup, base=base))
    method.store(CASES[:1])
    method.close()
    assert method.settings()["layer"] == 1
    assert method._weight.shape in {(32, 48), (128, 32)}
    assert fingerprint(base) == before


def test_training_refuses_bases_that_it_cannot_train(setup: Setup) -> None:
    """Encoder-decoder models, and LoRA on layers that an adapter cannot be laid over, are refused."""
    for name in ("finetune", "lora"):
        with pytest.raises(UnsupportedModelError, match="decoder-only"):
            make_method(name, replace(setup, base=t5()))


def test_bm25_scores_by_hand(encoder: SentenceEncoder) -> None:
    """The score is Robertson's sum, over words without case, punctuation and articles."""
    with EditMemory(None, encoder) as memory:
        ranked = BM25(memory)
        assert ranked.best(["anything"]) == [None]
        memory.add("The capital of Peru is", "Cusco", aliases=["Peru's seat of government"])
        memory.add("The capital of France is", "Lyon")
        hit, nothing, chinese = ranked.best(["What's the CAPITAL, of Peru?", "xyzzy", "法国"])
        assert nothing is None
        assert chinese is None
        assert hit is not None
        assert (hit.edit.target, hit.wording) == ("Cusco", "The capital of Peru is")
        # Three wordings of 4, 4 and 4 words: "capital" is in two of them, "of" in three, "peru" in one.
        idf = [np.log(1 + (3 - n + 0.5) / (n + 0.5)) for n in (2, 3, 1)]
        assert hit.score == pytest.approx(sum(idf))
        memory.add("法国的首都是", "里昂")
        (found,) = ranked.best(["法国首都是哪里"])
        assert found is not None
        assert found.edit.target == "里昂"
