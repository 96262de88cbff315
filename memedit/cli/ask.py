"""`memedit ask`: one question to a model with its edits."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from memedit.cli import options
from memedit.cli.console import print_json, print_table
from memedit.cli.loading import load_base, require_file


def ask(
    prompt: Annotated[str, typer.Argument(help="A question, or the beginning of a sentence.")],
    memory: options.MemoryFile,
    model: options.Model = None,
    editor: options.Editor = None,
    scope: options.Scope = None,
    encoder: options.Encoder = None,
    namespace: options.Namespace = "default",
    device: options.OnDevice = options.Device.CPU,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="The most tokens of an answer.")] = 50,
    chat: Annotated[bool, typer.Option("--chat", help="Ask as a user's turn of a chat.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show which edit answered, or why none did.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Ask a model with a memory of edits, and show the answer."""
    require_file(memory)
    if not prompt.strip():
        raise typer.BadParameter("the prompt must not be empty")
    base, tokenizer = load_base(model, device)
    from memedit.pipelines import wrap

    edited = wrap(
        base,
        tokenizer,
        memory=memory,
        scope=scope,
        editor=editor,
        encoder=encoder,
        namespace=namespace,
    )
    with edited.edits:
        answer = _answer(edited, tokenizer, prompt, max_new_tokens, chat=chat)
        route = edited.explain(prompt) if explain else None
    if as_json:
        shown = {"explanation": route_dict(route)} if route else {}
        print_json({"prompt": prompt, "answer": answer, **shown})
        return
    typer.echo(answer)
    if route:
        _print_route(route)


def route_dict(route: Any) -> dict[str, Any]:
    """A routing decision as JSON-compatible values."""
    return {
        "edit": route.edit.to_dict() if route.edit else None,
        "probability": route.probability,
        "threshold": route.threshold,
        "reason": route.reason,
        "seconds": route.seconds,
        "candidates": [
            {
                "id": candidate.edit.id,
                "wording": candidate.wording,
                "similarity": candidate.similarity,
                "probability": candidate.probability,
            }
            for candidate in route.candidates
        ],
    }


def _answer(model: Any, tokenizer: Any, prompt: str, limit: int, *, chat: bool) -> str:
    import torch

    from memedit.errors import UnsupportedCallError
    from memedit.evaluation.answers import cut_answer
    from memedit.evaluation.decoding import pad_token_id

    text = prompt
    if chat:
        if tokenizer.chat_template is None:
            raise UnsupportedCallError("--chat was given, but this model has no chat template")
        turns = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    encoded = tokenizer(text, return_tensors="pt", add_special_tokens=not chat)
    ids = encoded["input_ids"].to(model.base.device)
    with torch.no_grad():
        sequences = model.generate(
            input_ids=ids,
            attention_mask=encoded["attention_mask"].to(ids.device),
            do_sample=False,
            max_new_tokens=limit,
            pad_token_id=pad_token_id(tokenizer),
            queries=[prompt],
        )
    answer = str(tokenizer.decode(sequences[0, ids.shape[1] :], skip_special_tokens=True))
    # What an edit answers ends by itself; a base goes on after its answer.
    ends = chat or any(route.in_scope for route in model.last_routes)
    return answer.strip() if ends else cut_answer(answer)


def _print_route(route: Any) -> None:
    typer.echo(route.reason)
    rows = [
        [
            candidate.edit.id,
            candidate.wording,
            candidate.edit.target,
            f"{candidate.similarity:.3f}",
            f"{candidate.probability:.3f}",
        ]
        for candidate in route.candidates
    ]
    if rows:
        title = f"Candidates (threshold {route.threshold:.3f})"
        print_table(title, ["edit", "wording", "target", "similarity", "probability"], rows)
