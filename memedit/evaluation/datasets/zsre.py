"""zsRE (Levy et al. 2017; the text is Wikipedia's, CC BY-SA), as MEND and ROME split it.

Fields (kmeng01/rome, `dsets/zsre.py`; zjunlp/EasyEdit, `easyeditor/dataset/zsre.py`): `src`, `alt`
(the new answer), `answers` or `answer`, `rephrase`, `subject`, `loc` (a question of Natural Questions
behind "nq question: ") with `loc_ans`; in EasyEdit's extended file (Yao et al. 2023) also
`portability` with `New Question` and `New Answer`.
"""

from __future__ import annotations

from memedit.evaluation.cases import Case, LocalityKind, Probe
from memedit.evaluation.datasets.info import DatasetInfo, HubSource
from memedit.transfer.facts import Fact, read_fact
from memedit.transfer.records import Record

NQ_PREFIX = "nq question:"
"""What zsRE puts before its unrelated questions."""

INFOS = (
    DatasetInfo(
        name="zsre",
        form="zsre",
        licence="none stated; the text is of Wikipedia, CC BY-SA",
        citation="Levy, Seo, Choi, Zettlemoyer 2017, Zero-Shot Relation Extraction via Reading Comprehension (CoNLL)",
        url="https://rome.baulab.info/data/dsets/zsre_mend_eval.json",
        hub=HubSource("json", data_files="https://rome.baulab.info/data/dsets/zsre_mend_eval.json"),
    ),
)


def read(record: Record) -> list[Case] | str:
    """The case of a record; of no use if its new answer is blank or the true one."""
    fact = read_fact(record, "zsre")
    if not isinstance(fact, Fact):
        return fact
    unrelated = locality_probes(record)
    return [
        Case(
            row=record.row,
            prompt=fact.prompt,
            target=fact.target,
            subject=fact.subject,
            old_answers=fact.old_answers,
            paraphrases=record.texts("rephrase"),
            locality={LocalityKind.UNRELATED: unrelated} if unrelated else {},
            portability=portability_probes(record),
        )
    ]


def locality_probes(record: Record) -> tuple[Probe, ...]:
    """The questions of `loc`, without zsRE's prefix, with the answers of `loc_ans`."""
    answers = record.answers("loc_ans")
    return tuple(Probe(_without_prefix(prompt), answers, "nq") for prompt in record.texts("loc"))


def portability_probes(record: Record) -> tuple[Probe, ...]:
    """The question of `portability`, or of `port` as BMIKE-53 calls it; none if it is missing."""
    if "port" in record.values:
        found = [(record.texts("port"), record.answers("port_ans"))]
    else:
        found = [(part.texts("New Question"), part.answers("New Answer")) for part in record.parts("portability")]
    return tuple(Probe(prompt, answers, "portability") for prompts, answers in found for prompt in prompts)


def _without_prefix(prompt: str) -> str:
    if prompt.lower().startswith(NQ_PREFIX):
        return prompt[len(NQ_PREFIX) :].strip()
    return prompt
