"""Several editors beside one base, and the names by which edits ask for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TextIteratorStreamer, pipeline

from memedit import EditMemory, ScopeClassifier, SentenceEncoder, wrap
from memedit.editors.choice import EditorChoice
from memedit.editors.counterfactual import CounterfactualConfig, CounterfactualEditor
from memedit.editors.literal import LiteralEditor
from memedit.editors.methods import NAMED, choose, save_editors
from memedit.editors.tpatcher import PatcherConfig, PatcherEditor
from memedit.errors import CheckpointError, InvalidEditError, UnsupportedCallError, UnsupportedModelError
from tests.editors.cases import EDITS, QUERIES, rows_of
from tests.generation.tiny import llama
from tests.hooks import hooks_of_memedit

GREEDY = {"max_new_tokens": 6, "do_sample": False}
NAMES = (None, "literal", "told")
"""Which editor each of `EDITS` names."""
NAMED_EDITS = tuple(replace(edit, editor=name) for edit, name in zip(EDITS, NAMES, strict=True))


@pytest.fixture(scope="module")
def base() -> PreTrainedModel:
    """A tiny random model."""
    return llama()


@pytest.fixture
def editors(base: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Three editors whose answers differ."""
    told = CounterfactualConfig(placement="kv_prefix", template="It is said: {prompt} {target}!\n")
    return {
        "prefix": CounterfactualEditor(base, mini_tokenizer, CounterfactualConfig(placement="kv_prefix")),
        "told": CounterfactualEditor(base, mini_tokenizer, told),
        "literal": LiteralEditor(base, mini_tokenizer),
    }


@pytest.fixture
def choice(base: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, editors: dict[str, Any]) -> EditorChoice:
    """All of them, the first as the default."""
    return EditorChoice(base, mini_tokenizer, "prefix", editors)


@pytest.mark.parametrize(
    "options", [GREEDY, {**GREEDY, "num_beams": 2, "num_return_sequences": 2}, {**GREEDY, "pad_token_id": 77}]
)
def test_each_row_is_answered_by_the_editor_it_names(
    choice: EditorChoice, editors: dict[str, Any], mini_tokenizer: PreTrainedTokenizerBase, options: dict[str, Any]
) -> None:
    """A batch of three editors gives, row by row and in order, what each gives alone."""
    rows = rows_of(mini_tokenizer, [*QUERIES, QUERIES[0]], [*NAMED_EDITS, NAMED_EDITS[1]])
    together = choice.answer(rows, options)
    returns = options.get("num_return_sequences", 1)
    assert len(together) == 4 * returns
    for number, edit in enumerate(rows.edits):
        alone = editors[edit.editor or "prefix"].answer(rows.chosen([number]), options)
        given = together[number * returns : (number + 1) * returns]
        assert torch.equal(given[:, : alone.shape[1]], alone)
        assert (given[:, alone.shape[1] :] == options.get("pad_token_id", mini_tokenizer.pad_token_id)).all()


def test_values_for_each_row_follow_their_rows(choice: EditorChoice, mini_tokenizer: PreTrainedTokenizerBase) -> None:
    """A function of row numbers is told the caller's, whichever editor decodes the row."""
    rows = rows_of(mini_tokenizer, QUERIES, [EDITS[0], NAMED_EDITS[2], EDITS[2]])
    allowed = {**GREEDY, "prefix_allowed_tokens_fn": lambda row, _: [100 + row]}
    new = choice.answer(rows, allowed)[:, rows.input_ids.shape[1] :]
    assert [set(row.tolist()) for row in new] == [{100}, {101}, {102}]


def test_an_unknown_name_is_refused_with_those_that_are_known(
    choice: EditorChoice, mini_tokenizer: PreTrainedTokenizerBase
) -> None:
    """The error names the edit, the editor it asks for, and what there is."""
    rows = rows_of(mini_tokenizer, QUERIES[:1], [replace(EDITS[0], editor="wizard")])
    with pytest.raises(UnsupportedCallError, match=r"edit 'a' names the editor 'wizard'.*prefix, told, literal"):
        choice.answer(rows, GREEDY)


