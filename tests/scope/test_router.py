"""The router: search, early leave, classification, choice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from memedit.memory import EditMemory
from memedit.scope import Router, ScopeClassifier, SentenceEncoder
from memedit.scope.router import MARGIN
from memedit.scope.thresholds import form_of


@pytest.fixture
def memory(encoder: SentenceEncoder) -> Iterator[EditMemory]:
    """A few edits in RAM."""
    with EditMemory(None, encoder) as opened:
        opened.add("Who is the mother of Orla Venn?", "Ada Venn", aliases=["Orla Venn's mother is"])
        opened.add("Who is the mother of Tam Brisk?", "Eva Brisk")
        opened.add("The capital of Iva Lund is", "Lundby", namespace="maps")
        yield opened


class Counted(ScopeClassifier):
    """A classifier that counts its calls and gives every pair one probability."""

    def __init__(self, encoder: SentenceEncoder, verdict: float) -> None:
        super().__init__(encoder.files)
        self.calls: list[int] = []
        self.verdict = verdict

    def probability(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """The one verdict for every pair."""
        self.calls.append(len(pairs))
        return np.full(len(pairs), self.verdict)


def test_the_edits_own_prompt_always_fires(memory: EditMemory, small_classifier: ScopeClassifier) -> None:
    """The prompt and each alias of an edit are routed to it."""
    router = Router(memory, small_classifier)
    for edit in memory.list("default"):
        for route in router.route(edit.wordings):
            assert route.in_scope
            assert route.edit == edit
            assert route.probability == 1.0


def test_a_batch_is_decided_as_its_rows_are(memory: EditMemory, small_classifier: ScopeClassifier) -> None:
    """Routing many queries at once gives the decisions of routing them one by one."""
    router = Router(memory, small_classifier)
    queries = ["orla venn's mother is", "What is photosynthesis?", "Tam Brisk's mother is", ""]
    together = router.route(queries)
    alone = [router.route([query])[0] for query in queries]
    assert [route.edit for route in together] == [route.edit for route in alone]
    assert np.allclose([r.probability for r in together], [r.probability for r in alone], atol=1e-4)


def test_nothing_near_never_reaches_the_classifier(memory: EditMemory, encoder: SentenceEncoder) -> None:
    """A query with no near edit leaves before the cross-encoder, and the reason says so."""
    classifier = Counted(encoder, 1.0)
    [route] = Router(memory, classifier, floor=0.9).route(["how do magnets work"])
    assert classifier.calls == []
    assert not route.in_scope
    assert route.probability == 0.0
    assert "near" in route.reason
    assert route.candidates == ()


def test_all_candidates_are_classified_in_one_call(memory: EditMemory, encoder: SentenceEncoder) -> None:
    """However many queries, the classifier is called once."""
    classifier = Counted(encoder, 0.1)
    Router(memory, classifier, floor=-1.0, margin=None).route(["Who is Orla Venn's mother?", "Who is Tam?", "x"])
    assert classifier.calls == [6]


def test_the_newest_of_equals_wins(memory: EditMemory, encoder: SentenceEncoder) -> None:
    """When equally probable edits ask the same, the newest revision answers."""
    newest = memory.add("Tell me the mother of Orla Venn", "Ida Venn")
    [route] = Router(memory, Counted(encoder, 0.9)).route(["Who is the mother of Orla Venn?"])
    assert route.edit == newest
    assert route.candidates[0].edit == newest


def test_of_one_fact_the_highest_priority_answers(memory: EditMemory, encoder: SentenceEncoder) -> None:
    """Priority comes before newness among edits that state the same fact."""
    first = memory.add("Name the mother of Orla Venn", "Eda Venn", priority=2)
    memory.add("Tell me the mother of Orla Venn", "Ida Venn", priority=1)
    [route] = Router(memory, Counted(encoder, 0.9)).route(["Who is the mother of Orla Venn?"])
    assert route.edit == first


class Unlike(Counted):
    """Gives every query one probability and says that no two stored wordings ask the same."""

    def probability(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """The verdict at the first call, nought afterwards."""
        found = super().probability(pairs)
        return found if len(self.calls) == 1 else np.zeros(len(pairs))


def test_a_newer_edit_of_another_fact_does_not_win(memory: EditMemory, encoder: SentenceEncoder) -> None:
    """Among equally probable edits that ask different things, the most similar one answers."""
    memory.add("Tell me the father of Orla Venn", "Odo Venn")
    classifier = Unlike(encoder, 0.9)
    [route] = Router(memory, classifier, margin=None).route(["Who is the mother of Orla Venn?"])
    assert route.edit is not None
    assert route.edit.target == "Ada Venn"
    assert len(classifier.calls) == 2


def test_of_one_fact_stored_in_two_wordings_the_newest_answers(
    encoder: SentenceEncoder, classifier: ScopeClassifier
) -> None:
    """The shipped classifier sees that both edits state one fact, and the later one answers."""
    with EditMemory(None, encoder) as memory:
        memory.add("Who is the mother of Orla Venn?", "Ada Venn")
        newest = memory.add("What is the name of Orla Venn's mother?", "Ida Venn")
        memory.add("Who is the father of Orla Venn?", "Odo Venn")
        for query in ("The mother of Orla Venn is", "who is the mother of orla venn"):
            [route] = Router(memory, classifier).route([query])
            assert route.edit == newest
            assert route.candidates[0].edit == newest


class ByWording(Counted):
    """Says of each wording how probable every query is; of two stored wordings, whether they are listed as the same."""

    def __init__(self, encoder: SentenceEncoder, verdicts: dict[str, float], same: set[frozenset[str]]) -> None:
        super().__init__(encoder, 0.0)
        self.verdicts, self.same = verdicts, same

    def probability(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """The verdict for each wording, or on two wordings."""
        return np.array(
            [
                float(frozenset((wording, query)) in self.same) if query in self.verdicts else self.verdicts[wording]
                for wording, query in pairs
            ]
        )


ORLA, TAM = "Who is the mother of Orla Venn?", "Who is the mother of Tam Brisk?"
OTHER_WORDS = "Tell me the mother of Orla Venn"


def test_of_two_facts_in_scope_the_most_probable_answers(memory: EditMemory, encoder: SentenceEncoder) -> None:
    """Neither similarity nor age counts between edits of different facts whose probabilities differ."""
    for orla, tam, target in ((0.9, 0.8, "Ada Venn"), (0.8, 0.9, "Eva Brisk")):
        classifier = ByWording(encoder, {ORLA: orla, TAM: tam}, set())
        [route] = Router(memory, classifier, floor=-1.0).route(["The mother of Orla Venn or Tam Brisk?"])
        assert route.edit is not None
        assert route.edit.target == target
        assert [candidate.probability for candidate in route.candidates] == [0.9, 0.8]


def test_the_newest_edit_of_the_fact_answers_though_it_is_less_probable(
    memory: EditMemory, encoder: SentenceEncoder
) -> None:
    """Of the most probable edit's fact the newest edit in scope answers, but none that is not in scope."""
    memory.add(OTHER_WORDS, "Ida Venn")
    same = {frozenset((ORLA, OTHER_WORDS))}
    for probability, target in ((0.6, "Ida Venn"), (0.4, "Ada Venn")):
        classifier = ByWording(encoder, {ORLA: 0.9, TAM: 0.1, OTHER_WORDS: probability}, same)
        [route] = Router(memory, classifier, floor=-1.0).route(["The mother of Orla Venn is"])
        assert route.edit is not None
        assert route.edit.target == target


