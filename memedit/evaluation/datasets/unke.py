"""UnKEBench (Deng et al. 2025): questions whose answers are whole paragraphs.

Fields (TrustedLLM/UnKE, `data/final_data_v2.json` and `code/unke.py`): `question`, `para_question`,
`answer` (a paragraph), and `sub_question` with `sub_answer`, lists of the same length that ask for parts
of it. No licence is stated. A paragraph is hardly ever repeated to the letter, and the default
protocol ends an answer at its first sentence: read such answers by token F1.
"""

from __future__ import annotations

from memedit.evaluation.cases import Case, Probe
from memedit.evaluation.datasets.info import DatasetInfo, HubSource
from memedit.transfer.records import Record

_FILE = "https://raw.githubusercontent.com/TrustedLLM/UnKE/main/data/final_data_v2.json"
INFOS = (
    DatasetInfo(
        name="unke",
        form="unke",
        licence="none stated",
        citation="Deng et al. 2025, Everything is Editable: Extend Knowledge Editing to Unstructured Data in Large "
        "Language Models (ICLR)",
        url=_FILE,
        hub=HubSource("json", data_files=_FILE),
    ),
)


def read(record: Record) -> list[Case]:
    """The case of a record."""
    questions, answers = record.texts("sub_question"), record.texts("sub_answer")
    if len(questions) != len(answers):
        raise record.error(
            f"sub_answer must hold an answer to each of {len(questions)} sub_question, got {len(answers)}"
        )
    return [
        Case(
            row=record.row,
            prompt=record.text("question"),
            target=record.text("answer"),
            paraphrases=record.texts("para_question"),
            portability=tuple(
                Probe(question, (answer,), "sub_question") for question, answer in zip(questions, answers, strict=True)
            ),
        )
    ]
