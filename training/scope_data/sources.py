"""Read the public files as facts; keep the project's own test data apart."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from training.scope_data.facts import Fact, SubjectSet, normalise, split_of, templated
from training.scope_data.labels import label_of

ZSRE_TEST_ROWS = 1_050
"""Rows at the end of the zsRE file kept out of training: its last tenth and a few to spare."""
KNOWEDIT_TEST_SEED = 1_000
"""KnowEdit has no file of its own for tests: the `test` and `calibration` splits by this seed are kept out."""

SOURCES = ("counterfact", "zsre", "knowedit", "pokemqa", "simplequestions", "lre")

_SIMPLE_QUESTIONS = {
    "P19": "birth_place", "P20": "death_place", "P21": "gender", "P27": "citizenship",
    "P50": "author", "P57": "director", "P58": "screenwriter", "P86": "composer",
    "P106": "occupation", "P136": "genre", "P140": "religion", "P172": "ethnic",
    "P175": "performer", "P264": "record_label", "P364": "work_language",
    "P413": "team_position", "P495": "country_of_origin", "P509": "death_cause",
    "P607": "war", "P1303": "instrument", "P40": "child", "P123": "publisher",
}  # fmt: skip


@cache
def read_facts(data: Path) -> tuple[Fact, ...]:
    """Every fact that may be trained on: the project's test subjects are not among them."""
    held_out = SubjectSet(fact.subject for fact in read_test_facts(data))
    sources = (
        _counterfact(data / "counterfact/counterfact-train.json"),
        _zsre(data / "zsre/zsre_mend_train_10000_joined.json", slice(None, -ZSRE_TEST_ROWS)),
        _knowedit(data / "knowedit"),
        _pokemqa(data / "mquake"),
        _simple_questions(data / "simplequestions/annotated_wd_data_train_answerable.txt"),
        _lre(data / "lre_factual"),
    )
    facts = [fact for source in sources for fact in source]
    return tuple(fact for fact in facts if not held_out.mentioned_in(fact))


@cache
def read_test_facts(data: Path) -> tuple[Fact, ...]:
    """The project's own test data: CounterFact's validation file, the end of the zsRE file, an eighth of KnowEdit."""
    counterfact = _counterfact(data / "counterfact/counterfact-val.json")
    zsre = _zsre(data / "zsre/zsre_mend_train_10000_joined.json", slice(-ZSRE_TEST_ROWS, None))
    knowedit = (f for f in _knowedit(data / "knowedit") if split_of(f.subject, KNOWEDIT_TEST_SEED) != "train")
    return (*counterfact, *zsre, *knowedit)


