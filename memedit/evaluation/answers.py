"""Where an answer that was decoded freely ends."""

from __future__ import annotations

import re

_ABBREVIATED = """
    st mt ft dr mr mrs ms mx prof rev hon sr jr gen col lt sgt capt cpt maj cmdr adm gov sen rep
    pres supt messrs mme mlle dept univ inc ltd co corp bros vs etc al approx ca cf ed eds est
    vol op cit jan feb mar apr jun jul aug sep sept oct nov dec ph.d
"""
ABBREVIATIONS = frozenset(_ABBREVIATED.split())
"""Words, in lower case, whose final "." belongs to them."""

_BEFORE_NUMBER = frozenset({"no", "nr", "art", "fig", "pp", "p"})
_STARTERS = """
    the it he she they this that these those his her its their there in on at as after before
    when while since during and but however i we you if a an for from with by to
"""
_SENTENCE_STARTERS = frozenset(_STARTERS.split())
"""Words that begin a new sentence when they follow an abbreviation with a capital letter."""

_STOP = re.compile(r"[\n\r\u2028。]|\.")
_WORD_BEFORE = re.compile(r"[^\W\d_](?:[^\W_]|['\u2019.\-])*$")
_ORDINAL = re.compile(r"\s*\d{1,2}$")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]$")


def cut_answer(text: str) -> str:
    """The answer within freely decoded text: up to a newline or the end of its first sentence.

    A "." ends the sentence unless it stands inside a word or number ("D.C", "3.5",
    "example.com"), or after an initial ("J. R. R. Tolkien"), an abbreviation ("St. Louis",
    "U.S. Army"), a number word ("No. 5") or an ordinal that the answer begins with
    ("2. Bundesliga"). After an initial, an abbreviation or an ordinal it does end the sentence
    when the next word is one that begins sentences ("Apple Inc. The company …"). The Chinese
    and Japanese "。" ends a sentence always.

    Args:
        text: What the model generated after the prompt.

    Returns:
        The answer without surrounding white space, and without the "." that ended it.
    """
    end = answer_end(text)
    return text[: len(text) if end is None else end].strip()


def answer_end(text: str) -> int | None:
    """Position of the character that ends the answer in `text`; None if nothing ends it."""
    for stop in _STOP.finditer(text):
        if stop.group() != "." or _ends_sentence(text, stop.start()):
            return stop.start()
    return None


def is_finished(text: str) -> bool:
    """Whether nothing generated after `text` could move the end of its answer.

    Used to stop decoding early: the last word of `text` may still grow, so the end must be one
    that does not depend on it.
    """
    end = answer_end(text)
    if end is None:
        return False
    if text[end] != ".":
        return True
    rest = text[end + 1 :]
    words = len(rest.split())
    return words > 1 or (words == 1 and not _belongs_to_word(text, end, rest))


def _ends_sentence(text: str, dot: int) -> bool:
    rest = text[dot + 1 :]
    if rest[:1].isalnum():
        return False
    if not rest.strip():
        return not _belongs_to_word(text, dot, rest)
    if not _belongs_to_word(text, dot, rest):
        return True
    following = rest.split()[0].strip("\"'\u201d\u2019,;:.!?()")
    return following[:1].isupper() and following.lower() in _SENTENCE_STARTERS


def _belongs_to_word(text: str, dot: int, rest: str) -> bool:
    """Whether the "." may be a part of the word before it."""
    if _ORDINAL.match(text[:dot]) and rest.lstrip()[:1].isalpha():
        return True
    found = _WORD_BEFORE.search(text[:dot])
    if not found:
        return False
    word = found.group()
    has_case = word.lower() != word.upper()  # one Chinese character is no initial
    if (has_case and _INITIALS.match(word)) or word.lower() in ABBREVIATIONS:
        return True
    return word.lower() in _BEFORE_NUMBER and rest.lstrip()[:1].isdigit()
