"""QAEdit (Yang et al. 2025, "The Mirage of Model Editing"): questions of everyday use.

Fields (WanliYoung/Revisit-Editing-Evaluation, `edit.py` and `data/`): `prompt`, `target`, `subject`,
`rephrase`, and `locality`, a list of unrelated questions `loc` with `loc_ans`. No licence is stated;
the questions are those of Natural Questions (CC BY-SA 3.0), TriviaQA (Apache-2.0) and SimpleQA (MIT).
"""

from __future__ import annotations

from memedit.evaluation.cases import Case, LocalityKind
from memedit.evaluation.datasets.info import DatasetInfo
from memedit.evaluation.datasets.zsre import locality_probes
from memedit.transfer.records import Record

INFOS = (
    DatasetInfo(
        name="qaedit",
        form="qaedit",
        licence="none stated; questions of Natural Questions (CC BY-SA 3.0), TriviaQA (Apache-2.0), SimpleQA (MIT)",
        citation="Yang et al. 2025, The Mirage of Model Editing: Revisiting Evaluation in the Wild (ACL)",
        url="https://github.com/WanliYoung/Revisit-Editing-Evaluation",
    ),
)


def read(record: Record) -> list[Case] | str:
    """The case of a record; of no use if its target is blank."""
    targets = record.answers("target")
    if not targets:
        return "blank_target"
    unrelated = tuple(probe for entry in record.parts("locality") for probe in locality_probes(entry))
    return [
        Case(
            row=record.row,
            prompt=record.text("prompt"),
            target=targets[0],
            subject=next(iter(record.texts("subject")), None),
            answers=targets,
            paraphrases=record.texts("rephrase"),
            locality={LocalityKind.UNRELATED: unrelated} if unrelated else {},
        )
    ]
