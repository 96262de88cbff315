"""Pipelines whose model is an `EditedModel`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from transformers import TextGenerationPipeline

from memedit.errors import UnsupportedModelError
from memedit.memory import EditMemory
from memedit.model import EditedModel
from memedit.pipelines.text2text import Text2TextGenerationPipeline
from memedit.queries import Query, check_queries
from memedit.scope.router import Route

_ROUTES = "routes"


class Edited:
    """What every edited pipeline has beside its own: the edits, and what became of each row.

    Calls take `namespace=` as `EditedModel.generate` does, `queries=` with one query for each input, and
    `return_routes=True`, which puts a `Route` (None if nothing could be routed) into each record as `route`.
    """

    model: Any
    _batch_size: int | None

    def __call__(self, *args: Any, queries: Sequence[Query] | None = None, **kwargs: Any) -> Any:
        """As the pipeline's own.

        Args:
            *args: As there: one input or a list of them.
            queries: What to route each input by, one for each; None for the inputs themselves.
            **kwargs: As there, and for `EditedModel.generate`.

        Raises:
            ValueError: There is not one query for each input.
        """
        call: Any = super()
        inputs = args[0] if args else None
        if queries is None:
            return call.__call__(*args, **kwargs)
        if not isinstance(inputs, list) or not inputs or isinstance(inputs[0], Mapping):
            return call.__call__(*args, queries=queries, **kwargs)
        # The pipeline knows nothing of queries: each of its batches is called with its own.
        queries = check_queries(queries, len(inputs))
        size = kwargs.get("batch_size") or self._batch_size or 1
        parts = [slice(start, start + size) for start in range(0, len(inputs), size)]
        found = [call.__call__(inputs[part], *args[1:], queries=queries[part], **kwargs) for part in parts]
        return [answer for answers in found for answer in answers]

    @property
    def edits(self) -> EditMemory:
        """The edit memory: add, update, remove and undo here."""
        memory: EditMemory = self.model.edits
        return memory

    @property
    def last_routes(self) -> tuple[Route, ...]:
        """See `EditedModel.last_routes`; of the last batch, where a call needs several."""
        routes: tuple[Route, ...] = self.model.last_routes
        return routes

    def explain(self, query: str, namespace: str | None = None) -> Route:
        """Which edit would answer `query`, or why none does, with all scores."""
        route: Route = self.model.explain(query, namespace)
        return route

    @classmethod
    def from_pretrained(
        cls, name: str | Path, *, device: Any = None, batch_size: int | None = None, **options: Any
    ) -> Self:
        """The pipeline of what `save_pretrained` or `push_to_hub` wrote.

        Args:
            name: The folder, or the hub id.
            device: As for transformers' pipelines.
            batch_size: As for transformers' pipelines.
            **options: As for `EditedModel.from_pretrained`: `base`, `tokenizer`, `encoder`, `scope`,
                `memory`, and arguments for the base's own loading.

        Raises:
            UnsupportedModelError: The saved model is for another kind of pipeline.
            CheckpointError: As for `EditedModel.from_pretrained`, also for its other errors.
        """
        model = EditedModel.from_pretrained(name, **options)
        try:
            cls.check_base(model.base)
        except UnsupportedModelError:
            model.unwrap()
            if model.edits is not options.get("memory"):
                model.edits.close()
            raise
        made: Any = cls
        pipe: Self = made(model=model, tokenizer=model.tokenizer, device=device, batch_size=batch_size)
        return pipe

    @classmethod
    def check_base(cls, base: Any) -> None:
        """Refuse a base whose answers this kind of pipeline does not give as they are.

        Raises:
            UnsupportedModelError: The message names the pipeline that does.
        """

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> None:
        """Write what `EditedModel.save_pretrained` writes: all but the base and its tokenizer."""
        self.model.save_pretrained(save_directory, **options)

    def check_model_type(self, supported_models: Any) -> None:
        """Accept the wrapped model: the base under it was accepted before."""

    def _forward(self, model_inputs: Any, *, return_routes: bool = False, **generate_kwargs: Any) -> dict[str, Any]:
        rows = len(model_inputs["input_ids"])
        outputs: dict[str, Any] = super()._forward(model_inputs, **generate_kwargs)  # type: ignore[misc]
        if return_routes:
            outputs[_ROUTES] = list(self.model.last_routes) or [None] * rows
        return outputs

    def postprocess(self, model_outputs: dict[str, Any], **kwargs: Any) -> list[dict[str, Any]]:
        """Make the records of one row."""
        has_routes = _ROUTES in model_outputs
        route = model_outputs.pop(_ROUTES, None)
        records: list[dict[str, Any]] = super().postprocess(model_outputs, **kwargs)  # type: ignore[misc]
        if has_routes:
            # Of a batch each row brings its own; a row on its own comes as a batch of one.
            route = route[0] if isinstance(route, list) else route
            records = [record | {"route": route} for record in records]
        return records


class EditedTextGenerationPipeline(Edited, TextGenerationPipeline):  # type: ignore[misc]
    """A text-generation pipeline whose model is an `EditedModel`."""

    @classmethod
    def check_base(cls, base: Any) -> None:
        """Refuse encoder-decoder models."""
        if base.config.is_encoder_decoder:
            raise UnsupportedModelError(
                f"a text-generation pipeline cuts the beginning off the answers of the encoder-decoder "
                f"{type(base).__name__}: use memedit.pipelines.Text2TextGenerationPipeline(model=…, tokenizer=…) "
                "to wrap it, and EditedText2TextGenerationPipeline.from_pretrained(…) for what was saved"
            )

    def _forward(self, model_inputs: Any, **generate_kwargs: Any) -> dict[str, Any]:
        """Generate; a chat is routed by its own messages and not by what its template made of them."""
        prompts = model_inputs["prompt_text"]
        prompts = prompts if isinstance(prompts, list) else [prompts]
        chats = [prompt.messages for prompt in prompts if hasattr(prompt, "messages")]
        if len(chats) == len(prompts) and generate_kwargs.get("queries") is None:
            generate_kwargs["queries"] = chats
        return super()._forward(model_inputs, **generate_kwargs)


class EditedText2TextGenerationPipeline(Edited, Text2TextGenerationPipeline):  # type: ignore[misc]
    """A text-to-text pipeline whose model is an `EditedModel`."""