def read_unrelated(data: Path) -> list[str]:
    """Natural Questions: ordinary questions that no edit is about."""
    lines = (data / "nq_open/NQ-open.dev.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines]


def read_prose(data: Path, count: int) -> list[str]:
    """`count` sentences out of novels: text with no question in it."""
    sentences: list[str] = []
    files = sorted((data / "text/english_novels").glob("*.txt"))
    for file in files:
        text = " ".join(file.read_text(encoding="utf-8").split())
        found = re.findall(r"(?<=[.!?] )[A-Z][^.!?\"“”]{30,120}[.!]", text)
        step = max(1, len(found) * len(files) // count)
        sentences += found[::step]
    return sentences[:count]


def _load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _counterfact(path: Path) -> Iterator[Fact]:
    for row in _load(path):
        subject, prompt = row["subject"], row["prompt"]
        yield Fact(
            "counterfact", subject, label_of(templated(prompt, subject)), (prompt,), (row["rephrase_prompt"],),
            others=(("neighbour", row["locality_prompt"]),), answer=row["target_new"],
        )  # fmt: skip


def _zsre(path: Path, rows: slice) -> Iterator[Fact]:
    for row in _load(path)[rows]:
        if not row["alt"].strip() or row["alt"] == row["answer"]:
            continue
        subject, question = row["subject"], " ".join(row["src"].split())
        label = label_of(templated(question, subject))
        yield Fact("zsre", subject, label, (question, row["rephrase"]), answer=row["alt"])


def _knowedit(folder: Path) -> Iterator[Fact]:
    for name in ("wiki_counterfact_train_cf.json", "wiki_recent_recent_train.json"):
        for row in _load(folder / name):
            yield _knowedit_fact(row)


def _knowedit_fact(row: dict[str, Any]) -> Fact:
    subject, prompt = row["subject"], row["prompt"]
    label = label_of(templated(prompt, subject))
    portability, locality = row["portability"], row["locality"]
    # A name that shares no word with the subject's is another name only to who knows it already.
    words = {word for word in normalise(subject).split() if len(word) > 2}
    aliases = [item["prompt"] for item in portability.get("Subject_Aliasing", ())
               if words & set(normalise(_differing(item["prompt"], prompt)).split())]  # fmt: skip
    # Chains that start from another name do not mention the edit: no text shows the link.
    steps = [item["prompt"] for item in portability.get("Reasoning", ()) if subject in item["prompt"]]
    others = [
        ("same_subject", item["prompt"])
        for item in locality.get("Relation_Specificity", ())
        if subject in item["prompt"] and label_of(templated(item["prompt"], subject)) != label
    ]
    return Fact(
        "knowedit", subject, label, (prompt,), (), tuple(steps), tuple(aliases), tuple(others), row["target_new"]
    )


def _differing(text: str, other: str) -> str:
    """The words of `text` between what it has in common with `other` at both ends."""
    words, others = text.split(), other.split()
    start = 0
    while start < min(len(words), len(others)) and words[start] == others[start]:
        start += 1
    end = 0
    while end < min(len(words), len(others)) - start and words[-1 - end] == others[-1 - end]:
        end += 1
    # One word more on each side: an alias may keep the first or the last word of the name.
    return " ".join(words[max(0, start - 1) : len(words) - end + 1])


def _pokemqa(folder: Path) -> Iterator[Fact]:
    clozes = [text.replace("__", "").strip() for text in _load(folder / "cloze_templates.json").values()]
    patterns = [
        re.compile("^" + re.escape(cloze).replace(r"\[X\]", "(?P<subject>.+?)") + " (?P<object>.+)$")
        for cloze in sorted(clozes, key=len, reverse=True)
    ]
    for row in _load(folder / "pokemqa-cls-filtered.json"):
        match = next((found for p in patterns if (found := p.match(row["edit"]))), None)
        questions = tuple(dict.fromkeys(row["questions"]))
        if match is None or not all(match["subject"] in question for question in questions):
            continue
        cloze = row["edit"][: match.start("object")].strip()
        label = label_of(templated(questions[0], match["subject"]))
        wordings = (row["edit"], *questions)
        yield Fact("pokemqa", match["subject"], label, wordings, (cloze,), answer=match["object"])


def _simple_questions(path: Path) -> Iterator[Fact]:
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row[1] in _SIMPLE_QUESTIONS]
    count = Counter(word for row in rows for word in set(normalise(row[3]).split()))
    found = []
    for _, relation, _, question in rows:
        words = normalise(question).split()
        rare = [place for place, word in enumerate(words) if count[word] < 40]
        if rare and rare[-1] - rare[0] < 6:
            subject = " ".join(words[rare[0] : rare[-1] + 1])
            found.append((subject, relation, templated(" ".join(words), subject)))
    templates = Counter(template for _, _, template in found)
    for subject, relation, template in found:
        if templates[template] >= 4:
            question = template.replace("{}", subject)
            yield Fact("simplequestions", subject, _SIMPLE_QUESTIONS[relation], (question,))


def _lre(folder: Path) -> Iterator[Fact]:
    for path in sorted(folder.glob("*.json")):
        relation = _load(path)
        templates = dict.fromkeys((*relation["prompt_templates"], *relation["prompt_templates_zs"]))
        for sample in relation["samples"]:
            subject = sample["subject"]
            wordings = tuple(template.replace("{}", subject) for template in templates)
            yield Fact("lre", subject, label_of(next(iter(templates))), wordings, answer=sample["object"])