def test_only_candidates_within_the_margin_are_classified(encoder: SentenceEncoder) -> None:
    """Of many edits those are considered that are about as similar as the nearest one, and over the floor."""
    query = "Who is Orla Venn's mother?"
    with EditMemory(None, encoder) as memory:
        memory.add("Who is the mother of Orla Venn?", "Ada Venn")
        memory.add_many(
            {"prompt": f"Who is the {relation} of Orla Venn?", "target": "Una"}
            for relation in ("employer", "doctor", "landlord", "tailor", "teacher")
        )
        every = Router(memory, Counted(encoder, 0.1), floor=-1.0, margin=None).route([query])[0].candidates
        assert len(every) == 6
        gaps = [every[0].similarity - candidate.similarity for candidate in every]
        for margin, count in ((None, 6), (gaps[5] + 1e-6, 6), (gaps[1] + 1e-6, 2), (gaps[1] - 1e-6, 1), (0.0, 1)):
            classifier = Counted(encoder, 0.1)
            [route] = Router(memory, classifier, floor=-1.0, margin=margin).route([query])
            assert classifier.calls == [count]
            assert [candidate.edit for candidate in route.candidates] == [c.edit for c in every[:count]]
        [route] = Router(memory, Counted(encoder, 0.1), floor=0.99, margin=2.0).route([query])
        assert route.candidates == ()


