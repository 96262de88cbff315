"""`EditedModel`: a frozen base, an edit memory and an editor behind one `generate()`."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase
from transformers.generation import GenerateDecoderOnlyOutput

from memedit.editors.base import Editor, Rows
from memedit.editors.literal import LiteralEditor
from memedit.editors.options import pad_id_of, setting
from memedit.editors.sequences import pad_right
from memedit.edits import DEFAULT_NAMESPACE, Edit, EditKind
from memedit.errors import UnsupportedCallError, UnsupportedModelError
from memedit.memory import EditMemory
from memedit.queries import check_queries, queries_of
from memedit.scope.router import Route, Router

logger = logging.getLogger(__name__)

Isolation = Literal["exact", "split"]


class EditedModel(nn.Module):
    """A drop-in for `base` whose `generate` answers in-scope queries by their edit.

    The base is held, not altered: weights, buffers, `requires_grad` and module tree stay the
    user's. Whatever this class does not define is the base's own.

    Args:
        base: A decoder-only model with `generate`.
        tokenizer: Its tokenizer; None if every call brings `queries`.
        memory: The edits.
        router: Decides for each query which edit is meant, if any.
        editor: Answers the rows that are in scope.
        isolation: What a batch with rows of both kinds promises to the out-of-scope ones. `exact`:
            the base runs the caller's batch verbatim, so that their tokens and the RNG state
            afterwards equal the base's. `split`: they run as a smaller batch; equal up to rounding.
        namespace: Only edits of this namespace are considered.

    Raises:
        UnsupportedModelError: `base` cannot generate, or is an encoder-decoder model.
    """

    def __init__(
        self,
        base: Any,
        tokenizer: PreTrainedTokenizerBase | None,
        memory: EditMemory,
        router: Router,
        editor: Editor,
        *,
        isolation: Isolation = "exact",
        namespace: str = DEFAULT_NAMESPACE,
    ) -> None:
        super().__init__()
        check_base(base)
        if isolation not in get_args(Isolation):
            raise ValueError(f"isolation must be one of {', '.join(get_args(Isolation))}, got {isolation!r}")
        self.base = base
        self.tokenizer = tokenizer
        self.edits = memory
        self.router = router
        self.editor = editor
        self.isolation = isolation
        self.namespace = namespace
        self.training = base.training

    def __getattr__(self, name: str) -> Any:
        """Delegate to the base whatever is not defined here."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "base":  # asked for before __init__ has set it
                raise
            return getattr(super().__getattr__("base"), name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The base's own forward pass: edits act on generated answers only."""
        return self.base(*args, **kwargs)

    def explain(self, query: str) -> Route:
        """Which edit would answer `query`, or why none does, with all scores."""
        return self.router.route([query], self.namespace)[0]

    def unwrap(self) -> Any:
        """Take the editor's hooks out of the base and return it."""
        self.editor.detach()
        return self.base

    @torch.no_grad()
    def generate(
        self,
        inputs: Tensor | None = None,
        *args: Any,
        queries: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Generate as the base does, answering in-scope rows by their edit.

        Args:
            inputs: Prompt ids, int64, shape (n, length); or give `input_ids` or `inputs_embeds`.
            *args: As for the base's `generate`.
            queries: The text to route each row by, n strings; None to read it from the ids.
            **kwargs: As for the base's `generate`.

        Returns:
            What the base returns. If no row is in scope it *is* the base's return value. Otherwise
            sequences, int64, shape (n * num_return_sequences, longest), right-padded, each
            beginning with the caller's own prompt ids; as `GenerateDecoderOnlyOutput` if asked for.

        Raises:
            UnsupportedCallError: A row is in scope and the call asks for scores, hidden states or
                the like, which have no meaning across two models.
        """
        call = (inputs, *args) if inputs is not None or args else ()
        ids = inputs if inputs is not None else kwargs.get("input_ids")
        routes = self._route(ids, kwargs, queries)
        chosen = [row for row, route in enumerate(routes) if route.in_scope]
        if ids is None or not chosen:
            return self.base.generate(*call, **kwargs)
        options = {**self._named(args), **kwargs}
        options.pop("input_ids", None)
        mask = options.pop("attention_mask", None)
        mask = self._mask(ids) if mask is None else mask
        as_output = bool(setting(self.base, options, "return_dict_in_generate"))
        options["return_dict_in_generate"] = False
        self._refuse_internals(options)
        mixed = len(chosen) < len(routes)
        with torch.random.fork_rng([ids.device] if ids.device.type == "cuda" else [], enabled=mixed):
            rows = self._edited_rows(ids, mask, routes, chosen, options)
        if mixed:
            rows |= self._base_rows(ids, mask, [row for row in range(len(routes)) if row not in rows], options)
        pad_id = pad_id_of(self.base, self.tokenizer)
        merged = pad_right([sequence for row in sorted(rows) for sequence in rows[row]], pad_id)
        return GenerateDecoderOnlyOutput(sequences=merged) if as_output else merged

    def _route(self, ids: Tensor | None, kwargs: dict[str, Any], queries: Sequence[str] | None) -> list[Route]:
        if not len(self.edits):
            return []
        if queries is None:
            if ids is None or self.tokenizer is None:
                logger.warning("no edit is considered: routing needs the prompt's ids and a tokenizer, or queries=[…]")
                return []
            mask = kwargs.get("attention_mask")
            queries = queries_of(ids, self._mask(ids) if mask is None else mask, self.tokenizer)
        elif ids is None:
            raise UnsupportedCallError("queries were given without input_ids; an edited row needs both")
        else:
            queries = check_queries(queries, len(ids))
        routes = self.router.route(queries, self.namespace)
        hits = sum(route.in_scope for route in routes)
        logger.info("routed %d rows: %d in scope", len(routes), hits)
        return routes

    def _edited_rows(
        self,
        ids: Tensor,
        mask: Tensor,
        routes: list[Route],
        chosen: list[int],
        options: dict[str, Any],
    ) -> dict[int, list[Tensor]]:
        """The sequences of each in-scope row, by row number."""
        answered: dict[int, list[Tensor]] = {}
        for editor, rows in self._by_editor(routes, chosen):
            batch = Rows(
                ids[rows],
                mask[rows],
                tuple(routes[row].query for row in rows),
                tuple(_edit(routes[row]) for row in rows),
            )
            sequences = editor.answer(batch, options)
            answered |= {row: list(part) for row, part in zip(rows, sequences.chunk(len(rows)), strict=True)}
        return answered

    def _by_editor(self, routes: list[Route], chosen: list[int]) -> list[tuple[Editor, list[int]]]:
        """Rows grouped by who answers them: refusals are written, everything else is the editor's."""
        erased = [row for row in chosen if _edit(routes[row]).kind is EditKind.ERASE]
        others = [row for row in chosen if row not in erased]
        groups: list[tuple[Editor, list[int]]] = [(self.editor, others)] if others else []
        if erased:
            if self.tokenizer is None:
                raise UnsupportedCallError("an edit of kind erase needs a tokenizer to write its refusal")
            groups.append((LiteralEditor(self.base, self.tokenizer), erased))
        return groups

    def _base_rows(
        self, ids: Tensor, mask: Tensor, rows: list[int], options: dict[str, Any]
    ) -> dict[int, list[Tensor]]:
        """The sequences of the out-of-scope rows, by row number."""
        run = list(range(len(ids))) if self.isolation == "exact" else rows
        output = self.base.generate(input_ids=ids[run], attention_mask=mask[run], **options)
        parts = output.chunk(len(run))
        return {row: list(parts[run.index(row)]) for row in rows}

    def _mask(self, ids: Tensor) -> Tensor:
        """The mask the base would assume: padding is whatever equals the pad token, if it is not the end token."""
        pad, end = (
            self.base.generation_config.pad_token_id,
            self.base.generation_config.eos_token_id,
        )
        if pad is None or pad == end or (isinstance(end, list) and pad in end):
            return torch.ones_like(ids)
        return ids.ne(pad).long()

    def _named(self, args: tuple[Any, ...]) -> dict[str, Any]:
        """Positional arguments of `generate` after `inputs`, by their names."""
        names = list(inspect.signature(self.base.generate).parameters)[1:]
        return {name: value for name, value in zip(names, args, strict=False) if value is not None}

    def _refuse_internals(self, options: dict[str, Any]) -> None:
        for name in ("output_scores", "output_logits", "output_attentions", "output_hidden_states"):
            if setting(self.base, options, name):
                raise UnsupportedCallError(
                    f"{name} was asked for and a row is in scope of an edit: its values would come from "
                    "different contexts for different rows; ask without it, or ask for one row at a time from `base`"
                )


def check_base(base: object) -> None:
    """Refuse what cannot be edited, before anything else is loaded.

    Raises:
        UnsupportedModelError: `base` is not a decoder-only model with `generate`.
    """
    if isinstance(base, EditedModel):
        raise UnsupportedModelError("this model is wrapped already; use its `edits`, or `unwrap()` it first")
    if not isinstance(base, nn.Module) or not callable(getattr(base, "generate", None)):
        raise UnsupportedModelError(f"expected a Hugging Face model with generate(), got {type(base).__name__}")
    if getattr(getattr(base, "config", None), "is_encoder_decoder", False):
        raise UnsupportedModelError(f"expected a decoder-only model, got the encoder-decoder {type(base).__name__}")


def _edit(route: Route) -> Edit:
    if route.edit is None:
        raise ValueError(f"expected a route in scope of an edit, got {route.reason!r}")
    return route.edit
