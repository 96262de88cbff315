"""CounterFact (Meng et al. 2022, MIT), in two forms.

The authors' own (kmeng01/rome, `counterfact.json`): `requested_rewrite` with `prompt` (a template),
`subject`, `target_new`, `target_true` and `relation_id`; `paraphrase_prompts`;
`neighborhood_prompts`, all answered by the true target. EasyEdit's reduced one (zjunlp/EasyEdit,
`easyeditor/dataset/counterfact.py`): `prompt`, `target_new`, `subject`, `ground_truth`,
`rephrase_prompt`, `locality_prompt`, `locality_ground_truth`.
"""

from __future__ import annotations

from memedit.evaluation.cases import Case, LocalityKind, Probe
from memedit.evaluation.datasets.info import DatasetInfo, HubSource
from memedit.transfer.facts import Fact, read_fact
from memedit.transfer.records import Record

INFOS = (
    DatasetInfo(
        name="counterfact",
        form="counterfact",
        licence="MIT",
        citation="Meng, Bau, Andonian, Belinkov 2022, Locating and Editing Factual Associations in GPT (NeurIPS)",
        url="https://rome.baulab.info/data/dsets/counterfact.json",
        hub=HubSource("azhx/counterfact", split="train+test"),
    ),
)


def read(record: Record) -> list[Case] | str:
    """The case of a record of either form."""
    fact = read_fact(record, "counterfact")
    if not isinstance(fact, Fact):
        return fact
    if "requested_rewrite" in record.values:
        relation = record.part("requested_rewrite").values.get("relation_id")
        paraphrases, neighbours = record.texts("paraphrase_prompts"), record.texts("neighborhood_prompts")
        gold = fact.old_answers
    else:
        relation = None
        paraphrases, neighbours = record.texts("rephrase_prompt"), record.texts("locality_prompt")
        gold = record.answers("locality_ground_truth")
    return [
        Case(
            row=record.row,
            prompt=fact.prompt,
            target=fact.target,
            subject=fact.subject,
            old_answers=fact.old_answers,
            relation=relation,
            paraphrases=paraphrases,
            locality={LocalityKind.NEIGHBOUR: tuple(Probe(prompt, gold) for prompt in neighbours)},
        )
    ]
