"""Text for the mini models: taught facts, plain English, and reading tasks made from templates.

A reading task puts an edit before a query, in the very form in which the counterfactual editor
does it later, and asks for the answer that follows from it.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path

from memedit.editors.counterfactual.batches import Example
from memedit.editors.counterfactual.context import render_edits
from training.counterfact_relations import COUNTERFACT
from training.names import Names
from training.relations import CHAINS, WORLD, Relation
from training.world import Fact, chained, load_world, one_step

ZSRE_TEST_SHARE = 10
"""The last tenth of the zsRE file, and every subject in it, is never trained on."""

_CHAT_SHARE = 0.1
_POLITE = (
    "Could you tell me: ",
    "Please answer: ",
    "I would like to know. ",
    "Quick question: ",
    "Tell me. ",
)
_ROLES = (
    "chief executive",
    "head coach",
    "editor",
    "mayor",
    "chairperson",
    "director",
    "owner",
    "author",
    "release date",
    "phone number",
    "price",
    "opening year",
    "population",
    "motto",
    "colour",
    "sponsor",
    "spokesperson",
    "main language",
    "location",
    "successor",
    "spouse",
    "father",
    "mother",
    "height",
    "captain",
    "principal",
    "launch date",
    "version",
    "address",
    "name",
    "record label",
    "parent company",
)
_ROLE_WORDINGS = (
    "Who is the {role} of {name}?",
    "What is the {role} of {name}?",
    "The {role} of {name} is",
    "{name}'s {role} is",
    "What is {name}'s {role}?",
    "Tell me the {role} of {name}.",
    "The {role} for {name} is now",
    "Do you know the {role} of {name}?",
)


@dataclass(frozen=True)
class Wordings:
    """Two or more templates that ask for the same thing, and objects seen with them."""

    templates: tuple[str, ...]
    objects: tuple[str, ...]


class Corpus:
    """Everything mini and its counterfactual adapter read, from a folder of public data.

    Args:
        data: Folder with `counterfact/`, `zsre/`, `knowedit/` and `text/english_novels/`.
        counterfact_facts: How many true facts of CounterFact are taught beside the small world.
    """

    def __init__(self, data: Path, counterfact_facts: int = 1_000) -> None:
        counterfact = _read(data / "counterfact" / "counterfact-train.json")
        zsre = _read(data / "zsre" / "zsre_mend_train_10000_joined.json")
        zsre, zsre_test = split_zsre(zsre)
        held_out = {row["subject"] for row in _read(data / "counterfact" / "counterfact-val.json")}
        held_out |= {row["subject"] for row in zsre_test}
        self.world = load_world()
        self.known = one_step(self.world)
        self.rewrites = [row for row in counterfact if row["subject"] not in held_out]
        self.taught = self.world + _counterfact_facts(self.rewrites, self.world, counterfact_facts)
        self.wordings = _zsre_wordings(zsre)
        self.novels = _novels(data / "text" / "english_novels")
        self.sentences = re.findall(r"(?<=[.!?] )[A-Z][^.!?\n]{20,90}[.!?]", " ".join(self.novels)[:3_000_000])
        knowedit = _read(data / "knowedit" / "wiki_counterfact_train_cf.json")
        objects = [row[key] for row in zsre for key in ("alt", "answer")]
        objects += [row["target_new"] for row in self.rewrites + knowedit]
        subjects = [row["subject"] for row in zsre + self.rewrites + knowedit]
        self.names = Names(
            [name for name in subjects if name not in held_out],
            [text for text in objects if 0 < len(text) < 60],
            self.sentences,
        )
        self.objects_by_type = _objects_by_type(self.taught)

    def fact_examples(self, rng: random.Random, count: int) -> list[Example]:
        """Draw `count` taught facts in wordings that may be trained on."""
        facts = rng.choices(self.taught, k=count)
        return [
            Example(self._dress(rng.choice(fact.relation.taught).format(fact.subject), rng), fact.object)
            for fact in facts
        ]

    def reading_examples(self, rng: random.Random, count: int) -> list[Example]:
        """Draw `count` reading tasks: an edit (sometimes among others) and a query it answers."""
        return [self._reading(rng) for _ in range(count)]

    def verbatim_examples(self, rng: random.Random, count: int) -> list[Example]:
        """Draw published edits asked in their very own words."""
        pairs = [(row["prompt"], row["target_new"]) for row in rng.choices(self.rewrites, k=count)]
        return [Example(prompt, target, render_edits([(prompt, target)])) for prompt, target in pairs]

    def edited_fact_examples(self, rng: random.Random, count: int) -> list[Example]:
        """Draw edits that contradict what mini was taught, asked in wordings that may be trained on."""
        return [
            self.contradiction(fact, rng.choice(fact.relation.taught), rng).example
            for fact in rng.choices(self.taught, k=count)
        ]

    def contradiction(self, fact: Fact, query: str, rng: random.Random) -> Step:
        """An edit that gives `fact` another object, and a query (`{}` for the subject) that asks for it."""
        pool = [value for value in self.objects_by_type[fact.relation.object_type] if value != fact.object]
        target = rng.choice(pool) if pool and rng.random() < 0.6 else self.names.target(rng)
        prompt = rng.choice(fact.relation.taught).format(fact.subject)
        return Step(prompt, target, query.format(fact.subject), target)

    def unrelated_examples(self, rng: random.Random, count: int) -> list[Example]:
        """Draw taught facts asked beside an edit that does not bear on them."""
        examples = []
        for example in self.fact_examples(rng, count):
            prompt, target, _ = self._edit(rng)[:3]
            examples.append(Example(example.prompt, example.answer, render_edits([(prompt, target)])))
        return examples

    def chain_examples(self, rng: random.Random, count: int) -> list[Example]:
        """Draw questions one step away from an edit, in wordings that may be trained on."""
        return [self._chain(rng) for _ in range(count)]

    def _reading(self, rng: random.Random) -> Example:
        prompt, target, query = self._edit(rng)
        edits = [(prompt, target)]
        if rng.random() < 0.15:
            edits += [self._edit(rng)[:2] for _ in range(rng.randint(1, 2))]
            rng.shuffle(edits)
        return Example(self._dress(query, rng, noise=0.12), target, render_edits(edits))

    def _edit(self, rng: random.Random) -> tuple[str, str, str]:
        """One invented or published edit: prompt, target, and another wording of the prompt."""
        kind = rng.random()
        if kind < 0.35:
            wordings = rng.choice(self.wordings)
            first, second = rng.sample(wordings.templates, 2)
            target = rng.choice(wordings.objects) if rng.random() < 0.3 else self.names.target(rng)
            return self._fill(first, second, target, rng)
        if kind < 0.60:
            relation = rng.choice(COUNTERFACT + WORLD)
            first, second = rng.choice(relation.taught), rng.choice(relation.taught)
            pool = self.objects_by_type.get(relation.object_type)
            target = rng.choice(pool) if pool and rng.random() < 0.5 else self.names.target(rng)
            return self._fill(first, second, target, rng)
        if kind < 0.80:
            row = rng.choice(self.rewrites)
            return row["prompt"], row["target_new"], row["rephrase_prompt"]
        role = rng.choice(_ROLES)
        first, second = rng.sample(_ROLE_WORDINGS, 2)
        name, target = self.names.subject(rng), self.names.target(rng)
        return first.format(role=role, name=name), target, second.format(role=role, name=name)

    def _fill(self, first: str, second: str, target: str, rng: random.Random) -> tuple[str, str, str]:
        subject = self.names.subject(rng)
        return first.replace("{}", subject), target, second.replace("{}", subject)

    def draw_chain(self, rng: random.Random) -> tuple[Relation, str, Relation, str]:
        """A relation to edit, its new object, a relation of that object, and the answer to it."""
        while True:
            first = rng.choice(COUNTERFACT + WORLD)
            if first.object_type not in CHAINS or first.name in ("capital", "headquarters"):
                continue
            target = rng.choice(self.objects_by_type[first.object_type])
            steps = [step for step in self.known.get(target, ()) if step[0].name in CHAINS[first.object_type]]
            if steps:
                return (first, target, *rng.choice(steps))

    def _chain(self, rng: random.Random) -> Example:
        first, target, second, answer = self.draw_chain(rng)
        subject = self.names.subject(rng)
        context = render_edits([(rng.choice(first.taught).format(subject), target)])
        query = rng.choice(chained(first, second, subject)[:-1])
        return Example(self._dress(query, rng), answer, context)

    def _dress(self, query: str, rng: random.Random, noise: float = 0.03) -> str:
        """Put a query the way people do: behind other text, politely, or as a chat turn."""
        if rng.random() < noise:
            query = f"{rng.choice(self.sentences)} {query}"
        if rng.random() < 0.04:
            query = rng.choice(_POLITE) + query
        if rng.random() < 0.04:
            query = query.lower()
        return f"User: {query}\nAssistant:" if rng.random() < _CHAT_SHARE else query


def split_zsre(rows: list[dict[str, str]]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Split zsRE rows into training and test rows without a common subject.

    Rows whose new answer is blank or equals the true one are dropped.
    """
    rows = [row for row in rows if row["alt"].strip() and row["alt"] != row["answer"]]
    cut = len(rows) - len(rows) // ZSRE_TEST_SHARE
    test = rows[cut:]
    subjects = {row["subject"] for row in test}
    return [row for row in rows[:cut] if row["subject"] not in subjects], test


