"""How many pairs of each family a data set gets."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable

from training.scope_data.pairs import Pair

SHARES = {
    # in scope
    "paraphrase": 20.0, "other_form": 8.0, "drawn_relation": 7.0, "one_step": 4.5, "alias": 3.0,
    "told": 4.0, "statement": 26.0, "same_words": 2.0, "invented_name": 2.0, "aspect": 11.0,
    # not in scope
    "same_subject": 14.0, "swapped_subject": 9.0, "nearest": 8.0, "neighbour": 4.0, "step_aside": 3.5,
    "statement_miss": 19.0, "statement_other": 8.0, "statement_unrelated": 6.0,
    "near_name": 3.0, "inverse": 1.5, "about_answer": 1.0,
    "other_aspect": 9.0, "other_thing": 3.0,
    "number": 1.0, "trap": 2.0, "no_question": 1.0, "unrelated": 1.5,
}  # fmt: skip
"""Parts of each family; a family with fewer pairs gives its room to the others of its class."""


def mixed(pairs: Iterable[Pair], count: int, rng: random.Random) -> list[Pair]:
    """`count` of `pairs`, or as many as there are, in the proportions of `SHARES`."""
    by_family: dict[tuple[str, bool], list[Pair]] = defaultdict(list)
    for pair in dict.fromkeys(pairs):
        by_family[pair.family, pair.in_scope].append(pair)
    chosen: list[Pair] = []
    parts = sum(SHARES.values())
    for in_scope in (True, False):
        families = [family for family, positive in by_family if positive == in_scope]
        room = count * sum(SHARES[family] for family in SHARES if (family in IN_SCOPE) == in_scope) / parts
        # The scarcest first, so that what they leave is shared by those that have more.
        families.sort(key=lambda family: len(by_family[family, in_scope]) / SHARES[family])
        weight = sum(SHARES[family] for family in families)
        for family in families:
            wanted = min(len(by_family[family, in_scope]), round(room * SHARES[family] / weight))
            chosen += rng.sample(by_family[family, in_scope], wanted)
            room, weight = room - wanted, weight - SHARES[family]
    rng.shuffle(chosen)
    return chosen


IN_SCOPE = (
    "paraphrase", "other_form", "drawn_relation", "one_step", "alias", "told", "statement", "same_words",
    "invented_name", "aspect",
)  # fmt: skip
