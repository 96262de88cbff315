"""Model cards of the mini checkpoints, written from what a run measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DATA = """\
| data | licence | used for |
|---|---|---|
| English novels, 1847 to 1912 (23 books) | public domain | plain text |
| the small world in `training/world` (countries, cities, companies, people) | Apache-2.0, written for memedit | taught facts, one-step questions |
| CounterFact (Meng et al. 2022), training part | MIT | taught facts (its true answers), wordings, names |
| zsRE (Levy et al. 2017), all but the last tenth and its subjects | research use | wordings, names, answers |
| KnowEdit wiki_counterfact, training part | research use | names |
"""


def base_card(report: Mapping[str, Any]) -> str:
    """The card of `checkpoints/mini`."""
    losses = ", ".join(f"{name} {value:.3f}" for name, value in report["losses"].items())
    return f"""\
---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---

# mini

A Llama-architecture causal language model of {report["parameters"] / 1e6:.1f} M parameters, trained from
scratch so that memedit can be shown, tested and measured offline on a model that really knows
things. `AutoModelForCausalLM.from_pretrained` loads it.

**What it is not:** an assistant, a source of truth, or a model for any use of its own. It knows the
{report["facts"]:,} facts it was taught and reads short contexts; on anything else it makes things up.

## Recipe

`python -m training.base --data DIR --output checkpoints/mini`, seed {report["seed"]}, {report["steps"]:,} steps, about
{report["tokens"] / 1e6:.1f} M tokens (padding not counted), {report["minutes"]:.0f} minutes on two CPU cores (bfloat16 autocast; Muon for the
matrices, AdamW for embeddings and norms), torch {report["torch"]}. Mean losses of the last hundred batches, in
nats per token: {losses} (`facts` on answers; `reading` on answers, and on prompts at a fifth of the weight).

{_DATA}
A document is `prompt answer<|endoftext|>`; a reading task puts `Fact: …` lines before the prompt; some
prompts are dressed as a chat (`User: …`, `Assistant:`), which the chat template reproduces.

## What it knows

Greedy free decoding until the end of text, exact to the letter, share of all taught facts:

| asked | all {report["facts"]:,} facts | the small world |
|---|---|---|
| in a wording that was trained | {report["known_taught_wording"]:.3f} | {report["known_taught_wording_world"]:.3f} |
| in a wording of the relation that was never trained | {report["known_held_out_wording"]:.3f} | {report["known_held_out_wording_world"]:.3f} |

Reading, without any adapter: {report["reading_invented_edits"]:.3f} of 500 invented edits (drawn from the training
distribution, names and answers invented anew); one-step questions about subjects never trained on:
{report["one_step_taught_wording"]:.3f} in trained wordings, {report["one_step_held_out_wording"]:.3f} in held-out wordings.
"""


def counterfactual_card(report: Mapping[str, Any], base: str) -> str:
    """The card of a counterfactual adapter."""
    losses = ", ".join(f"{name} {value:.3f}" for name, value in report["losses"].items())
    card = f"""\
---
license: apache-2.0
library_name: peft
---

# counterfactual-{base}

A LoRA adapter (rank {report["rank"]}) with which `{base}` reads an edit and answers from it: the second half of
SERAC (Mitchell et al. 2022), on the base itself. memedit lays it over the base for in-scope rows only.
`counterfactual.json` holds the form in which an edit is written and the fingerprint of the base.

## Recipe

`python -m training.counterfactual`, seed {report["seed"]}, {report["steps"]} steps, torch {report["torch"]}. Losses of the last 50 steps:
{losses} (`read`: nats per answer token; `keep`: KL to the base's own answer beside an edit that does not
bear on the query).
"""
    if "counterfact_paraphrases" not in report:
        return card
    return f"""{card}
{_DATA}
## Given the right edit

Greedy free decoding, exact match after SQuAD normalisation, on subjects never trained on
(CounterFact validation part; last tenth of zsRE):

| asked | count | exact match |
|---|---|---|
| CounterFact, the edit's prompt | {report["counterfact_prompts_count"]} | {report["counterfact_prompts"]:.3f} |
| CounterFact, paraphrase | {report["counterfact_paraphrases_count"]} | {report["counterfact_paraphrases"]:.3f} |
| zsRE, the edit's prompt | {report["zsre_prompts_count"]} | {report["zsre_prompts"]:.3f} |
| zsRE, paraphrase | {report["zsre_paraphrases_count"]} | {report["zsre_paraphrases"]:.3f} |
| edits that contradict a fact mini was taught, in wordings never trained on | {report["taught_facts_edited_count"]} | {report["taught_facts_edited"]:.3f} |
| one step away, trained wordings | {report["one_step_taught_wording_count"]} | {report["one_step_taught_wording"]:.3f} |
| one step away, held-out wordings | {report["one_step_held_out_wording_count"]} | {report["one_step_held_out_wording"]:.3f} |

Questions one step away ask for the capital, language, currency or continent of a country that an edit
names, the country of a city, or the seat, country or founder of a company: "the capital of the country
X is a citizen of". The contradicted facts' subjects were seen in training, with other targets. `training.json` lists errors that remain.
"""
