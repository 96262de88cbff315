"""MQuAKE (Zhong et al. 2023, MIT): CF-3k, CF-3k-v2, CF and T; and its corrected form MQuAKE-Remastered.

Fields (princeton-nlp/MQuAKE, README): `requested_rewrite`, a list of edits in CounterFact's form, each
with a `question`; `questions`, three wordings of one multi-hop question; `new_answer` and
`new_answer_alias`; `new_single_hops`, the chain of single questions after the edits, each with
`question`, `cloze`, `answer` and `answer_alias`. MQuAKE-Remastered (Zhong et al. 2025, CC BY 4.0) has
`target_new_str` instead of `target_new.str`.

A record of several edits becomes as many cases of one group. The multi-hop questions need all of
them and stand with the last, whose edit completes the chain. Each wording is scored by itself,
whereas the paper counts a record as solved if one of the three is answered. `Probe.steps` holds the
single questions: beside an edit of another record that changes one of them, the answer to the
multi-hop question no longer holds (Zhong et al. 2025), and clean memories leave it out.
"""

from __future__ import annotations

from dataclasses import replace

from memedit.evaluation.cases import Case, Probe
from memedit.evaluation.datasets.info import DatasetInfo, HubSource
from memedit.transfer.facts import read_rewrite
from memedit.transfer.records import Record

_PAPER = "Zhong et al. 2023, MQuAKE: Assessing Knowledge Editing in Language Models via Multi-Hop Questions (EMNLP)"
_REMASTERED = (
    "Zhong et al. 2025, MQuAKE-Remastered: Multi-Hop Knowledge Editing Can Only Be Advanced with "
    "Reliable Evaluations (ICLR)"
)
_FOLDER = "https://raw.githubusercontent.com/princeton-nlp/MQuAKE/main/datasets"
_HUB = "henryzhongsc/MQuAKE-Remastered"
INFOS = (
    *(
        DatasetInfo(
            name=f"mquake-{part.lower()}",
            form="mquake",
            licence="MIT",
            citation=_PAPER,
            url=f"{_FOLDER}/MQuAKE-{part}.json",
            hub=HubSource("json", data_files=f"{_FOLDER}/MQuAKE-{part}.json"),
        )
        for part in ("CF-3k", "CF-3k-v2", "T")
    ),
    *(
        DatasetInfo(
            name=f"mquake-remastered-{part.lower()}",
            form="mquake",
            licence="CC BY 4.0",
            citation=_REMASTERED,
            url=f"https://huggingface.co/datasets/{_HUB}",
            hub=HubSource(_HUB, split=part),
        )
        for part in ("CF3k", "T")
    ),
)


def read(record: Record) -> list[Case]:
    """The cases of a record, one for each of its edits."""
    rewrites, hops = record.parts("requested_rewrite"), record.parts("new_single_hops")
    if not rewrites or not hops:
        raise record.error(f"{'new_single_hops' if rewrites else 'requested_rewrite'} must hold objects, got none")
    group = record.row if len(rewrites) > 1 else None
    cases = [_case(rewrite, hops, group) for rewrite in rewrites]
    steps = tuple(Probe(hop.text("question"), _answers(hop, "answer")) for hop in hops)
    answers = _answers(record, "new_answer")
    kind = f"{len(hops)}-hop"
    questions = tuple(Probe(question, answers, kind, steps) for question in record.texts("questions"))
    return [*cases[:-1], replace(cases[-1], portability=questions)]


def _case(rewrite: Record, hops: tuple[Record, ...], group: int | None) -> Case:
    fact = read_rewrite(rewrite)
    questions = rewrite.texts("question")
    # The chain asks the edited fact again and knows other names of its answer.
    same = [hop for hop in hops if hop.text("question") in questions or hop.values.get("cloze") == fact.prompt]
    return Case(
        row=rewrite.row,
        prompt=fact.prompt,
        target=fact.target,
        subject=fact.subject,
        answers=tuple(alias for hop in same for alias in _answers(hop, "answer")),
        old_answers=fact.old_answers,
        relation=rewrite.values.get("relation_id"),
        paraphrases=questions,
        group=group,
    )


def _answers(record: Record, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((record.text(name), *record.texts(f"{name}_alias"))))
