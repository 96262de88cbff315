"""The router: search, early leave, classification, choice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from memedit.memory import EditMemory
from memedit.scope import Router, ScopeClassifier, SentenceEncoder


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
    Router(memory, classifier, floor=-1.0).route(["Who is Orla Venn's mother?", "Who is Tam?", "x"])
    assert classifier.calls == [6]


def test_the_newest_of_equals_wins(memory: EditMemory, encoder: SentenceEncoder) -> None:
    """When equally probable edits ask the same, the newest revision answers."""
    newest = memory.add("Tell me the mother of Orla Venn", "Ida Venn")
    [route] = Router(memory, Counted(encoder, 0.9)).route(["Who is the mother of Orla Venn?"])
    assert route.edit == newest
    assert route.candidates[0].edit == newest


class Unlike(Counted):
    """Gives every query one probability and says that no two stored wordings ask the same."""

    def probability(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """The verdict at the first call, nought afterwards."""
        found = super().probability(pairs)
        return found if len(self.calls) == 1 else np.zeros(len(pairs))


def test_a_newer_edit_of_another_fact_does_not_win(memory: EditMemory, encoder: SentenceEncoder) -> None:
    """Among equally probable edits that ask different things, the most similar one answers."""
    memory.add("Tell me the mother of Iva Lund", "Ida Lund")
    classifier = Unlike(encoder, 0.9)
    [route] = Router(memory, classifier).route(["Who is the mother of Orla Venn?"])
    assert route.edit is not None
    assert route.edit.target == "Ada Venn"
    assert len(classifier.calls) == 2


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


def test_one_string_is_refused(memory: EditMemory, small_classifier: ScopeClassifier) -> None:
    """A single string is not taken for a list of letters."""
    with pytest.raises(TypeError, match="several strings"):
        Router(memory, small_classifier).route("Who?")
    with pytest.raises(ValueError, match="k must be"):
        Router(memory, small_classifier, k=0)


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
