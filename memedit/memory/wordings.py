"""When two prompts are the same fact in the same words."""

from __future__ import annotations

import re
import unicodedata

_SPACES = re.compile(r"\s+")
_SENTENCE_END = " .?!:;,…。？！：；，、؟۔।"
# Not every punctuation mark: "C#" and "C", "A+" and "A" ask for different things.


def prompt_key(prompt: str) -> str:
    """The form of `prompt` by which the memory tells whether it holds it already.

    Case, Unicode composition, runs of white space and the marks that end a sentence do not
    count. Paraphrases stay apart: telling those is the scope classifier's work.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", prompt).casefold())
    spaced = _SPACES.sub(" ", folded).strip()
    return spaced.rstrip(_SENTENCE_END) or spaced