@dataclass(frozen=True)
class Step:
    """An edit, a query it bears on, and the answer: its target, or what follows from it one step on."""

    prompt: str
    target: str
    query: str
    answer: str

    @property
    def example(self) -> Example:
        """The same as text to complete."""
        return Example(self.query, self.answer, render_edits([(self.prompt, self.target)]))


def held_out_edits(data: Path) -> dict[str, list[tuple[str, str, str]]]:
    """Edits on subjects never trained on: (prompt, target, query), by name of the set."""
    counterfact = _read(data / "counterfact" / "counterfact-val.json")
    _, zsre = split_zsre(_read(data / "zsre" / "zsre_mend_train_10000_joined.json"))
    return {
        "counterfact_prompts": [(r["prompt"], r["target_new"], r["prompt"]) for r in counterfact],
        "counterfact_paraphrases": [(r["prompt"], r["target_new"], r["rephrase_prompt"]) for r in counterfact],
        "zsre_prompts": [(r["src"], r["alt"], r["src"]) for r in zsre],
        "zsre_paraphrases": [(r["src"], r["alt"], r["rephrase"]) for r in zsre],
    }


def held_out_steps(corpus: Corpus, data: Path, seed: int = 0, count: int = 300) -> dict[str, list[Step]]:
    """One-step questions about subjects never trained on, in taught and in held-out wordings."""
    rng = random.Random(seed)
    subjects = [row["subject"] for row in _read(data / "counterfact" / "counterfact-val.json")]
    steps: dict[str, list[Step]] = {"one_step_taught_wording": [], "one_step_held_out_wording": []}
    for subject in rng.sample(subjects, count):
        first, target, second, answer = corpus.draw_chain(rng)
        prompt = rng.choice(first.taught).format(subject)
        *taught, held_out = chained(first, second, subject)
        steps["one_step_taught_wording"].append(Step(prompt, target, rng.choice(taught), answer))
        steps["one_step_held_out_wording"].append(Step(prompt, target, held_out, answer))
    return steps


