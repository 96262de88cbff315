from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedModel, TextStreamer

from memedit.editors import FusingEditor, Rows
from memedit.editors.fingerprint import fingerprint
from memedit.editors.grace import GraceConfig, GraceEditor
from memedit.edits import Edit
from tests.conformance.families import DECODERS, END, PAD, base_of, tokenizer
from tests.hooks import hooks_of_memedit

EDITS = (
    Edit(id="a", prompt="stored Zembla word20", target="word7 word9 word11", subject="Zembla"),
    Edit(id="b", prompt="stored word21 word22 word23", target="word8"),
    Edit(id="c", prompt="stored word30", target="word12 word13 word14 word15", aliases=("word31 word32",)),
)
QUERIES = ("word40 word41 word20 Zembla", "word22 word23 word45 word46 word47", "word31")
GREEDY: dict[str, Any] = {"max_new_tokens": 9, "do_sample": False}


@pytest.fixture(params=("llama", "gpt2", "t5", "bart"))
def family(request: pytest.FixtureRequest) -> str:
    """A family's name."""
    return str(request.param)


@pytest.fixture
def base(family: str) -> Iterator[PreTrainedModel]:
    """Its model, which is to be afterwards what it was."""
    model: PreTrainedModel = base_of(family, held=True)
    before = fingerprint(model), [name for name, _ in model.named_modules()], torch.get_rng_state()
    yield model
    assert (fingerprint(model), [name for name, _ in model.named_modules()]) == before[:2]
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())
    assert hooks_of_memedit(model) == 0


@pytest.fixture
def editor(family: str, base: PreTrainedModel) -> Iterator[GraceEditor]:
    """An editor on the first of two blocks; behind an encoder, whose random text would disturb it, on the last."""
    made = GraceEditor(base, tokenizer(), GraceConfig(layer=0 if family in DECODERS else 1, steps=30))
    yield made
    made.detach()


def rows_of(family: str, edits: tuple[Edit, ...] = EDITS, side: str | None = None, queries: Any = QUERIES) -> Rows:
    """Queries that mean the edits."""
    side = side or ("left" if family in DECODERS else "right")
    queries = queries[: len(edits)]
    inputs = tokenizer()(list(queries), return_tensors="pt", padding=True, padding_side=side)
    start = base_of(family).generation_config.decoder_start_token_id
    begin = None if family in DECODERS else torch.full((len(edits), 1), start)
    return Rows(inputs["input_ids"], inputs["attention_mask"], queries, edits, decoder_ids=begin)


def said(rows: Rows, sequences: torch.Tensor) -> list[str]:
    """What was decoded behind each row's begin, up to the end."""
    returns = len(sequences) // len(rows)
    begins = rows.begin.repeat_interleave(returns, dim=0)
    assert torch.equal(sequences[:, : begins.shape[1]], begins)
    answers = []
    for row in sequences[:, begins.shape[1] :].tolist():
        assert END in row
        # Beams fill with the end where the pad's id is 0.
        assert set(row[row.index(END) + 1 :]) <= {PAD, END}
        answers.append(str(tokenizer().decode(row[: row.index(END)])))
    return answers


TARGETS = [edit.target for edit in EDITS]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_cache": False},
        {"cache_implementation": "static"},
        {"num_beams": 3},
        {"num_beams": 3, "num_return_sequences": 1, "use_cache": False},
        {"do_sample": True, "temperature": 0.2, "num_return_sequences": 2},
        {
            "logits_processor": LogitsProcessorList(
                [type("Same", (LogitsProcessor,), {"__call__": lambda s, i, x: x})()]
            )
        },
    ],
    ids=lambda options: "-".join(options) or "greedy",
)
def test_every_row_answers_with_its_edit_and_stops(family: str, editor: GraceEditor, options: dict[str, Any]) -> None:
    """Rows of one batch give their targets and the end, however they are decoded, in wordings of their own."""
    rows = rows_of(family)
    returns = options.get("num_return_sequences", 1)
    torch.manual_seed(3)
    answers = said(rows, editor.answer(rows, {**GREEDY, **options}))
    assert answers == [target for target in TARGETS for _ in range(returns)]


