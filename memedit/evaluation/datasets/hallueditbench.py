"""HalluEditBench (Huang et al. 2025, MIT): facts that a model was seen to get wrong.

CSV tables, one per model and topic, with the columns (llm-editing/HalluEditBench,
`code/edit_all_method.py`): `question`, `object` (the true answer, which is to be stored), `subject`,
`relation`, `paraphrased_question`, `locality_question` (another relation of the subject, without an
answer), `reversed_relation_question` (answered by the subject), and `question_2hop` to
`question_6hop` with `answer_…`. The yes-or-no and multiple-choice columns are not read: free
decoding has no rule for their answers.
"""

from __future__ import annotations

from memedit.evaluation.cases import Case, LocalityKind, Probe
from memedit.evaluation.datasets.info import DatasetInfo
from memedit.transfer.records import Record

INFOS = (
    DatasetInfo(
        name="hallueditbench",
        form="hallueditbench",
        licence="MIT",
        citation="Huang, Chen, Xu, Payani, Shu 2025, Can Knowledge Editing Really Correct Hallucinations? (ICLR)",
        url="https://github.com/llm-editing/HalluEditBench/tree/main/data/questions/hallucination_final",
    ),
)
_HOPS = range(2, 7)


def read(record: Record) -> list[Case] | str:
    """The case of a row; of no use if its object is blank."""
    targets = record.answers("object")
    if not targets:
        return "blank_target"
    subject = record.text("subject")
    reverse = [Probe(prompt, (subject,), "reversed_relation") for prompt in record.texts("reversed_relation_question")]
    chains = [
        Probe(prompt, record.answers(f"answer_{hops}hop"), f"{hops}hop")
        for hops in _HOPS
        for prompt in record.texts(f"question_{hops}hop")
    ]
    others = tuple(Probe(prompt, (), "locality_question") for prompt in record.texts("locality_question"))
    return [
        Case(
            row=record.row,
            prompt=record.text("question"),
            target=targets[0],
            subject=subject,
            relation=next(iter(record.texts("relation")), None),
            paraphrases=record.texts("paraphrased_question"),
            locality={LocalityKind.SAME_SUBJECT: others} if others else {},
            portability=(*reverse, *chains),
        )
    ]