def test_the_newest_answers_also_if_its_words_are_unlike_the_query(
    encoder: SentenceEncoder, classifier: ScopeClassifier
) -> None:
    """A correction in other words answers a query in the words of the edit it corrects, among many like that."""
    names = ("Orla Venn", "Iva Lund", "Tam Orr", "Odo Brandt", "Nell Price", "Hugo Sand", "Ines Falk", "Bo Quist")
    with EditMemory(None, encoder) as memory:
        memory.add_many({"prompt": f"The mother tongue of {name} is", "target": "Breton"} for name in names)
        newest = memory.add("Orla Venn, a native speaker of", "Manx")
        [route] = Router(memory, classifier).route(["The mother tongue of Orla Venn is"])
    found = {candidate.edit: candidate.similarity for candidate in route.candidates}
    assert max(found.values()) - found[newest] > MARGIN
    assert route.edit == newest


def test_names_that_differ_by_a_letter_are_not_one_fact(encoder: SentenceEncoder, classifier: ScopeClassifier) -> None:
    """Of edits about names spelled alike the one about the query's name answers, however new the others are."""
    names = ("Vololmoor", "Volaelmoor", "Vololmaar", "Volelmoor", "Valolmoor", "Vololmuur", "Vulolmoor", "Volalmoor")
    with EditMemory(None, encoder) as memory:
        edits = memory.add_many({"prompt": f"The oldest bridge in {name} is", "target": "Long"} for name in names)
        routes = Router(memory, classifier).route([f"What is the oldest bridge in {name}?" for name in names])
    assert [route.edit for route in routes] == edits


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("Who is the spouse of {}?", ("Anna Petersen", "Anna Peterson")),
        ("{} is married to", ("Anna Petersen", "Anna Peterson")),
        ("Which camera does the {} have?", ("Galaxy S22", "Galaxy S23")),
        ("Where was {} born?", ("Peter Müller", "Peter Muller")),
        ("What does {} mean?", ("🙃", "🫠")),
    ],
)
def test_names_that_differ_in_one_word_are_not_one_fact(
    encoder: SentenceEncoder, classifier: ScopeClassifier, form: str, names: tuple[str, str]
) -> None:
    """Each of two edits answers its own words, though the names share a word or the encoder reads them as the same."""
    with EditMemory(None, encoder) as memory:
        edits = [memory.add(form.format(name), f"that of {name}") for name in names]
        routes = Router(memory, classifier).route([form.format(name) for name in names])
        assert [route.edit for route in routes] == edits
        memory.remove(edits[0].id)
        if names == ("🙃", "🫠"):
            assert not Router(memory, classifier).route([form.format(names[0])])[0].in_scope


def test_a_correction_in_other_words_wins_among_other_facts_about_its_subject(
    encoder: SentenceEncoder, classifier: ScopeClassifier
) -> None:
    """However much is stored about a subject, the newer of two wordings of one fact about it answers."""
    facts = ("Who founded {}?", "When was {} founded?", "What does {} make?", "Where are the headquarters of {}?")
    facts += ("Who owns {}?", "What is the colour of the logo of {}?", "How many people work at {}?")
    with EditMemory(None, encoder) as memory:
        memory.add_many({"prompt": fact.format("Acme"), "target": "so"} for fact in facts)
        memory.add("Who is the mother of Orla Venn?", "Ada Venn")
        memory.add_many({"prompt": fact.format("Orla Venn"), "target": "so"} for fact in facts)
        newest = memory.add("What is the name of Orla Venn's mother?", "Ida Venn")
        for query in (
            "The mother of Orla Venn is",
            "WHO IS THE MOTHER OF ORLA VENN?",
            "who is the mother of orla venn",
        ):
            [route] = Router(memory, classifier).route([query])
            assert route.edit == newest


def test_a_query_that_occurs_twice_in_a_call_is_decided_once(memory: EditMemory, encoder: SentenceEncoder) -> None:
    """Duplicates cost nothing and get the same decision, in the order of the call."""
    classifier = Counted(encoder, 0.1)
    queries = ["Who is Tam?", "x", "Who is Tam?", "Who is Tam?"]
    routes = Router(memory, classifier, floor=-1.0, margin=None, cache_size=0).route(queries)
    assert classifier.calls == [4]
    assert [route.query for route in routes] == queries
    assert routes[0] == routes[2] == routes[3]


