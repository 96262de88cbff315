"""The recipe's own rules about what asks for what."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable

import pytest

from memedit.scope import ScopeClassifier, SentenceEncoder
from training.scope_data.bank import TemplateBank, blended, other_number, short_form
from training.scope_data.dataset import Split
from training.scope_data.facts import Fact, SubjectSet, one_per_subject, split_of, templated
from training.scope_data.held_out_memory import KnownVectors
from training.scope_data.labels import label_of, surely_differ
from training.scope_data.mining import mine_statements
from training.scope_data.mixture import IN_SCOPE, SHARES, mixed
from training.scope_data.pairs import NEAR_MISSES, Pair, PairMaker
from training.scope_data.routed import calibrate_by_routing
from training.scope_data.statement_pairs import near_pairs, statement_pairs
from training.scope_data.statements import Statement

FACTS = [
    Fact("made", name, "birth_place", (f"Where was {name} born?", f"The birthplace of {name} is"), answer="Lundby")
    for name in ("Orla Venn", "Tam Brisk", "Iva Lund")
] + [
    Fact(
        "made", "Pell Osten", "mother", ("Who is the mother of Pell Osten?",), ("Pell Osten's mother is",),
        steps=("Where was the mother of Pell Osten born?",), others=(("same_subject", "The gender of Pell Osten is"),),
        answer="Ada Osten",
    )
]  # fmt: skip
UNRELATED = ["who sings yellow", "how old is the moon"]
PROSE = ["The wind had gone round to the north before dawn.", "She put the letter back in the drawer."]


def maker_of(facts: list[Fact]) -> PairMaker:
    """A pair maker that changes no query."""
    return PairMaker(facts, TemplateBank(facts), UNRELATED, PROSE, random.Random(0), changed=0.0)


@pytest.mark.parametrize(
    ("template", "label"),
    [
        ("What is the date of birth of {}?", "birth_date"),
        ("Where was {} born?", "birth_place"),
        ("The mother tongue of {} is", "native_language"),
        ("{} died in the city of", "death_place"),
        ("Who is {}'s mother?", "mother"),
        ("The number of children {} has is", None),
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
    assert held_out.mentioned_in(Fact("made", "x", None, ("x is",), aliases=("ORLA VENN is",)))
    assert not held_out.mentioned_in(FACTS[1])


def test_a_subject_is_in_one_split() -> None:
    """The split depends on the subject and the seed, not on spelling or source."""
    assert split_of("Orla Venn", 0) == split_of("orla  venn!", 0)
    assert {split_of(str(number), 0) for number in range(200)} == {"train", "calibration", "test"}
    assert len(one_per_subject([*FACTS, *FACTS])) == len(FACTS)


def test_positives_name_their_subject() -> None:
    """Every query made to be in scope names the edit's subject, in full or in short."""
    for pair in maker_of(FACTS).positives():
        assert pair.in_scope
        same = pair.family == "same_words"  # this one is written in another way on purpose
        assert same or any(word in pair.query for word in ("Venn", "Brisk", "Lund", "Osten")), pair


def test_negatives_cover_the_ways_to_be_wrong() -> None:
    """Another subject, another relation, the way back, the answer, a trap and no question at all are made."""
    pairs = [pair for _ in range(20) for pair in maker_of(FACTS).negatives()]
    assert not any(pair.in_scope for pair in pairs)
    families = {pair.family for pair in pairs}
    assert {
        "swapped_subject", "same_subject", "step_aside", "inverse", "about_answer", "trap", "no_question", "unrelated",
    } <= families  # fmt: skip
    swapped = [pair for pair in pairs if pair.family == "swapped_subject"]
    assert all(SubjectSet([fact.subject]).found(p.wording) == set() or fact.subject not in p.query
               for p in swapped for fact in FACTS)  # fmt: skip


@pytest.mark.parametrize(
    ("label", "answer", "names"),
    [
        ("mother", "Ada", {"Orla Venn", "Ada"}),
        ("mother", "", {"Orla Venn"}),
        ("vessel", "frigate", {"frigate"}),
        ("vessel", "", set()),
        ("spouse", "Ada", set()),
    ],
)
def test_a_relation_is_asked_back_of_what_can_answer_it(label: str, answer: str, names: set[str]) -> None:
    """A ship is no class of ships, so that who asks for one by a ship's name means the ship's own class."""
    fact = Fact("made", "Orla Venn", label, ("a wording",), answer=answer)
    bank, rng = TemplateBank([fact]), random.Random(0)
    asked = {text for _ in range(60) if (text := bank.inverse(fact, rng))}
    assert {name for name in ("Orla Venn", "Ada", "frigate") for text in asked if name in text} == names