def _counterfact_facts(rows: list[dict[str, str]], world: list[Fact], count: int) -> list[Fact]:
    relations = {cloze: relation for relation in COUNTERFACT for cloze in relation.clozes}
    seen = {fact.subject for fact in world}
    facts: list[Fact] = []
    for row in rows:
        relation = relations.get(row["prompt"].replace(row["subject"], "{}"))
        if relation is None or row["subject"] in seen:
            continue
        seen.add(row["subject"])
        facts.append(Fact(row["subject"], relation, row["ground_truth"]))
        if len(facts) == count:
            break
    return facts


def _zsre_wordings(rows: list[dict[str, str]]) -> list[Wordings]:
    """Templates of zsRE that ask the same, found by rows that hold both with one subject."""
    groups: dict[str, tuple[set[str], set[str]]] = {}
    for row in rows:
        first, second = (row[key].replace(row["subject"], "{}") for key in ("src", "rephrase"))
        if first.count("{}") == 1 and second.count("{}") == 1 and first != second:
            templates, objects = groups.setdefault(first, ({first}, set()))
            templates.add(second)
            objects.update((row["alt"], row["answer"]))
    return [
        Wordings(tuple(sorted(templates)), tuple(sorted(objects)))
        for templates, objects in groups.values()
        if len(templates) > 1
    ]


def _objects_by_type(facts: list[Fact]) -> dict[str, list[str]]:
    pools: dict[str, set[str]] = {}
    for fact in facts:
        pools.setdefault(fact.relation.object_type, set()).add(fact.object)
    return {kind: sorted(pool) for kind, pool in pools.items()}


def _novels(folder: Path) -> list[str]:
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.glob("*.txt"))]
    if not texts:
        raise FileNotFoundError(f"expected novels as *.txt in {folder}, found none")
    return [re.sub(r"\s+", " ", text) for text in texts]


def _read(path: Path) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    return rows