def test_padding_on_the_right_is_passed_over(family: str, editor: GraceEditor) -> None:
    """Rows padded on the right answer with their edits too."""
    assert said(rows_of(family), editor.answer(rows_of(family), GREEDY)) == TARGETS
    rows = rows_of(family, side="right")
    assert said(rows, editor.answer(rows, GREEDY)) == TARGETS


def test_a_streamer_hears_the_answer(family: str, editor: GraceEditor, capsys: pytest.CaptureFixture[str]) -> None:
    """One row can be streamed."""
    editor.answer(rows_of(family, EDITS[:1]), {**GREEDY, "streamer": TextStreamer(tokenizer(), skip_prompt=True)})
    assert TARGETS[0] in capsys.readouterr().out


def test_rows_without_an_edit_are_the_bases_own(family: str, editor: GraceEditor, base: PreTrainedModel) -> None:
    """In one pass with edited rows the others keep every token."""
    assert isinstance(editor, FusingEditor)
    rows = rows_of(family)
    assert editor.fuses(rows.input_ids.shape[1], [EDITS[0], None, EDITS[2]], GREEDY) == (family in DECODERS)
    if family in DECODERS:
        plain = base.generate(input_ids=rows.input_ids, attention_mask=rows.attention_mask, **GREEDY)
        given = editor.answer_fused(rows.input_ids, rows.attention_mask, [EDITS[0], None, EDITS[2]], GREEDY)
        assert torch.equal(given[1], plain[1, : given.shape[1]])
        picked = Rows(*(part[[0, 2]] for part in (rows.input_ids, rows.attention_mask)), QUERIES[::2], EDITS[::2])
        assert said(picked, given[[0, 2]]) == TARGETS[::2]


def test_fitting_and_answering_leave_the_base_as_it_was(
    family: str, editor: GraceEditor, base: PreTrainedModel
) -> None:
    """No random number is drawn, no gradient kept, and the base answers alone as before, then without hooks too."""
    inputs = {"input_ids": rows_of(family).input_ids, "attention_mask": rows_of(family).attention_mask}
    plain, state = (
        base(**inputs, decoder_input_ids=rows_of(family).decoder_ids).logits
        if family not in DECODERS
        else (base(**inputs).logits),
        torch.get_rng_state(),
    )
    with torch.inference_mode():
        editor.answer(rows_of(family), GREEDY)
    assert torch.equal(torch.get_rng_state(), state)
    for detach in (False, True):
        if detach:
            editor.detach()
        more = {} if family in DECODERS else {"decoder_input_ids": rows_of(family).decoder_ids}
        assert torch.equal(base(**inputs, **more).logits, plain)


def test_an_update_replaces_and_a_routed_state_keeps_its_answer(family: str, editor: GraceEditor) -> None:
    """A newer revision answers anew; a request that was routed before still has what it was routed to."""
    newer = replace(EDITS[0], target="word50 word51", revision=1)
    for edit in (EDITS[0], newer, EDITS[0], newer):
        rows = rows_of(family, (edit,))
        assert said(rows, editor.answer(rows, GREEDY)) == [edit.target]
    assert [entry.target for entry in editor.codebook] == [newer.target]
    assert editor.prune([]) == 1
    assert len(editor.codebook) == 0


def test_threads_answer_while_others_fit(family: str, editor: GraceEditor) -> None:
    """Every thread has its own edits' answers."""
    failures: list[str] = []

    def ask(edit: Edit) -> None:
        rows = rows_of(family, (edit,))
        for _ in range(3):
            answer = said(rows, editor.answer(rows, GREEDY))
            if answer != [edit.target]:
                failures.append(f"{answer} for {edit.target}")

    threads = [threading.Thread(target=ask, args=(edit,)) for edit in EDITS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_bfloat16_bases_are_edited_too(family: str) -> None:
    """Values are fitted in float32 through a base of another dtype, without changing it."""
    model = type(base_of(family))(base_of(family).config).eval()
    model.load_state_dict(base_of(family).state_dict())
    model.generation_config = base_of(family).generation_config
    model.to(torch.bfloat16)
    editor = GraceEditor(model, tokenizer(), GraceConfig(layer=1, steps=30))
    rows = rows_of(family)
    assert said(rows, editor.answer(rows, GREEDY)) == TARGETS
    assert all(entry.values.dtype == torch.float32 for entry in editor.codebook)
