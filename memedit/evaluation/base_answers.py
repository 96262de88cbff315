"""The base's answers beside the runs of a comparison, so that no resumed comparison decodes them again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memedit.evaluation.decoding import Answer, AnswersKey


class BaseAnswersFile(dict[AnswersKey, list[Answer]]):
    """The base's answers as a `Decoder` knows them, each batch written as a line of JSON when it is answered.

    The first line holds a hash of what the answers depend on; if it is another one, the file is begun
    anew. A last line without its end, which a process that was killed leaves behind, is cut off.

    Args:
        path: Where it is, or is to be.
        settings: What the answers depend on beside the prompts, as JSON-compatible values: base, tokenizer,
            versions, machine.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Read what is there."""
        super().__init__()
        self._path = path
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        head = json.dumps({"settings_sha256": digest})
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        # Not `splitlines`: texts may hold other ends of lines.
        first, *lines = text[: text.rfind("\n")].split("\n")
        if first != head:
            lines = []
        for line in lines:
            values = json.loads(line)
            key = (tuple(values["prompts"]), values["max_new_tokens"], values["stops_early"])
            super().__setitem__(key, [Answer(text, tuple(tokens)) for text, tokens in values["answers"]])
        # Written with the first new answer: who only looks, or is refused, loses nothing.
        self._kept: list[str] | None = [head, *lines]

    def __setitem__(self, key: AnswersKey, answers: list[Answer]) -> None:
        prompts, most, early = key
        values = {
            "prompts": prompts,
            "max_new_tokens": most,
            "stops_early": early,
            "answers": [[answer.text, answer.tokens] for answer in answers],
        }
        if self._kept is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text("".join(f"{line}\n" for line in self._kept), encoding="utf-8")
            self._kept = None
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")
        super().__setitem__(key, answers)