def test_no_relation_is_seen_in_near_misses_only() -> None:
    """A relation that no fact has is asked for in scope as well, so that its words alone tell nothing."""
    maker = maker_of(FACTS[:3])

    def relations(pairs: Iterable[Pair]) -> Counter[str | None]:
        subject = {text: fact.subject for fact in FACTS for text in fact.subject.split()}
        return Counter(
            label_of(templated(pair.query, next(name for word, name in subject.items() if word in pair.query)))
            for pair in pairs
            if pair.family in ("drawn_relation", "same_subject")
        )

    asked = relations(pair for _ in range(300) for pair in maker.positives())
    missed = relations(pair for _ in range(300) for pair in maker.negatives())
    # The facts' own relation is asked for in other families, and what is like it is drawn for neither.
    often = {label for label, count in missed.items() if count >= 60 and surely_differ(label, "birth_place")}
    assert len(often) > 20
    assert {label: missed[label] for label in often if asked[label] * 10 <= missed[label]} == {}


def test_every_family_has_a_share() -> None:
    """No family is made that the mixture does not know, nor called a near-miss that it never makes."""
    made = {p.family for p in (*maker_of(FACTS).positives(), *maker_of(FACTS).negatives())}
    assert made <= set(SHARES)
    assert set(NEAR_MISSES) <= set(SHARES)


def test_the_mixture_keeps_its_proportions() -> None:
    """Families come in their shares, and a scarce one leaves its room to the others of its class."""
    plenty = [Pair("a", f"{family} {n}", in_scope, family)
              for family, in_scope in (("paraphrase", True), ("same_subject", False)) for n in range(900)]  # fmt: skip
    scarce = [Pair("a", f"{n}", True, "one_step") for n in range(7)]
    chosen = Counter(pair.family for pair in mixed([*plenty, *scarce], 400, random.Random(0)))
    assert chosen["one_step"] == 7
    assert chosen.total() == pytest.approx(400, abs=2)
    inside = sum(SHARES[family] for family in IN_SCOPE) / sum(SHARES.values())
    assert chosen["paraphrase"] + 7 == pytest.approx(400 * inside, abs=2)


def test_a_statement_is_asked_part_by_part() -> None:
    """Each part of a statement makes a positive; what it leaves open or says of others makes negatives."""
    statement = Statement(
        "post", "Acme moves to Rome in May.",
        (("Where does Acme move?",), ("When does Acme move?",)), ("Who owns Acme?",), ("Where does Apex move?",),
    )  # fmt: skip
    augment = maker_of(FACTS).augment
    pairs = list(statement_pairs([statement], augment, UNRELATED, random.Random(1)))
    assert [p.query for p in pairs if p.in_scope] == ["Where does Acme move?", "When does Acme move?"]
    assert {"Who owns Acme?", "Where does Apex move?"} <= {p.query for p in pairs if not p.in_scope}


def test_the_nearest_statements_are_near_misses(encoder: SentenceEncoder) -> None:
    """A query meets the statement that retrieval finds for it, but none that it is a question of."""
    told = ("Acme moves to Lund in May.", "Apex moves to Lund in June.", "The library lends ladders.")
    asked = ("When does Acme move?", "When does Apex move?", "What does the library lend?")
    statements = [Statement("t", text, ((query,),), (), ()) for text, query in zip(told, asked, strict=True)]
    found = mine_statements(statements, ["When does Acme move?", "who lends ladders"], encoder, k=1)
    assert [(query, [statement.wording for statement in near]) for query, near in found] == [
        ("When does Acme move?", [told[1]]),
        ("who lends ladders", [told[2]]),
    ]
    families = {found[0][0]: "statement_other", found[1][0]: "statement_unrelated"}
    assert list(near_pairs(found, maker_of(FACTS).augment, families)) == [
        Pair(near[0].wording, query, in_scope=False, family=families[query], plain=query) for query, near in found
    ]
    assert mine_statements([], asked, encoder, k=1) == mine_statements(statements, [], encoder, k=1) == []


