"""`EditedModel`: a frozen base, an edit memory and an editor behind one `generate()`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Self, get_args

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from memedit.editors.base import Editor, StoringEditor
from memedit.edits import DEFAULT_NAMESPACE, EditKind
from memedit.errors import CheckpointError, UnsupportedCallError, UnsupportedModelError
from memedit.generation import Isolation, Request, answered, route_prompt, route_rows
from memedit.memory import EditMemory
from memedit.queries import Query
from memedit.saving import Parts, load, push, save
from memedit.scope.router import Route, Router

__all__ = ["EditedModel", "Isolation", "check_base"]

logger = logging.getLogger(__name__)

OnRoute = Callable[[Sequence[Route]], object]


class EditedModel(nn.Module):
    """A drop-in for `base` whose `generate` answers in-scope queries by their edit.

    The base is held, not altered: weights, buffers, `requires_grad` and module tree stay the
    user's. Whatever this class does not define is the base's own.

    Any number of threads may generate while others change the memory: each request is routed once,
    and answered by the edits it was routed to.

    Args:
        base: A text model with `generate`: decoder-only, or encoder-decoder.
        tokenizer: Its tokenizer; None if every call brings `queries`.
        memory: The edits.
        router: Decides for each query which edit is meant, if any.
        editor: Answers the rows that are in scope. An `EditorChoice`, as `wrap` makes it, lets each edit
            name its own; any other answers all edits, whatever they name.
        isolation: What a batch with rows of both kinds promises to the out-of-scope ones. `exact`:
            the base runs the caller's batch verbatim, so that their tokens and the RNG state
            afterwards equal the base's. `split`: they run as a smaller batch; equal up to rounding.
            `fused`: one pass for all rows; equal up to rounding, and the fastest. Where the editor
            cannot share a pass, as for an edit inside a chat's turn, `fused` is `split`.
        namespace: Only edits of this namespace are considered.
        context_turns: How many user turns before the last one may help to understand it ("and who
            is her successor?"). The last turn decides alone where it can; with them, the memory is
            asked a second time for rows that have earlier turns.
        on_route: Called with the routes of each request before it is answered.

    Raises:
        UnsupportedModelError: `base` cannot generate text from text.
        ValueError: The isolation level is unknown, or `context_turns` is negative.
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
        context_turns: int = 0,
        on_route: OnRoute | None = None,
    ) -> None:
        super().__init__()
        check_base(base)
        if isolation not in get_args(Isolation):
            raise ValueError(f"isolation must be one of {', '.join(get_args(Isolation))}, got {isolation!r}")
        if context_turns < 0:
            raise ValueError(f"context_turns must be at least 0, got {context_turns}")
        self.base = base
        self.tokenizer = tokenizer
        self.edits = memory
        self.router = router
        self.editor = editor
        self.isolation = isolation
        self.namespace = namespace
        self.context_turns = context_turns
        self.on_route = on_route
        self.training = base.training
        self._is_unwrapped = False
        self._last_routes: ContextVar[tuple[Route, ...]] = ContextVar("memedit_last_routes", default=())

    def __getattr__(self, name: str) -> Any:
        """Delegate to the base whatever is not defined here."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "base":  # asked for before __init__ has set it
                raise
            return getattr(super().__getattr__("base"), name)

    @property
    def generation_config(self) -> Any:
        """The base's own, also when it is set: there is one place for the defaults of `generate`."""
        return self.base.generation_config

    @generation_config.setter
    def generation_config(self, config: Any) -> None:
        self.base.generation_config = config

    def generate_batch(self, *args: Any, **kwargs: Any) -> Any:
        """The base's continuous batching, as long as no edit is stored.

        Raises:
            UnsupportedCallError: Edits are stored, all of which it would pass by.
        """
        if len(self.edits):
            raise UnsupportedCallError("generate_batch would pass all edits by; use generate, or the base's own")
        return self.base.generate_batch(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The base's own forward pass: edits act on generated answers only."""
        return self.base(*args, **kwargs)

    def explain(self, query: str, namespace: str | None = None) -> Route:
        """Which edit would answer the prompt `query`, or why none does, with all scores."""
        return route_prompt(self.router, query, self.namespace if namespace is None else namespace)

    @property
    def last_routes(self) -> tuple[Route, ...]:
        """The routes of the last `generate` of this thread or task, one for each row.

        Empty before the first call, and after one that had nothing to route by: an empty memory, or
        neither ids nor queries.
        """
        return self._last_routes.get()

    def fit_edits(self, *, progress: bool = False) -> Any:
        """Learn all stored edits that their editor keeps in activations and has not learned yet, in one go.

        Not needed for right answers: an edit that is not learned is learned when it is first meant.

        Args:
            progress: Whether to show a progress bar.

        Returns:
            What the editors have to tell of it, by their names (see `EditorChoice.fit`); nothing where
            edits are only read.

        Raises:
            UnsupportedCallError: An edit names an unknown editor, or the model was unwrapped.
        """
        self._check_wrapped()
        if isinstance(self.editor, StoringEditor):
            # Refusals are written, not learned.
            missing = self.editor.missing([edit for edit in self.edits if edit.kind is not EditKind.ERASE])
            if missing:
                return self.editor.fit(missing, progress=progress)
        return {}

    def unwrap(self) -> Any:
        """Take the editor's hooks out of the base and return it; no edit is answered from then on."""
        self._is_unwrapped = True
        self.editor.detach()
        return self.base

    def save_pretrained(self, folder: str | Path, *, history: bool = True) -> None:
        """Write settings, editor, scope classifier, edits and a model card; never the base's weights.

        Args:
            folder: Made if it does not exist; what an earlier save left in it is replaced.
            history: Whether removed edits and former states are saved too, so that they can be undone.

        Raises:
            CheckpointError: The folder holds something else, or a part has no form that can be saved.
            MemoryFileError: The memory cannot be read, or its copy not be written.
        """
        save(self._parts(), Path(folder), history=history)

    @classmethod
    def from_pretrained(cls, name: str | Path, **options: Any) -> Self:
        """Load what `save_pretrained` or `push_to_hub` wrote.

        Args:
            name: The folder, or the hub id.
            **options: `base`, `tokenizer`, `encoder`, `scope` or `memory`, to be used instead of what
                was saved, and arguments for the base's `from_pretrained`; see `memedit.saving.load`.

        Raises:
            CheckpointError: Something is missing, damaged or not what it was; the message says what.
            EncoderMismatchError: The edits' vectors were made by another encoder.
            MemoryFileError: The memory file cannot be used.
        """
        parts = load(name, **options)
        try:
            return cls(parts.base, parts.tokenizer, parts.memory, parts.router, parts.editor, **parts.settings)
        except (TypeError, ValueError) as error:
            parts.editor.detach()
            if parts.memory is not options.get("memory"):
                parts.memory.close()
            raise CheckpointError(f"{name} has settings this memedit does not know: {error}") from error

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Save into a repository of the hub; removed edits are not published unless `history=True`.

        Args:
            repo_id: Such as `organisation/name`.
            **options: `private`, `history`, `commit_message`, `token` and `api`; see `memedit.saving.push`.

        Returns:
            The address of the commit.

        Raises:
            CheckpointError: As for `save_pretrained`, also for `MemoryFileError`.
        """
        return push(self._parts(), repo_id, **options)

    def _parts(self) -> Parts:
        settings = {name: getattr(self, name) for name in ("isolation", "namespace", "context_turns")}
        return Parts(self.base, self.tokenizer, self.edits, self.router, self.editor, settings)

    @torch.no_grad()
    def generate(
        self,
        inputs: Tensor | None = None,
        *args: Any,
        queries: Sequence[Query] | None = None,
        namespace: str | None = None,
        return_routes: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Generate as the base does, answering in-scope rows by their edit.

        Args:
            inputs: Prompt ids, int64, shape (n, length); or give `input_ids` or `inputs_embeds`.
            *args: As for the base's `generate`.
            queries: What to route each row by: n strings, or chats as lists of messages; None to
                read it from the ids. Embeddings without ids are routed by queries only.
            namespace: Only edits of this namespace are considered; None for the model's own.
            return_routes: Whether to return the routes too.
            **kwargs: As for the base's `generate`.

        Returns:
            What the base returns. If no row is in scope it *is* the base's return value. Otherwise
            sequences, int64, shape (n * num_return_sequences, longest), right-padded, each
            beginning with the caller's own prompt ids (or the decoder's start); as an output object
            that holds nothing else, if one was asked for. With `return_routes` a pair of this and
            a tuple of routes, as in `last_routes`.

        Raises:
            UnsupportedCallError: A row is in scope and the call asks for scores, hidden states or
                the like, which have no meaning across several contexts; or it has a streamer and
                needs several passes; or part of its prompt lies in `past_key_values` only; or the
                model was unwrapped.
            ValueError: There is not one query for each row.
        """
        call = (inputs, *args) if inputs is not None or args else ()
        request = Request(self.base, call, kwargs)
        routes = self._routes(request, queries, self.namespace if namespace is None else namespace)
        self._last_routes.set(routes)
        if self.on_route is not None:
            self.on_route(routes)
        if any(route.in_scope for route in routes):
            self._check_wrapped()
            output = answered(request, routes, self.editor, self.tokenizer, self.isolation)
        else:
            output = request.verbatim()
        return (output, routes) if return_routes else output

    def _check_wrapped(self) -> None:
        if self._is_unwrapped:
            # Without its hooks the base's answer would stand in the place of the edit's.
            raise UnsupportedCallError("the edits' hooks were taken out of the base (`unwrap`); wrap the base again")

    def _routes(self, request: Request, queries: Sequence[Query] | None, namespace: str) -> tuple[Route, ...]:
        if not len(self.edits):
            logger.info("routed nothing: no edit is stored, so the base answers")
            return ()
        return route_rows(request, self.router, self.tokenizer, queries, namespace, self.context_turns)


def check_base(base: object) -> None:
    """Refuse what cannot be edited, before anything else is loaded.

    Raises:
        UnsupportedModelError: `base` is not a model with `generate` that reads text.
    """
    if isinstance(base, EditedModel):
        raise UnsupportedModelError("this model is wrapped already; use its `edits`, or `unwrap()` it first")
    if not isinstance(base, nn.Module) or not callable(getattr(base, "generate", None)):
        raise UnsupportedModelError(f"expected a Hugging Face model with generate(), got {type(base).__name__}")
    reads = getattr(base, "main_input_name", "input_ids")
    if reads != "input_ids":
        raise UnsupportedModelError(f"expected a model that reads text, got {type(base).__name__}, which reads {reads}")
