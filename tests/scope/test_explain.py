"""Explanations in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from transformers import PreTrainedModel, PreTrainedTokenizerBase, pipeline

import memedit
from memedit import EditMemory, Router, ScopeClassifier, SentenceEncoder
from memedit.scope import Candidate, Route

QUERY = "Orla Venn's mother is"


@pytest.fixture
def memory(encoder: SentenceEncoder) -> Iterator[EditMemory]:
    """Edits in RAM, one of them in a namespace of its own."""
    with EditMemory(None, encoder) as opened:
        opened.add("Who is the mother of Orla Venn?", "Ada Venn")
        opened.add("Who is the father of Orla Venn?", "Odo Venn")
        opened.add("Who is the mother of Orla Venn?", "Eva Venn", namespace="other")
        yield opened


def test_a_router_explains_an_edit(memory: EditMemory, classifier: ScopeClassifier) -> None:
    """Query, decision, answer, threshold and every candidate are told, in aligned columns."""
    lines = memedit.explain(Router(memory, classifier), QUERY).splitlines()
    assert lines[0] == f"query      {QUERY}"
    assert 'means the edit "Who is the mother of Orla Venn?"' in lines[1]
    assert lines[2].startswith("answer     Ada Venn (edit ")
    [threshold] = classifier.threshold_for(["Who is the mother of Orla Venn?"])
    assert lines[3] == f"threshold  {threshold:.3f}"
    head, winner, other = lines[5:]
    assert winner.startswith("Who is the mother of Orla Venn?  Ada Venn")
    assert winner.endswith("in scope, answers")
    assert other.startswith("Who is the father of Orla Venn?  Odo Venn")
    for name, cell in (("why", "in scope, answers"), ("answer", "Ada Venn")):
        assert head.index(name) == winner.index(cell)


def test_the_base_answers_for_a_reason(memory: EditMemory, classifier: ScopeClassifier) -> None:
    """Where no edit answers, the text says why, without a table if nothing is near."""
    text = memedit.explain(Router(memory, classifier), "how do magnets work")
    assert "No stored edit is near" in text
    assert "candidate" not in text
    assert "No edit is stored" in memedit.explain(Router(memory, classifier), QUERY, namespace="empty")


def test_models_and_pipelines_explain_themselves(
    memory: EditMemory,
    classifier: ScopeClassifier,
    mini: PreTrainedModel,
    mini_tokenizer: PreTrainedTokenizerBase,
) -> None:
    """Model and pipeline explain in their own namespace, unless another one is named."""
    pipe = pipeline("text-generation", model=mini, tokenizer=mini_tokenizer)
    edited = memedit.wrap(pipe, memory=memory, scope=classifier, editor="base", namespace="other")
    for either in (edited, edited.model):
        assert "Eva Venn" in memedit.explain(either, QUERY)
        assert "Ada Venn" in memedit.explain(either, QUERY, namespace="default")
    edited.model.unwrap()
    for wrong in (mini, pipe, memory):
        with pytest.raises(TypeError, match="expected an EditedModel"):
            memedit.explain(wrong, QUERY)
    with pytest.raises(TypeError, match="one query as a string, got list"):
        memedit.explain(edited, [QUERY])


def test_what_became_of_each_candidate_is_told(memory: EditMemory) -> None:
    """Each way to lose has its own words; long and many-lined texts take one short line."""
    edit = replace(memory.list("default")[0], revision=1)
    newer = replace(edit, revision=2)
    candidates = (
        Candidate(newer, "winner", 0.8, 0.95, 0.8),
        Candidate(edit, "best", 0.9, 0.99, 0.8),
        Candidate(edit, "tied", 0.7, 0.95002, 0.8),
        Candidate(edit, "weaker", 0.9, 0.9, 0.8),
        Candidate(edit, "a\nb " + "long " * 40, 0.9, 0.5, 0.8),
    )
    lines = str(Route("q\nq", newer, 0.95, 0.8, candidates, "Because.", 0.0)).splitlines()
    assert lines[0] == "query      q q"
    expected = (
        "in scope, answers",
        "in scope, lost: a newer or higher-ranked edit of the best one's fact",
        "in scope, lost: as probable, less similar",
        "in scope, lost: less probable",
        "below the threshold",
    )
    for line, words in zip(lines[-5:], expected, strict=True):
        assert line.endswith(words)
    assert lines[-1].startswith("a b long long")
    assert all(len(line) < 170 for line in lines)
    assert "Because." in lines[1]
