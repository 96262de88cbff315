"""The recipe's own rules about what asks for what."""

from __future__ import annotations

import random

import pytest

from training.scope_data.augment import Augmenter
from training.scope_data.bank import TemplateBank
from training.scope_data.facts import Fact, SubjectSet, split_of
from training.scope_data.labels import label_of, surely_differ
from training.scope_data.pairs import Pair, PairMaker, balanced

FACTS = [
    Fact("made", name, "birth_place", (f"Where was {name} born?", f"The birthplace of {name} is"))
    for name in ("Orla Venn", "Tam Brisk", "Iva Lund")
] + [Fact("made", "Pell Osten", "mother", ("Who is the mother of Pell Osten?",))]


@pytest.mark.parametrize(
    ("template", "label"),
    [
        ("What is the date of birth of {}?", "birth_date"),
        ("Where was {} born?", "birth_place"),
        ("The mother tongue of {} is", "native_language"),
        ("{} died in the city of", "death_place"),
        ("Who is {}'s mother?", "mother"),
        ("Tell me about {}", None),
    ],
)
def test_relations_are_told_by_their_words(template: str, label: str | None) -> None:
    """Templates that look alike and ask different things get different labels."""
    assert label_of(template) == label


def test_doubtful_relations_make_no_negatives() -> None:
    """Relations that may ask the same thing are never taken for different ones."""
    assert surely_differ("birth_place", "birth_date")
    assert not surely_differ("citizenship", "country")
    assert not surely_differ("mother", "mother")
    assert not surely_differ("mother", None)


def test_test_subjects_are_found_anywhere_in_a_fact() -> None:
    """A row is dropped when any of its texts names a held-out subject."""
    held_out = SubjectSet(["Orla Venn"])
    assert held_out.mentioned_in(FACTS[0])
    assert held_out.mentioned_in(Fact("made", "x", None, ("x is",), others=(("neighbour", "orla venn, is"),)))
    assert not held_out.mentioned_in(FACTS[1])


def test_a_subject_is_in_one_split() -> None:
    """The split depends on the subject and the seed, not on spelling or source."""
    assert split_of("Orla Venn", 0) == split_of("orla  venn!", 0)
    assert {split_of(str(number), 0) for number in range(200)} == {"train", "calibration", "test"}


def test_positives_and_negatives_are_what_they_say() -> None:
    """Positives name the edit's subject; negatives name another or ask something else."""
    rng = random.Random(0)
    maker = PairMaker(FACTS, TemplateBank(FACTS), ["who sings yellow", "how old is the moon"], rng)
    for pair in maker.positives():
        assert pair.in_scope
    families = {pair.family for pair in maker.negatives() if not pair.in_scope}
    assert {"swapped_subject", "same_subject"} <= families


def test_the_mixture_is_balanced() -> None:
    """Forty-five in a hundred pairs are positive when there are enough of both."""
    positives, negatives = ([Pair("a", str(n), kind, "x") for n in range(500)] for kind in (True, False))
    chosen = balanced(positives, negatives, 200, random.Random(0))
    assert len(chosen) == 200
    assert sum(pair.in_scope for pair in chosen) == 90


def test_changed_queries_are_never_empty() -> None:
    """Whatever is done to a query, words are left."""
    augment = Augmenter(random.Random(0), ["Some context."], rate=1.0)
    for query in ["?", "Who is {}?", "a", "Orla Venn's mother is"] * 50:
        assert augment(query) or query == "?"
