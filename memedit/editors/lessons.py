"""What an entry is fitted on: an edit's wordings with its answer behind them, as aligned tensors."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedTokenizerBase
from transformers.modeling_outputs import BaseModelOutput

from memedit.editors.options import pad_id_of
from memedit.editors.sequences import pad_prompts, pad_right
from memedit.edits import Edit

VARIATIONS = ("Question: {}\nAnswer:", "The shop is closed on Mondays. {}")
"""Ways to ask an edit's prompt again, on which values are fitted."""
HELD_OUT = ("Tell me, {}", "I was wondering about this for a while. {}")
"""Others, by which layer and radius are chosen."""
_MOST_ALIASES = 3


@dataclass(frozen=True)
class Lessons:
    """Rows of wordings, aligned so that answers begin in one column.

    Attributes:
        edit: For each row the number of its edit, int64, shape (n,).
        prompt: Arguments of a forward over the prompts but their last token, which fills the cache
            that `inputs` holds; None if there is nothing before it.
        inputs: Arguments of a forward over the last token of the prompt and the answer but its last:
            k columns, each of which predicts a token of the answer.
        answers: int64, shape (n, k), padded on the right.
        counts: How many tokens each row's answer has, int64, shape (n,).
    """

    edit: Tensor
    prompt: dict[str, Any] | None
    inputs: dict[str, Any]
    answers: Tensor
    counts: Tensor

    @property
    def wanted(self) -> Tensor:
        """Which answer tokens are real: bool, shape (n, k)."""
        return torch.arange(self.answers.shape[1], device=self.answers.device) < self.counts[:, None]


def has_encoder(base: Any) -> bool:
    """Whether prompts are read by an encoder, and answers decoded behind a start of their own."""
    return bool(getattr(base.config, "is_encoder_decoder", False))


def wordings_of(edit: Edit, tokenizer: PreTrainedTokenizerBase, more: bool) -> list[str]:
    """The prompt, and with `more` its first aliases and variations of it."""
    if not more:
        return [edit.prompt]
    texts = [edit.prompt, *edit.aliases[:_MOST_ALIASES], *(form.format(edit.prompt) for form in VARIATIONS)]
    if tokenizer.chat_template is not None:
        chat = [{"role": "user", "content": edit.prompt}]
        texts.append(tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))
    return list(dict.fromkeys(texts))


def answer_ids(base: Any, tokenizer: PreTrainedTokenizerBase, edit: Edit, *, stop: bool) -> list[int]:
    """The tokens that decoding is to give for an edit: its target, then the end of the text.

    Behind a prompt a space comes first; an encoder-decoder model's answer stands alone, behind the
    token that some models force.
    """
    forced = base.generation_config.forced_bos_token_id if has_encoder(base) else None
    ends = base.generation_config.eos_token_id
    end = ends[0] if isinstance(ends, list) else ends
    end = tokenizer.eos_token_id if end is None else end
    text = edit.target.strip() if has_encoder(base) else f" {edit.target.strip()}"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return [*([] if forced is None else [forced]), *ids, *([end] if stop and end is not None else [])]


def prompt_inputs(base: Any, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Ids and mask of prompts, int64, (n, longest): padded as the model continues them."""
    side: Literal["left", "right"] = "right" if has_encoder(base) else "left"
    rows = [torch.tensor(ids, dtype=torch.int64) for ids in tokenizer(list(prompts))["input_ids"]]
    ids, mask = pad_prompts(rows, pad_id_of(base, tokenizer), side)
    return ids.to(base.device), mask.to(base.device)


def lessons_of(
    base: Any,
    tokenizer: PreTrainedTokenizerBase,
    wordings: Sequence[Sequence[str]],
    answers: Sequence[Sequence[int]],
) -> Lessons:
    """Build the rows of several edits.

    Args:
        base: The base model.
        tokenizer: Its tokenizer.
        wordings: For each edit its prompts.
        answers: For each edit the ids that are to follow.
    """
    owners = torch.tensor([number for number, texts in enumerate(wordings) for _ in texts])
    ids, mask = prompt_inputs(base, tokenizer, [text for texts in wordings for text in texts])
    each = [torch.tensor(answers[owner], device=ids.device) for owner in owners.tolist()]
    wanted = pad_right(each, pad_id_of(base, tokenizer))
    counts = torch.tensor([len(answer) for answer in each], device=ids.device)
    if has_encoder(base):
        inputs = _encoded(base, ids, mask) | {"decoder_input_ids": torch.cat([_starts(base, ids), wanted[:, :-1]], 1)}
        return Lessons(owners, None, inputs | {"use_cache": False}, wanted, counts)
    whole = torch.cat([ids, wanted[:, :-1]], dim=1)
    seen = torch.cat([mask, torch.ones_like(wanted[:, :-1])], dim=1)
    first = ids.shape[1] - 1
    if not first:
        return Lessons(owners, None, _columns(base, whole, seen, 0) | {"use_cache": False}, wanted, counts)
    cache = {"past_key_values": DynamicCache(config=base.config), "use_cache": True}
    prompt = _columns(base, whole[:, :first], seen[:, :first], 0) | cache | _few_logits(base)
    return Lessons(owners, prompt, _columns(base, whole, seen, first) | cache, wanted, counts)


def forward_inputs(base: Any, ids: Tensor, mask: Tensor) -> dict[str, Any]:
    """Arguments of a forward over prompts alone (of an encoder-decoder model: over the decoder's start)."""
    if has_encoder(base):
        return _encoded(base, ids, mask) | {"decoder_input_ids": _starts(base, ids), "use_cache": False}
    return _columns(base, ids, mask, 0) | {"use_cache": False} | _few_logits(base)


def _few_logits(base: Any) -> dict[str, Any]:
    """Only states are wanted of a prompt: the head of a model that can leave positions out is spared."""
    return {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(base.forward).parameters else {}


def _columns(base: Any, ids: Tensor, mask: Tensor, first: int) -> dict[str, Any]:
    inputs = {"input_ids": ids[:, first:], "attention_mask": mask}
    if "position_ids" in inspect.signature(base.forward).parameters:
        # As `generate` numbers them: padding on the left takes no positions.
        inputs["position_ids"] = (mask.cumsum(1) - 1).clamp_min(0)[:, first:]
    return inputs


def _encoded(base: Any, ids: Tensor, mask: Tensor) -> dict[str, Any]:
    with torch.no_grad():
        encoded = base.get_encoder()(input_ids=ids, attention_mask=mask)
    return {"encoder_outputs": BaseModelOutput(last_hidden_state=encoded.last_hidden_state), "attention_mask": mask}


def _starts(base: Any, ids: Tensor) -> Tensor:
    settings = base.generation_config
    start = settings.decoder_start_token_id
    return torch.full_like(ids[:, :1], settings.bos_token_id if start is None else start)
