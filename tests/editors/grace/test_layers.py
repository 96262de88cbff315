"""GRACE in several layers at once: a codebook for each, values that are learned together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from memedit.editors.grace import GraceConfig, GraceEditor, PublishedGrace, Rule, load_grace
from memedit.errors import CheckpointError, UnsupportedCallError
from tests.conformance.families import base_of, tokenizer
from tests.editors.grace.test_editor import EDITS, GREEDY, TARGETS, rows_of, said
from tests.hooks import hooks_of_memedit

BOTH = (0, 1)


@pytest.fixture(params=("llama", "gpt2", "t5"))
def family(request: pytest.FixtureRequest) -> str:
    """A family's name."""
    return str(request.param)


@pytest.fixture
def base(family: str) -> Iterator[PreTrainedModel]:
    """Its model, which nothing is left in."""
    model: PreTrainedModel = base_of(family, held=True)
    yield model
    assert hooks_of_memedit(model) == 0


def test_each_layer_has_a_codebook_that_is_saved_and_loaded(family: str, base: PreTrainedModel, tmp_path: Path) -> None:
    """Edits answer and stop; every layer has their keys as the plain base has them, and all of it comes back."""
    editor = GraceEditor(base, tokenizer(), GraceConfig(layer=(1, 0), steps=100, confidence=0.5))
    fit = editor.fit(EDITS)
    assert (fit.layers, all(fit.fitted)) == (BOTH, True)
    rows = rows_of(family)
    sequences = editor.answer(rows, GREEDY)
    assert said(rows, sequences) == TARGETS
    states = editor.states([edit.prompt for edit in EDITS])
    for place, book in enumerate(editor.codebooks):
        assert [(entry.edit_id, entry.layer) for entry in book] == [(edit.id, place) for edit in EDITS]
        for entry, state in zip(book, states, strict=True):
            torch.testing.assert_close(entry.key, state[place, -1])
    editor.save_pretrained(tmp_path)
    editor.detach()
    loaded = load_grace(tmp_path, base, tokenizer())
    assert isinstance(loaded, GraceEditor)
    assert loaded.choice == editor.choice
    assert loaded.missing(EDITS) == []
    assert torch.equal(loaded.answer(rows, GREEDY), sequences)
    assert (loaded.prune([]), loaded.missing(EDITS)) == (3, list(EDITS))
    loaded.detach()


def test_the_layers_are_learned_together(family: str, base: PreTrainedModel) -> None:
    """Single values of two layers both move away from the activations they begin as, and both stand in a row."""
    edit = EDITS[0]
    editor = GraceEditor(base, tokenizer(), GraceConfig(layer=BOTH, value="single", stop=False, wordings=False))
    fit = editor.fit([edit])
    assert fit.losses[-1] < fit.losses[0]
    rows = rows_of(family, (edit,), queries=(edit.prompt,))
    width = rows.begin.shape[1]
    together = editor.answer(rows, GREEDY)[0, width:]
    lower, upper = (book.of(edit.id) for book in editor.codebooks)
    for entry in (lower, upper):
        assert entry is not None
        assert not torch.allclose(entry.values[0], entry.key, atol=1e-2)
    editor.codebooks[0].fill(edit, torch.full_like(lower.values, torch.nan))  # type: ignore[union-attr]
    broken = editor.answer(rows, GREEDY)[0, width:]
    editor.detach()
    # The upper value gives the first token, whatever is below; what comes then looks back at the lower one.
    assert broken[0] == together[0]
    assert broken[1:].sum() == 0 < together[1:].sum()


def test_as_published_every_layer_places_an_edit_by_its_own_distances(family: str, base: PreTrainedModel) -> None:
    """An edit may share an entry in one layer and have its own in the other; both stand in its row."""
    editor = PublishedGrace(base, tokenizer(), layer=BOTH)
    first, second = EDITS[0], replace(EDITS[0], id="second", prompt=EDITS[1].prompt)
    states = editor.states([first.prompt, second.prompt])
    near, far = (float(torch.dist(states[0][place, -1], states[1][place, -1])) for place in BOTH)
    assert editor.choice is not None
    editor.choice = replace(editor.choice, radii=(near, far / 4))
    fit = editor.fit([first, second])
    assert editor.rules == {first: (Rule.NEW, Rule.NEW), second: (Rule.EXPANDED, Rule.NEW)}
    assert [len(book) for book in editor.codebooks] == [1, 2]
    assert editor.missing([first, second]) == []
    assert (fit.layers, fit.steps) == (BOTH, (100, 100))
    assert fit.losses[-1] < fit.losses[0]
    rows = rows_of(family, (second,), queries=(second.prompt,))
    new = editor.answer(rows, GREEDY)[0, rows.begin.shape[1] :]
    target = tokenizer()(second.target)["input_ids"]
    assert [pair[1] for pair in editor.nearest([first.prompt, second.prompt])] == pytest.approx([0, 0], abs=1e-2)
    editor.prune([second.id])
    assert [len(book) for book in editor.codebooks] == [0, 1]
    editor.answer(rows, GREEDY)
    editor.detach()
    assert int(new[0]) == target[0]


def test_values_that_are_only_placed_are_learned_when_they_are_meant(base: PreTrainedModel) -> None:
    """Placing learns nothing; in a batch the values are those that each edit has alone."""
    alone, batched = (
        PublishedGrace(base, tokenizer(), layer=0),
        PublishedGrace(base, tokenizer(), layer=0, batched=True),
    )
    batched.place(EDITS)
    assert batched.missing(EDITS) == list(EDITS)
    told, together = alone.fit(EDITS), batched.fit(EDITS)
    assert batched.missing(EDITS) == []
    assert (batched.rules, together.steps) == (alone.rules, told.steps)
    assert together.losses[:4] == pytest.approx(told.losses[:4], rel=1e-2)
    for editor in (alone, batched):
        editor.detach()


def test_layers_that_cannot_be_hooked_are_refused(base: PreTrainedModel) -> None:
    """A layer that is not there, and batches over several layers, are named in the error."""
    with pytest.raises(CheckpointError, match="layer must be between 0 and 1, got 2"):
        GraceEditor(base, tokenizer(), GraceConfig(layer=(0, 2)))
    with pytest.raises(UnsupportedCallError, match="of one layer"):
        PublishedGrace(base, tokenizer(), layer=BOTH, batched=True)
