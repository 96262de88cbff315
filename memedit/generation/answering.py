"""Answer the rows of one request, each by whom its route says, and merge the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase
from transformers.generation import (
    GenerateBeamDecoderOnlyOutput,
    GenerateBeamEncoderDecoderOutput,
    GenerateDecoderOnlyOutput,
    GenerateEncoderDecoderOutput,
)
from transformers.utils import ModelOutput

from memedit.editors.base import Editor, FusingEditor, Rows
from memedit.editors.literal import LiteralEditor
from memedit.editors.options import beams_of, pad_id_of
from memedit.editors.sequences import by_row, pad_right
from memedit.edits import Edit, EditKind
from memedit.errors import UnsupportedCallError
from memedit.generation.request import Request
from memedit.scope.router import Route

Isolation = Literal["exact", "split", "fused"]

_OUTPUTS: dict[tuple[bool, bool], type[Any]] = {
    (False, False): GenerateDecoderOnlyOutput,
    (False, True): GenerateBeamDecoderOnlyOutput,
    (True, False): GenerateEncoderDecoderOutput,
    (True, True): GenerateBeamEncoderDecoderOutput,
}
"""By whether there is an encoder, and whether there are beams."""


def answered(
    request: Request,
    routes: Sequence[Route],
    editor: Editor,
    tokenizer: PreTrainedTokenizerBase | None,
    isolation: Isolation,
) -> Any:
    """Answer a request in which at least one row is in scope.

    Args:
        request: What was asked.
        routes: One for each row.
        editor: Answers the rows in scope, other than refusals.
        tokenizer: The base's tokenizer; refusals need it.
        isolation: What out-of-scope rows are promised, see `EditedModel`.

    Returns:
        Sequences, int64, shape (n * num_return_sequences, longest), right-padded, or an output
        object that holds them.

    Raises:
        UnsupportedCallError: The call has no right answer for a row in scope.
    """
    request.refuse_what_cannot_be_edited()
    plan = _Plan.of(request, routes, editor, isolation)
    if plan.passes > 1 and "streamer" in request.given:
        raise UnsupportedCallError(
            "a streamer hears one pass of decoding, and the rows of this batch are answered in "
            f"{plan.passes}; stream one row at a time"
        )
    answers: dict[int, list[Tensor]] = {}
    if plan.others:
        # First: what keeps a state from token to token, as some processors of logits do, is as the base would find it.
        answers |= _by_the_base(request, plan.others, whole=isolation == "exact")
    # What edits draw is not to be missing from the base's random numbers.
    with torch.random.fork_rng(_cuda_devices(request) if plan.others else [], enabled=bool(plan.others)):
        if plan.erased:
            if tokenizer is None:
                raise UnsupportedCallError("an edit of kind erase needs a tokenizer to write its refusal")
            answers |= _edited(LiteralEditor(request.base, tokenizer), request, routes, plan.erased)
        if plan.edited:
            answers |= _edited(editor, request, routes, plan.edited)
    if plan.fused and isinstance(editor, FusingEditor):
        answers |= _fused(editor, request, routes, plan.fused)
    pad_id = pad_id_of(request.base, tokenizer, request.given)
    merged = pad_right([sequence for row in sorted(answers) for sequence in answers[row]], pad_id)
    if not request.wants_object:
        return merged
    return _OUTPUTS[request.has_encoder, beams_of(request.base, request.given) > 1](sequences=merged)


@dataclass(frozen=True)
class _Plan:
    """Row numbers by who answers them: a refusal, the editor, editor and base together, the base."""

    erased: list[int]
    edited: list[int]
    fused: list[int]
    others: list[int]

    @classmethod
    def of(cls, request: Request, routes: Sequence[Route], editor: Editor, isolation: Isolation) -> _Plan:
        edits = [route.edit for route in routes]
        erased = [row for row, edit in enumerate(edits) if edit is not None and edit.kind is EditKind.ERASE]
        edited = [row for row, edit in enumerate(edits) if edit is not None and row not in erased]
        others = [row for row, edit in enumerate(edits) if edit is None]
        fused = sorted(edited + others)
        together = (
            isolation == "fused"
            and bool(edited and others)
            and request.embeds is None
            and not {"past_key_values", "position_ids"} & request.given.keys()
            and isinstance(editor, FusingEditor)
            and editor.fuses(request.mask.shape[1], [edits[row] for row in fused], request.options)
        )
        return cls(erased, [], fused, []) if together else cls(erased, edited, [], others)

    @property
    def passes(self) -> int:
        return sum(map(bool, (self.erased, self.edited, self.fused, self.others)))


def _edited(editor: Editor, request: Request, routes: Sequence[Route], rows: list[int]) -> dict[int, list[Tensor]]:
    ids, embeds, decoder_ids = request.ids, request.embeds, request.decoder_ids
    batch = Rows(
        # Without ids, what the base returns begins with the answer.
        request.mask.new_empty((len(rows), 0)) if ids is None else ids[rows],
        request.mask[rows],
        tuple(routes[row].query for row in rows),
        tuple(_edit(routes[row]) for row in rows),
        None if embeds is None else embeds[rows],
        None if decoder_ids is None else decoder_ids[rows],
    )
    return by_row(editor.answer(batch, request.options_of(rows)), rows)


def _fused(editor: FusingEditor, request: Request, routes: Sequence[Route], rows: list[int]) -> dict[int, list[Tensor]]:
    assert request.ids is not None, "embeddings do not share a pass"
    edits = [routes[row].edit for row in rows]
    output = editor.answer_fused(request.ids[rows], request.mask[rows], edits, request.options_of(rows))
    return by_row(output, rows)


def _by_the_base(request: Request, rows: list[int], *, whole: bool) -> dict[int, list[Tensor]]:
    # A cache of the caller's cannot be cut into rows, and is to hold the whole batch afterwards.
    if whole or "past_key_values" in request.given or "encoder_outputs" in request.given:
        output = request.verbatim()
        parts = by_row(output.sequences if isinstance(output, ModelOutput) else output, list(range(request.count)))
        return {row: parts[row] for row in rows}
    given = {"input_ids": request.ids, "inputs_embeds": request.embeds, "attention_mask": request.mask}
    inputs = {name: value[rows] for name, value in given.items() if value is not None}
    if (positions := request.given.get("position_ids")) is not None:
        inputs["position_ids"] = positions[rows] if len(positions) == request.count else positions
    return by_row(request.base.generate(**inputs, **request.options_of(rows)), rows)


def _cuda_devices(request: Request) -> list[torch.device]:
    # Of a base that is offloaded altogether only the prompt is on a device; there tokens are drawn.
    devices = {request.mask.device, *(parameter.device for parameter in request.base.parameters())}
    return sorted((device for device in devices if device.type == "cuda"), key=str)


def _edit(route: Route) -> Edit:
    assert route.edit is not None, "only routes in scope are answered by an edit"
    return route.edit