def test_a_streamer_hears_one_editor(choice: EditorChoice, mini_tokenizer: PreTrainedTokenizerBase) -> None:
    """One row is streamed by its editor; rows of several are refused before anything is heard."""
    streamer = TextIteratorStreamer(mini_tokenizer, skip_prompt=True, skip_special_tokens=True)
    choice.answer(rows_of(mini_tokenizer, QUERIES[1:2], NAMED_EDITS[1:2]), {**GREEDY, "streamer": streamer})
    assert "".join(streamer).strip() == "Sheffield"
    with pytest.raises(UnsupportedCallError, match="prefix, literal, told"):
        choice.answer(rows_of(mini_tokenizer, QUERIES, NAMED_EDITS), {**GREEDY, "streamer": streamer})


def test_rows_share_a_pass_where_one_editor_that_can_answers_them(
    choice: EditorChoice, base: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase
) -> None:
    """Fused rows are those of one fusing editor; its answer is passed on."""
    rows = rows_of(mini_tokenizer)
    length = rows.input_ids.shape[1]
    assert choice.fuses(length, [EDITS[0], None, EDITS[2]], GREEDY)
    assert not choice.fuses(length, [EDITS[0], None, NAMED_EDITS[2]], GREEDY)
    assert not choice.fuses(length, [NAMED_EDITS[1], None, None], GREEDY)
    edits = [NAMED_EDITS[2], None, None]
    given = choice.answer_fused(rows.input_ids, rows.attention_mask, edits, GREEDY)
    assert torch.equal(given, choice["told"].answer_fused(rows.input_ids, rows.attention_mask, edits, GREEDY))


def test_an_editor_is_made_when_it_is_first_named(
    base: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, editors: dict[str, Any]
) -> None:
    """What nobody asks for is never made; what is asked for is made once."""
    calls = []

    def make() -> Any:
        calls.append(1)
        return editors["told"]

    choice = EditorChoice(base, mini_tokenizer, "prefix", {"prefix": editors["prefix"]}, {"told": make})
    choice.answer(rows_of(mini_tokenizer), GREEDY)
    assert (calls, choice.names, list(choice.made)) == ([], ["prefix", "told"], ["prefix"])
    for _ in range(2):
        choice.answer(rows_of(mini_tokenizer, QUERIES[2:], NAMED_EDITS[2:]), GREEDY)
    assert (calls, list(choice.made)) == ([1], ["prefix", "told"])


@pytest.mark.parametrize(
    ("default", "name", "error"), [("prefix", "other", ValueError), ("My Editor", "My Editor", InvalidEditError)]
)
def test_names_are_checked(
    base: PreTrainedModel, editors: dict[str, Any], default: str, name: str, error: type[Exception]
) -> None:
    """The default must be there, and every name must be one that an edit can give."""
    with pytest.raises(error, match="must be"):
        EditorChoice(base, None, default, {name: editors["prefix"]})


def test_editors_are_chosen_by_name_folder_and_object(
    base: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, editors: dict[str, Any], tmp_path: Path
) -> None:
    """Whatever form they are given in, the first is the default and the well-known names stay known."""
    CounterfactualConfig(placement="prompt").save(tmp_path)
    given = [
        (None, "base", ["base"]),
        ("base", "base", ["base"]),
        (["base"], "base", ["base"]),
        (tmp_path, "base", ["base"]),
        (str(tmp_path), "base", ["base"]),
        (editors["told"], "base", ["base"]),
        (editors["literal"], "own", ["own"]),
        ({"mine": tmp_path, "second": "base", "third": editors["literal"]}, "mine", ["mine", "second", "third"]),
    ]
    for form, default, made in given:
        choice = choose(form, base, mini_tokenizer)
        assert (choice.default, list(choice.made)) == (default, made)
        assert set(choice.names) == {*made, *NAMED}
    assert choose(choice, base, None) is choice


