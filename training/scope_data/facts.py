"""Read the public files into one form: a fact, the ways to ask for it, and what does not ask it."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.scope_data.labels import label_of

ZSRE_TEST_ROWS = 1_050
"""Rows at the end of the zsRE file kept out of training: its last tenth and a few to spare."""

_SIMPLE_QUESTIONS = {
    "P19": "birth_place", "P20": "death_place", "P21": "gender", "P27": "citizenship",
    "P50": "author", "P57": "director", "P58": "screenwriter", "P86": "composer",
    "P106": "occupation", "P136": "genre", "P140": "religion", "P172": "ethnic",
    "P175": "performer", "P264": "record_label", "P364": "work_language",
    "P413": "team_position", "P495": "country_of_origin", "P509": "death_cause",
    "P607": "war", "P1303": "instrument", "P40": "child", "P123": "publisher",
}  # fmt: skip


@dataclass(frozen=True)
class Fact:
    """One fact and what is known about asking for it.

    Attributes:
        source: The file it came from.
        subject: What it is about.
        label: Its relation (`labels.RULES`), or None.
        wordings: Texts that ask for it and may be an edit's prompt; the first is the usual one.
        queries: Texts that ask for it, or for something that cannot be answered without it.
        others: (family of near-miss, text) of texts that do not ask for it.
    """

    source: str
    subject: str
    label: str | None
    wordings: tuple[str, ...]
    queries: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()

    @property
    def asked(self) -> tuple[str, ...]:
        """Every text that asks for the fact."""
        return (*self.wordings, *self.queries)


def normalise(text: str) -> str:
    """Lower case, words only: the form in which subjects are compared."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def templated(text: str, subject: str) -> str:
    """`text` with `{}` for its subject and single spaces."""
    return re.sub(r"\s+", " ", text.replace(subject, "{}")).strip()


def read_facts(data: Path) -> list[Fact]:
    """Every fact that may be trained on: the project's test subjects are not among them."""
    held_out = SubjectSet(fact.subject for fact in read_test_facts(data))
    sources = (
        _counterfact(data / "counterfact/counterfact-train.json"),
        _zsre(data / "zsre/zsre_mend_train_10000_joined.json", slice(None, -ZSRE_TEST_ROWS)),
        _knowedit(data / "knowedit/wiki_counterfact_train_cf.json"),
        _knowedit(data / "knowedit/wiki_recent_recent_train.json"),
        _pokemqa(data / "mquake"),
        _simple_questions(data / "simplequestions/annotated_wd_data_train_answerable.txt"),
    )
    facts = [fact for source in sources for fact in source]
    return [fact for fact in facts if not held_out.mentioned_in(fact)]


def read_test_facts(data: Path) -> list[Fact]:
    """The project's own test data: CounterFact's validation file and the end of the zsRE file."""
    counterfact = _counterfact(data / "counterfact/counterfact-val.json")
    zsre = _zsre(data / "zsre/zsre_mend_train_10000_joined.json", slice(-ZSRE_TEST_ROWS, None))
    return [*counterfact, *zsre]


def split_of(subject: str, seed: int) -> str:
    """`train`, `calibration` or `test`, by subject alone (88, 7 and 5 in a hundred)."""
    digest = hashlib.sha256(f"{seed}/{normalise(subject)}".encode()).digest()
    share = int.from_bytes(digest[:4], "big") / 2**32
    return "train" if share < 0.88 else "calibration" if share < 0.95 else "test"


class SubjectSet:
    """Subjects that can be looked for inside texts."""

    def __init__(self, subjects: Iterable[str]) -> None:
        """Store the normalised `subjects`."""
        self._subjects = {normalise(subject) for subject in subjects} - {""}
        self._longest = max(len(subject.split()) for subject in self._subjects)

    def mentioned_in(self, fact: Fact) -> bool:
        """Whether any text of `fact` names one of the subjects."""
        texts = (fact.subject, *fact.asked, *(text for _, text in fact.others))
        return any(self.found(text) for text in texts)

    def found(self, text: str) -> set[str]:
        """The subjects, normalised, that `text` names."""
        words = normalise(text).split()
        spans = (
            " ".join(words[start:end])
            for start in range(len(words))
            for end in range(start + 1, min(len(words), start + self._longest) + 1)
        )
        return {span for span in spans if span in self._subjects}


def _load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _counterfact(path: Path) -> Iterator[Fact]:
    for row in _load(path):
        subject, prompt = row["subject"], row["prompt"]
        yield Fact(
            "counterfact", subject, label_of(templated(prompt, subject)), (prompt,),
            (row["rephrase_prompt"],), (("neighbour", row["locality_prompt"]),),
        )  # fmt: skip


def _zsre(path: Path, rows: slice) -> Iterator[Fact]:
    for row in _load(path)[rows]:
        if not row["alt"].strip() or row["alt"] == row["answer"]:
            continue
        subject, question = row["subject"], " ".join(row["src"].split())
        label = label_of(templated(question, subject))
        yield Fact("zsre", subject, label, (question, row["rephrase"]))


def _knowedit(path: Path) -> Iterator[Fact]:
    for row in _load(path):
        subject, prompt = row["subject"], row["prompt"]
        label = label_of(templated(prompt, subject))
        portability, locality = row["portability"], row["locality"]
        aliases = [item["prompt"] for item in portability.get("Subject_Aliasing", ())]
        # Chains that start from another name do not mention the edit: no text shows the link.
        steps = [item["prompt"] for item in portability.get("Reasoning", ())
                 if subject in item["prompt"]]  # fmt: skip
        others = [
            ("same_subject", item["prompt"])
            for item in locality.get("Relation_Specificity", ())
            if subject in item["prompt"] and label_of(templated(item["prompt"], subject)) != label
        ]
        yield Fact("knowedit", subject, label, (prompt,), (*aliases, *steps), tuple(others))


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
        yield Fact("pokemqa", match["subject"], label, (row["edit"], *questions), (cloze,))


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
