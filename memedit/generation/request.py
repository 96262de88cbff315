"""`Request`: the arguments of one `generate` call, in one form however they were given."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationMixin

from memedit.editors.options import options_of_rows, setting, with_settings
from memedit.errors import UnsupportedCallError

_INPUTS = ("input_ids", "inputs_embeds", "attention_mask", "encoder_outputs", "past_key_values", "position_ids")
"""What says what to read; everything else says how to decode."""


@dataclass(frozen=True)
class Request:
    """What the caller asked of `generate`.

    Attributes:
        base: The base model.
        call: Positional arguments as given.
        kwargs: Keyword arguments as given.
    """

    base: Any
    call: tuple[Any, ...]
    kwargs: dict[str, Any]

    def verbatim(self) -> Any:
        """What the base makes of the call exactly as it was given."""
        return self.base.generate(*self.call, **self.kwargs)

    @cached_property
    def given(self) -> dict[str, Any]:
        """All arguments by their names; without those that are None, unless that takes a setting of the base's back."""
        names = _names(self.base.generate) if self.call else []
        named = dict(zip(names, self.call, strict=False)) | self.kwargs
        settings = self.base.generation_config
        given = {name: value for name, value in named.items() if value is not None or hasattr(settings, name)}
        if "inputs" in given:
            # The base's own name for them; it refuses calls that give both.
            given["input_ids"] = given.pop("inputs")
        return given

    @property
    def has_encoder(self) -> bool:
        """Whether the base is an encoder-decoder model."""
        return bool(getattr(self.base.config, "is_encoder_decoder", False))

    @property
    def ids(self) -> Tensor | None:
        """Prompt ids (the encoder's, where there is one), int64, shape (n, length)."""
        return self.given.get("input_ids")

    @property
    def embeds(self) -> Tensor | None:
        """Embeddings the model reads in place of the ids, shape (n, length, size)."""
        return self.given.get("inputs_embeds")

    @property
    def count(self) -> int:
        """The number of rows; 0 if they are not known."""
        read = self.ids if self.ids is not None else self.embeds
        return 0 if read is None else len(read)

    @cached_property
    def mask(self) -> Tensor:
        """The mask given, or the one the base would assume; 1 for real tokens, int64, shape (n, length)."""
        if "attention_mask" in self.given:
            mask: Tensor = self.given["attention_mask"]
            return mask
        read = self.ids if self.embeds is None else self.embeds[..., 0]
        if read is None:
            raise UnsupportedCallError("expected input_ids or inputs_embeds, got neither")
        pad, ends = (setting(self.base, self.given, name) for name in ("pad_token_id", "eos_token_id"))
        ambiguous = pad is None or (ends is not None and bool((torch.as_tensor(ends) == pad).any()))
        # An encoder-decoder model reads its padding, if nobody tells it not to.
        if ambiguous or self.embeds is not None or self.has_encoder:
            return torch.ones(read.shape, dtype=torch.int64, device=read.device)
        return read.ne(pad).long()

    @cached_property
    def decoder_ids(self) -> Tensor | None:
        """What the decoder of an encoder-decoder model begins with, int64, shape (n, start); else None."""
        if not self.has_encoder:
            return None
        start = setting(self.base, self.options, "decoder_start_token_id")
        start = setting(self.base, self.options, "bos_token_id") if start is None else start
        first = torch.as_tensor(start, dtype=torch.int64, device=self.mask.device).reshape(-1, 1)
        first = first.expand(self.count, 1)
        own: Tensor | None = self.given.get("decoder_input_ids")
        if own is None:
            return first
        # As the base does: the start comes first unless the caller has put it there.
        return own if (own[:, 0] == first[:, 0]).any() else torch.cat([first, own], dim=1)

    @cached_property
    def options(self) -> dict[str, Any]:
        """All arguments that are not the model's input, for all rows; the output is to be a tensor."""
        options = {name: value for name, value in self.given.items() if name not in _INPUTS}
        return with_settings(options, return_dict_in_generate=False) if self.wants_object else options

    @property
    def wants_object(self) -> bool:
        """Whether the caller asked for an output object and not for a tensor."""
        return bool(setting(self.base, self.given, "return_dict_in_generate"))

    def options_of(self, rows: Sequence[int]) -> dict[str, Any]:
        """`options` for some rows: values that the caller gave for each row are those of these rows."""
        return options_of_rows(self.base, self.options, self.count, rows)

    def refuse_what_cannot_be_edited(self) -> None:
        """Refuse calls that have no right answer for a row in scope of an edit.

        Raises:
            UnsupportedCallError: Values of several contexts would have to be returned as one, or a
                part of the prompt lies in a cache only.
        """
        for name in ("output_scores", "output_logits", "output_attentions", "output_hidden_states"):
            if self.wants_object and setting(self.base, self.given, name):
                raise UnsupportedCallError(
                    f"{name} was asked for and a row is in scope of an edit: its values would come from "
                    "different contexts for different rows; ask without it, or ask for one row at a time from `base`"
                )
        read = self.ids if self.embeds is None else self.embeds
        if read is None:
            raise UnsupportedCallError("queries were given without input_ids; an edited row needs both")
        if self.mask.shape[1] != read.shape[1]:
            raise UnsupportedCallError(
                f"the attention mask has {self.mask.shape[1]} columns and the prompt {read.shape[1]}: a row is in "
                "scope of an edit and the rest of its prompt lies in past_key_values only; give all of its ids"
            )


def _names(generate: Callable[..., Any]) -> list[str]:
    """What the positional arguments of a base's `generate` are called."""
    parameters = inspect.signature(generate).parameters
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters.values()):
        # PEFT's models hand them on as they come.
        parameters = inspect.signature(GenerationMixin.generate).parameters
    return [name for name in parameters if name != "self"]