def test_what_cannot_be_chosen_is_refused(
    base: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """Each wrong choice gets its own sentence, and leaves no hook in the base."""
    wrong: list[tuple[Any, type[Exception], str]] = [
        ("counterfactual", CheckpointError, "was made for the base"),
        (["base", "counterfactual"], CheckpointError, "was made for the base"),
        (tmp_path / "none", CheckpointError, r"one of the editors base, .*counterfactual\.json"),
        (["base", "base"], ValueError, "two editors are named 'base'"),
        ([], ValueError, "at least one editor"),
        ({"A": "base"}, InvalidEditError, "editor must be a name"),
    ]
    for given, error, message in wrong:
        with pytest.raises(error, match=message):
            choose(given, base, mini_tokenizer)
    with pytest.raises(UnsupportedModelError, match="tokenizer"):
        choose("base", base, None)
    assert hooks_of_memedit(base) == 0


def test_edits_are_learned_by_their_own_editors(
    base: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, editors: dict[str, Any], tmp_path: Path
) -> None:
    """Only edits of editors that store are learned, each by its own, and what is forgotten is to be learned again."""
    config = PatcherConfig(wordings=False, steps=1)
    patchers = {name: PatcherEditor(base, mini_tokenizer, config) for name in ("first", "second")}
    choice = EditorChoice(base, mini_tokenizer, "prefix", {**editors, **patchers})
    first, second, third = (
        replace(edit, editor=name) for edit, name in zip(EDITS, ("first", "second", "first"), strict=True)
    )
    read = replace(EDITS[0], id="d")
    assert choice.missing([first, second, third, read]) == [first, third, second]
    assert {name: fit.edit_ids for name, fit in choice.fit([first, second, read]).items()} == {
        "first": ("a",),
        "second": ("b",),
    }
    assert choice.missing([first, second, third, read]) == [third]
    choice.prune(["b"])
    assert choice.missing([first, second]) == [first]
    save_editors(EditorChoice(base, mini_tokenizer, "first", patchers), tmp_path / "saved")
    choice.detach()
    assert hooks_of_memedit(base) == 0
    again = choose(tmp_path / "saved", base, mini_tokenizer)
    assert again.missing([first, second]) == [first]
    again.detach()


def test_a_saved_choice_is_chosen_again(
    base: PreTrainedModel, mini_tokenizer: PreTrainedTokenizerBase, editors: dict[str, Any], tmp_path: Path
) -> None:
    """The folder restores names, default and settings; an editor of a foreign class is refused by name."""
    del editors["literal"]
    told = save_editors(EditorChoice(base, mini_tokenizer, "told", editors), tmp_path / "saved")
    assert told["default"] == "told"
    again = choose(tmp_path / "saved", base, mini_tokenizer)
    assert (again.default, sorted(again.made)) == ("told", ["prefix", "told"])
    rows = rows_of(mini_tokenizer)
    assert torch.equal(again.answer(rows, GREEDY), editors["told"].answer(rows, GREEDY))
    with pytest.raises(CheckpointError, match="'own' of class LiteralEditor"):
        save_editors(choose(LiteralEditor(base, mini_tokenizer), base, mini_tokenizer), tmp_path / "own")
    (tmp_path / "saved" / "choice.json").write_text('{"default": "../told", "editors": []}')
    with pytest.raises(CheckpointError, match=r"choice\.json does not hold"):
        choose(tmp_path / "saved", base, mini_tokenizer)


@pytest.mark.parametrize("name", ["grace", "tpatcher"])
def test_a_pipeline_answers_edits_by_the_editor_they_name(
    mini: PreTrainedModel,
    mini_tokenizer: PreTrainedTokenizerBase,
    encoder: SentenceEncoder,
    classifier: ScopeClassifier,
    name: str,
) -> None:
    """An editor that stores edits is made when an edit names it, learns it, answers in a batch, and goes again."""
    plain = pipeline("text-generation", model=mini, tokenizer=mini_tokenizer)
    texts = ["Who is the head of Acme?", "Who founded Acme?", "What is the capital of Norway?"]
    options = {"max_new_tokens": 8, "do_sample": False, "return_full_text": False, "batch_size": 3}
    before = plain(texts, **options)
    pipe = wrap(plain, memory=EditMemory(None, encoder), scope=classifier)
    pipe.edits.add("Who runs Acme?", "Dana Reyes", editor=name, aliases=texts[:1])
    pipe.edits.add("Who founded Acme?", "Ann Lee", editor="base")
    assert name not in pipe.model.editor.made
    after = pipe(texts, **options)
    assert after[0][0]["generated_text"].strip() == "Dana Reyes"
    assert after[1][0]["generated_text"].strip().startswith("Ann Lee")
    assert after[2] == before[2]
    assert pipe.model.editor.made.keys() >= {name, "base"}
    assert pipe.model.fit_edits() == {}
    pipe.model.unwrap()
    pipe.edits.close()
    assert hooks_of_memedit(mini) == 0
    assert plain(texts, **options) == before