def test_edits_are_considered_at_the_instant_asked_for(memory: EditMemory, encoder: SentenceEncoder) -> None:
    """An edit answers only while it is valid."""
    start, end = datetime(2030, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
    prompt = "Who is the mother of Iva Lund?"
    memory.add(prompt, "Una Lund", namespace="later", valid_from=start, valid_until=end)
    router = Router(memory, Counted(encoder, 0.9))
    for at, fires in ((start - timedelta(seconds=1), False), (start, True), (end, False)):
        assert router.route([prompt], "later", at)[0].in_scope == fires
    with pytest.raises(ValueError, match="timezone-aware"):
        router.route([prompt], "later", datetime(2030, 1, 1))


class ByForm(ByWording):
    """Has one threshold for questions and a higher one for all other wordings."""

    def threshold_for(self, wordings: Sequence[str]) -> NDArray[np.float64]:
        """0.6 or 0.8."""
        return np.array([0.6 if form_of(wording) == "question" else 0.8 for wording in wordings])


@pytest.mark.parametrize(
    ("question", "cloze", "answers"), [(0.7, 0.5, True), (0.5, 0.7, False), (0.7, 0.75, True), (0.7, 0.9, False)]
)
def test_each_form_of_edit_fires_from_its_own_threshold(
    encoder: SentenceEncoder, question: float, cloze: float, answers: bool
) -> None:
    """The most probable of the edits that reach the threshold of their wording answers; without any, it is shown."""
    verdicts = {"Who runs Acme?": question, "The head of Acme is": cloze}
    with EditMemory(None, encoder) as memory:
        asked, told = (memory.add(wording, "Dana Reyes") for wording in verdicts)
        [route] = Router(memory, ByForm(encoder, verdicts, set()), floor=-1.0, margin=None).route(["Acme's boss"])
    best = asked if answers or question > cloze else told
    assert route.candidates[0].edit == best
    assert route.threshold == (0.6 if best is asked else 0.8)
    assert (route.edit == asked) == answers
    assert route.in_scope == route.candidates[0].in_scope == (route.probability >= route.threshold)


def test_below_the_threshold_the_base_answers(memory: EditMemory, encoder: SentenceEncoder) -> None:
    """A candidate under the threshold is shown and does not fire."""
    [route] = Router(memory, Counted(encoder, 0.49)).route(["Who is the mother of Orla Venn?"])
    assert route.edit is None
    assert route.probability == 0.49
    assert route.candidates
    assert "0.490" in route.reason
    assert "0.500" in route.reason


def test_namespaces_do_not_mix(memory: EditMemory, small_classifier: ScopeClassifier) -> None:
    """An edit of one namespace never answers a query of another."""
    router = Router(memory, small_classifier)
    query = "The capital of Iva Lund is"
    assert router.route([query], namespace="maps")[0].in_scope
    assert router.route([query])[0].edit is None


def test_an_empty_memory_says_so(encoder: SentenceEncoder, small_classifier: ScopeClassifier) -> None:
    """Without edits nothing is in scope; without queries there are no routes."""
    with EditMemory(None, encoder) as empty:
        router = Router(empty, small_classifier)
        [route] = router.route(["anything"])
        assert not route.in_scope
        assert "No edit is stored" in route.reason
        assert router.route([]) == []


def test_wrong_arguments_are_refused(memory: EditMemory, small_classifier: ScopeClassifier) -> None:
    """A single string is not taken for a list of letters; numbers out of range are named."""
    with pytest.raises(TypeError, match="several strings"):
        Router(memory, small_classifier).route("Who?")
    with pytest.raises(ValueError, match="k must be"):
        Router(memory, small_classifier, k=0)
    for margin in (-0.1, float("nan")):
        with pytest.raises(ValueError, match="margin must be"):
            Router(memory, small_classifier, margin=margin)
    with pytest.raises(ValueError, match="cache_size must be"):
        Router(memory, small_classifier, cache_size=-1)


def test_an_edit_answers_its_own_words_whatever_the_classifier_says(
    encoder: SentenceEncoder, classifier: ScopeClassifier
) -> None:
    """A query in the very words of an edit or its alias is in scope with probability 1."""
    memory = EditMemory(None, encoder)
    edit = memory.add("Toko Yasuda, the", "piano", aliases=["zxq 17 of the"])
    for query in ("Toko Yasuda, the", "toko yasuda,  the", "zxq 17 of the"):
        route = Router(memory, classifier).route([query])[0]
        assert route.edit == edit
        assert route.probability == 1.0
