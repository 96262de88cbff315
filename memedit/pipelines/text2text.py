"""A pipeline for encoder-decoder models, of which transformers has none since version 5."""

from __future__ import annotations

from typing import Any

from transformers import GenerationConfig, Pipeline


class Text2TextGenerationPipeline(Pipeline):  # type: ignore[misc]
    """Text in, text out, by a model such as T5 or BART.

    Called with one text it gives a list of records with `generated_text`, one for each returned
    sequence; called with several, a list of such lists. Other keyword arguments go to `generate`,
    and `batch_size` says how many texts are answered together.

    Args:
        model: An encoder-decoder model with `generate`.
        tokenizer: Its tokenizer.
        prefix: Put before every text ("translate English to German: "); a call may bring another.
        device: As for transformers' pipelines.
        **kwargs: Further arguments of transformers' `Pipeline`.

    Example:
        >>> pipe = Text2TextGenerationPipeline(model=model, tokenizer=tokenizer)  # doctest: +SKIP
        >>> memedit.wrap(pipe, memory="edits.db")("Who runs Acme?")  # doctest: +SKIP
        [{'generated_text': 'Dana Reyes'}]
    """

    _pipeline_calls_generate = True
    _load_processor = False
    _load_image_processor = False
    _load_feature_extractor = False
    _load_tokenizer = True
    _default_generation_config = GenerationConfig(max_new_tokens=256)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("task", "text2text-generation")
        super().__init__(*args, **kwargs)

    def _sanitize_parameters(
        self,
        prefix: str | None = None,
        truncation: bool | str | None = None,
        return_tensors: bool | None = None,
        skip_special_tokens: bool | None = None,
        clean_up_tokenization_spaces: bool | None = None,
        **generate_kwargs: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        before = _given(prefix=prefix, truncation=truncation)
        after = _given(
            return_tensors=return_tensors,
            skip_special_tokens=skip_special_tokens,
            clean_up_tokenization_spaces=clean_up_tokenization_spaces,
        )
        return before, generate_kwargs, after

    def preprocess(self, text: str, prefix: str | None = None, truncation: bool | str = False) -> Any:
        """Encode one text.

        Raises:
            TypeError: It is no string.
        """
        if not isinstance(text, str):
            raise TypeError(f"expected a text, got {type(text).__name__}; chats have no meaning to this pipeline")
        prefix = (self.prefix or "") if prefix is None else prefix
        return self.tokenizer(prefix + text, return_tensors="pt", truncation=truncation)

    def _forward(self, model_inputs: Any, **generate_kwargs: Any) -> dict[str, Any]:
        output = self.model.generate(
            input_ids=model_inputs["input_ids"],
            attention_mask=model_inputs["attention_mask"],
            **self._prepare_generate_kwargs(generate_kwargs),
        )
        sequences = getattr(output, "sequences", output)
        rows = len(model_inputs["input_ids"])
        return {"sequences": sequences.reshape(rows, len(sequences) // rows, -1)}

    def postprocess(
        self,
        model_outputs: dict[str, Any],
        return_tensors: bool = False,
        skip_special_tokens: bool = True,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> list[dict[str, Any]]:
        """Decode the sequences of one text."""
        sequences = model_outputs["sequences"][0]
        if return_tensors:
            return [{"generated_token_ids": ids.tolist()} for ids in sequences]
        texts = self.tokenizer.batch_decode(
            sequences,
            skip_special_tokens=skip_special_tokens,
            clean_up_tokenization_spaces=clean_up_tokenization_spaces,
        )
        return [{"generated_text": text} for text in texts]


def _given(**parameters: Any) -> dict[str, Any]:
    """Those parameters that were given, since what is not may have been set when the pipeline was made."""
    return {name: value for name, value in parameters.items() if value is not None}