@pytest.mark.parametrize(
    ("subject", "person", "expected"),
    [
        ("The Beatles", False, {"Beatles"}),
        ("USS Platte (AO-24)", False, {"USS Platte"}),
        ("Orla Venn", True, {None}),
        ("Orla Hansen", True, {"Hansen"}),
        ("Orla Maria Hansen", True, {"Orla Hansen", None}),
        ("Visual Basic Script", False, {None}),
    ],
)
def test_names_are_shortened_where_that_is_safe(subject: str, person: bool, expected: set[str | None]) -> None:
    """Articles, brackets and the first or middle names of persons may go; nothing else."""
    assert {short_form(subject, person=person, rng=random.Random(seed)) for seed in range(20)} == expected


def test_a_number_in_a_name_is_changed() -> None:
    """Only the number differs; a name without one has no such near-miss."""
    found = {other_number("1998 Winter Games", random.Random(seed)) for seed in range(40)}
    assert found == {"1996 Winter Games", "1997 Winter Games", "1999 Winter Games", "2000 Winter Games",
                     "2008 Winter Games"}  # fmt: skip
    assert other_number("Orla Venn", random.Random(0)) is None


def test_a_blended_name_differs_by_more_than_a_slip_of_the_pen() -> None:
    """One long word keeps half of its letters, and two or more of the others change; short names are not blended."""
    found = {blended("Orla Haverford", "Tilda Menzwick", random.Random(seed)) for seed in range(60)} - {None}
    assert len(found) > 5
    for name in found:
        first, last = name.split()
        assert first == "Orla"
        assert len(last) == len("Haverford")
        assert 1 < sum(a != b for a, b in zip(last.casefold(), "haverford", strict=True)) <= 4
    assert blended("Orla Venn", "Tilda Menzwick", random.Random(0)) is None
    assert blended("Orla Haverford", "Al Wu", random.Random(0)) is None


def test_invented_names_are_told_apart_by_their_letters() -> None:
    """A name that nobody bears is asked for as stored, and is not the name that looks much like it."""
    names = ("Haverford", "Menzwick", "Tollbridge", "Ostermund")
    facts = [
        Fact("made", f"Orla {name}", "mother", (f"Who is the mother of Orla {name}?",), (f"Orla {name}'s mother is",))
        for name in names
    ]
    maker = maker_of(facts)
    pairs = [pair for _ in range(20) for pair in (*maker.positives(), *maker.negatives())]
    for family, in_scope in (("invented_name", True), ("near_name", False)):
        made = [pair for pair in pairs if pair.family == family]
        assert made
        for pair in made:
            stored, asked = (re.search(r"Orla (\w+)", text) for text in (pair.wording, pair.query))
            assert stored is not None
            assert asked is not None
            assert stored[1] not in names
            assert (stored[1] == asked[1]) == in_scope == pair.in_scope


def test_calibration_is_on_routed_queries(encoder: SentenceEncoder, small_classifier: ScopeClassifier) -> None:
    """The recipe calibrates on the best candidates that a router found, and states its evidence."""
    names = [f"{first} {last}" for first in ("Orla", "Tam", "Iva", "Pell") for last in ("Venn", "Brisk", "Lund")]
    facts = [
        Fact("made", name, "mother", (f"Who is the mother of {name}?",), (f"{name}'s mother is",), answer="Ada")
        for name in names
    ]
    maker = maker_of(facts)
    pairs = [*maker.positives(), *maker.negatives()]
    wording, asked = facts[0].wordings[0], facts[1].queries[0]
    # Another stored name with a slip of the pen: the memory answers it, so that it is no near-miss.
    answered = Pair(wording, asked.replace("Brisk", "Birsk"), in_scope=False, family="swapped_subject", plain=asked)
    classifier = ScopeClassifier(encoder.files)
    classifier._use(small_classifier._adapter)
    calibrated_on = []
    for made in (pairs, [*pairs, answered]):
        calibrate_by_routing(
            classifier, encoder, Split(facts, made, UNRELATED), distractors=facts[:3], locality=0.9, seed=0
        )
        calibrated_on.append(classifier.calibration_.pairs)
    assert classifier.threshold_ is not None
    assert classifier.threshold_.stated_locality == 0.9
    assert classifier.calibration_.prior == 0.25
    assert calibrated_on[0] > len(facts)
    assert calibrated_on[0] == calibrated_on[1]


def test_texts_are_encoded_once(encoder: SentenceEncoder) -> None:
    """Memories of several sizes share the vectors of what they both hold."""
    known = KnownVectors(encoder)
    first = known.encode(["Orla Venn", "Tam Brisk", "Orla Venn"])
    assert first.shape == (3, encoder.dimension)
    assert (known.encode(["Tam Brisk"])[0] == first[1]).all()
