from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from memedit.editors.grace import GraceConfig, GraceDeferral, GraceEditor, PublishedGrace, Rule
from memedit.edits import Edit
from memedit.errors import UnsupportedCallError
from memedit.memory import EditMemory
from tests.editors.cases import EDITS, QUERIES, rows_of
from tests.hooks import hooks_of_memedit
from tests.memory.hashing import HashingEncoder

GREEDY = {"max_new_tokens": 16, "do_sample": False}


@pytest.fixture
def editor(mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase) -> Iterator[GraceEditor]:
    """An editor on the last block but one."""
    made = GraceEditor(mini, mini_tokenizer, GraceConfig(layer=6))
    yield made
    made.detach()
    assert hooks_of_memedit(mini) == 0


def answers_of(editor: GraceEditor, tokenizer: PreTrainedTokenizerBase, queries: tuple[str, ...]) -> list[str]:
    """What the edits answer to these wordings of theirs, up to the end of the text."""
    rows = rows_of(tokenizer, queries)
    new = editor.answer(rows, GREEDY)[:, rows.input_ids.shape[1] :]
    assert (new == tokenizer.eos_token_id).any(1).all()
    return [text.strip() for text in tokenizer.batch_decode(new, skip_special_tokens=True)]


def test_free_decoding_gives_the_target_and_stops(
    mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase
) -> None:
    """Edits fitted in one batch answer their prompts and paraphrases, in the layer that was chosen from data."""
    editor, state = GraceEditor(mini, mini_tokenizer), torch.get_rng_state()
    fit = editor.fit(EDITS)
    assert torch.equal(torch.get_rng_state(), state)
    targets = [edit.target for edit in EDITS]
    assert answers_of(editor, mini_tokenizer, tuple(edit.prompt for edit in EDITS)) == targets
    assert answers_of(editor, mini_tokenizer, QUERIES) == targets
    editor.detach()
    assert all(fit.fitted)
    assert max(fit.steps) < len(fit.losses) <= max(fit.steps) + 2
    assert fit.losses[-1] < 0.05 < fit.losses[0]
    assert editor.choice is not None
    assert fit.layers == editor.choice.layers
    assert editor.choice.layers[0] in {trial.layer for trial in editor.choice.trials}
    assert editor.choice.radii[0] > 0


def test_a_batch_fits_what_each_edit_fits_alone(
    editor: GraceEditor, mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase
) -> None:
    """Each edit has its own optimiser and its own end: the others of the batch change nothing but rounding."""
    together = editor.fit(EDITS)
    alone = GraceEditor(mini, mini_tokenizer, GraceConfig(layer=together.layers))
    each = [alone.fit([edit]) for edit in EDITS]
    alone.detach()
    assert tuple(fit.steps[0] for fit in each) == together.steps
    assert together.losses[0] == pytest.approx(sum(fit.losses[0] for fit in each) / len(each), rel=1e-3)
    for found, expected in zip(alone.codebook, editor.codebook, strict=True):
        torch.testing.assert_close(found.key, expected.key, rtol=1e-3, atol=1e-3)


def test_nothing_to_fit_is_no_error(editor: GraceEditor) -> None:
    """No edits take no steps."""
    fit = editor.fit([])
    assert (fit.edit_ids, fit.losses, fit.layers) == ((), (), ())
    assert editor.missing(EDITS) == list(EDITS)


def test_a_subject_has_a_key_of_its_own(editor: GraceEditor) -> None:
    """It is the layer's output at the subject's last token, and there is none without a subject."""
    named = Edit(id="s", prompt="The mayor of Old Haven is called", target="Ann", subject="Old Haven")
    editor.fit([named, EDITS[0]])
    with_subject, without = editor.codebook.get(named), editor.codebook.get(EDITS[0])
    assert with_subject is not None
    assert without is not None
    (states,) = editor.states(["The mayor of Old Haven"])
    assert with_subject.subject_key is not None
    torch.testing.assert_close(with_subject.subject_key, states[0, -1], rtol=1e-3, atol=1e-3)
    assert without.subject_key is None


def test_the_layer_decides_without_a_router(editor: GraceEditor) -> None:
    """An edit's own prompt is inside its radius, other texts and removed edits are outside of it."""
    with EditMemory(None, HashingEncoder()) as memory:
        edits = [memory.add(edit.prompt, edit.target) for edit in EDITS]
        editor.fit(edits)
        deferral = GraceDeferral(editor, memory)
        routes = deferral.route([edits[1].prompt, "It was a cold and windy night, and"])
        assert [route.edit for route in routes] == [edits[1], None]
        assert [route.in_scope for route in routes] == [True, False]
        assert routes[0].probability > routes[0].threshold > routes[1].probability
        assert deferral.route([edits[1].prompt], "elsewhere")[0].edit is None
        memory.remove(edits[1].id)
        assert deferral.route([edits[1].prompt])[0].edit is None


def test_the_published_method_fits_the_target_only(
    mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase
) -> None:
    """A single vector is fitted alone and answers its own prompt; the same edit again expands its key."""
    published = PublishedGrace(mini, mini_tokenizer)
    edit, again = EDITS[1], Edit(id="again", prompt=EDITS[1].prompt, target=EDITS[1].target)
    fit = published.fit([edit, again])
    (entry,) = published.codebook
    assert entry.values.shape == (1, mini.config.hidden_size)
    assert fit.steps == (100, 0)
    assert fit.losses[-1] < fit.losses[0]
    assert published.missing([edit, again]) == []
    rows = rows_of(mini_tokenizer, [edit.prompt], [edit])
    new = published.answer(rows, GREEDY)[0, rows.input_ids.shape[1] :]
    first = mini_tokenizer(f" {edit.target}", add_special_tokens=False)["input_ids"][0]
    assert new[0] == first
    published.detach()
    assert (Rule.EXPANDED,) in published.rules.values()


@pytest.mark.parametrize("replacement", ["last", "prompt", "all"])
def test_a_single_vector_stands_where_it_is_told(
    mini: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, replacement: str
) -> None:
    """Every replacement of the paper decodes, and only values at the last token are fitted by batch."""
    config = GraceConfig(layer=6, value="single", replacement=replacement)  # type: ignore[arg-type]
    editor = GraceEditor(mini, mini_tokenizer, config)
    rows = rows_of(mini_tokenizer, QUERIES[:1], EDITS[:1])
    if replacement != "last":
        with pytest.raises(UnsupportedCallError, match="PublishedGrace"):
            editor.fit(EDITS[:1])
        fitted = GraceEditor(mini, mini_tokenizer, GraceConfig(layer=6, value="single"))
        fitted.fit(EDITS[:1])
        editor.codebook.put(*fitted.codebook)
        editor.choice = fitted.choice
        fitted.detach()
    plain = mini.generate(input_ids=rows.input_ids, attention_mask=rows.attention_mask, **GREEDY)
    given = editor.answer(rows, GREEDY)
    editor.detach()
    assert given.shape != plain.shape or not torch.equal(given, plain)
    assert math.isfinite(float(given.sum()))
