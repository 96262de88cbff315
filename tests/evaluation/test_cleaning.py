from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from memedit.evaluation.cases import Case, LocalityKind, Probe
from memedit.evaluation.cleaning import clean, clean_questions
from memedit.evaluation.questions import Plan

NEIGHBOUR, SAME, FORGET = LocalityKind.NEIGHBOUR, LocalityKind.SAME_SUBJECT, LocalityKind.FORGETFULNESS


def case(row: int, prompt: str, target: str, subject: str, old: str = "", **more: object) -> Case:
    """A case with at most one old answer."""
    return Case(row, prompt, target, subject, old_answers=(old,) if old else (), **more)  # type: ignore[arg-type]


def kept(cases: list[Case], kind: LocalityKind, position: int = 0) -> list[str]:
    """Prompts of one kind that are scored of the case at `position`."""
    cleaned = clean(cases)
    return [probe.prompt for probe in cleaned[position].case.locality[kind]]


def dropped(cases: list[Case]) -> Mapping[str, int]:
    """What is not scored if all the cases are stored and asked about, by reason."""
    return Plan.of(cases, range(len(cases)), ()).dropped


def test_the_later_edit_of_a_fact_wins() -> None:
    """Of several edits of one fact, in the same or other words, only the last is scored."""
    cases = [
        case(1, "The twin city of Rome is", "Oslo", "Rome", "Paris"),
        case(2, "The capital of Peru is", "Cusco", "Peru", "Lima"),
        case(3, "the twin city of Rome  is", "Cairo", "Rome", "Paris"),
        case(4, "Which city is twinned with Rome?", "Delhi", "Rome", "Paris"),
    ]
    assert [item.superseded for item in clean(cases)] == [True, False, True, False]
    assert dropped(cases)["superseded_edits"] == 2


def test_the_same_edit_word_for_word_is_scored_each_time() -> None:
    """An edit that another record repeats is not superseded by it: nothing changed."""
    cases = [
        case(1, "The capital of Peru is", "Cusco", "Peru", "Lima"),
        case(2, "the capital of Peru  is", "cusco", "Peru", "Lima"),
        case(3, "Peru's capital is", "Cusco", "Peru", "Lima"),
    ]
    assert [item.superseded for item in clean(cases)] == [True, True, False]
    assert [item.superseded for item in clean(cases[:2])] == [False, False]


def test_another_relation_of_one_subject_is_another_fact() -> None:
    """Two edits of one subject with other relations are both scored."""
    cases = [
        case(1, "The capital of Peru is", "Cusco", "Peru", "Lima"),
        case(2, "The currency of Peru is", "euro", "Peru", "sol"),
    ]
    assert not any(item.superseded for item in clean(cases))


def test_the_relation_decides_where_the_data_names_it() -> None:
    """Equal true answers do not make one fact of two where the data names two relations."""
    cases = [
        case(1, "Ada was born in", "Rome", "Ada", "Lyon", relation="P19"),
        case(2, "Ada died in", "Oslo", "Ada", "Lyon", relation="P20"),
    ]
    assert not any(item.superseded for item in clean(cases))


def test_a_neighbour_that_another_edit_covers_is_dropped() -> None:
    """A neighbour prompt that asks a fact which another stored edit changes is not scored."""
    probes = (
        Probe("Luc Petit is a native speaker of", ("French",)),
        Probe("The mother tongue of Anne Roy is", ("French",)),
    )
    cases = [
        case(1, "The mother tongue of Ada Brel is", "Danish", "Ada Brel", "French", locality={NEIGHBOUR: probes}),
        case(2, "The language of Luc Petit was", "Thai", "Luc Petit", "French"),
    ]
    assert kept(cases, NEIGHBOUR) == ["The mother tongue of Anne Roy is"]
    assert dropped(cases)["locality_neighbour"] == 1


def test_a_longer_name_is_another_subject() -> None:
    """A near-identical name that only contains an edited subject stays: it is the hard case."""
    probes = tuple(
        Probe(prompt, ("Microsoft",))
        for prompt in (
            "Visual Basic Script was created by",
            "Windows Phone 8.1 was created by",
            "New Windows was created by",
            "In Windows, created by",
        )
    )
    cases = [
        case(1, "Xbox was created by", "Sega", "Xbox", "Microsoft", locality={NEIGHBOUR: probes}),
        case(2, "Visual Basic is a product of", "IBM", "Visual Basic", "Microsoft"),
        case(3, "Windows Phone 8 is a product of", "IBM", "Windows Phone 8", "Microsoft"),
        case(4, "Windows is a product of", "IBM", "Windows", "Microsoft"),
    ]
    assert kept(cases, NEIGHBOUR) == [probe.prompt for probe in probes[:3]]


def test_the_edited_fact_in_other_words_is_no_locality() -> None:
    """A prompt about the same subject that asks the edited fact itself is dropped."""
    probes = (
        Probe("The mother of Ada Brel is", ("Jane",)),
        Probe("Ada Brel was born to", ("Eve Brel",)),
        Probe("The father of Ada Brel is", ("Tom",)),
    )
    cases = [case(1, "Who is the mother of Ada Brel?", "Maria", "Ada Brel", "Eve Brel", locality={SAME: probes})]
    assert kept(cases, SAME) == ["The father of Ada Brel is"]


def test_a_forgetfulness_prompt_is_spared_by_its_own_edit_only() -> None:
    """KnowEdit's forgetfulness prompts ask the edited relation on purpose and stay."""
    probe = Probe("The job of Ada, which is not baker, is", ("cook",))
    own = case(1, "The job of Ada is", "baker", "Ada", "cook", locality={FORGET: (probe,)})
    assert kept([own], FORGET) == [probe.prompt]
    assert kept([own, case(2, probe.prompt, "pilot", "Ada", "cook")], FORGET) == []


def test_subjects_are_found_in_chinese_text() -> None:
    """A subject is found in a language that puts no spaces between words."""
    probes = (Probe("巴黎是哪国的首都?", ("法国",)), Probe("伦敦是哪国的首都?", ("英国",)))
    cases = [
        case(1, "罗马是哪国的首都?", "西班牙", "罗马", "意大利", locality={NEIGHBOUR: probes}),
        case(2, "巴黎属于哪个国家?", "德国", "巴黎", "法国"),
    ]
    assert kept(cases, NEIGHBOUR) == ["伦敦是哪国的首都?"]


def test_chinese_says_the_same_in_another_order() -> None:
    """In Chinese and Japanese, too, the edited fact is recognised in other words, another fact is not."""
    chinese = (Probe("谁是罗马的母亲?", ()), Probe("谁是罗马的父亲?", ()))
    japanese = (Probe("ローマの首都はどこですか", ()), Probe("ローマの人口はいくらですか", ()))
    cases = [
        case(1, "罗马的母亲叫什么名字?", "艾达", "罗马", locality={SAME: chinese}),
        case(2, "ローマの首都は", "パリ", "ローマ", locality={SAME: japanese}),
    ]
    assert kept(cases, SAME, 0) == ["谁是罗马的父亲?"]
    assert kept(cases, SAME, 1) == ["ローマの人口はいくらですか"]


def test_a_subject_is_found_under_its_name_in_another_language() -> None:
    """A locality prompt in another language than the edit is dropped if another edit covers it."""
    probes = (Probe("伦敦是哪国的首都?", ("英国",)), Probe("巴黎是哪国的首都?", ("法国",)))
    cases = [
        case(
            1, "Rome is the capital of", "Spain", "Rome", "Italy", other_names=("罗马",), locality={NEIGHBOUR: probes}
        ),
        case(2, "Paris is the capital of", "Peru", "Paris", other_names=("巴黎",), paraphrases=("哪国的首都是巴黎?",)),
    ]
    assert kept(cases, NEIGHBOUR) == ["伦敦是哪国的首都?"]


LEADER, BIRTH = Probe("Who leads Acme?", ("Eve Roy",)), Probe("Where was Eve Roy born?", ("Oslo",))
CHAIN = Probe("Where was the head of Acme born?", ("Oslo",), "2-hop", (LEADER, BIRTH))


def test_a_chain_that_another_edit_breaks_is_not_scored() -> None:
    """A multi-hop question is dropped, and counted, if a stored edit gives another answer to one of its steps."""
    first = case(1, "The head of Acme is", "Eve Roy", "Acme", "Max Orr", paraphrases=(LEADER.prompt,), group=1)
    last = case(1, "Eve Roy was born in", "Oslo", "Eve Roy", "Lima", portability=(CHAIN,), group=1)
    same = case(2, "Eve Roy was born in", "Oslo", "Eve Roy", "Lima")
    other = case(3, "Where was Eve Roy born?", "Rome", "Eve Roy", "Lima")
    assert clean([first, last, same])[1].case.portability == (CHAIN,)
    assert dropped([first, last, same])["portability_unscored"] == 0
    stays = case(4, "The town in which Eve Roy works is", "Rome", "Eve Roy", "Lima")
    assert clean([first, replace(last, old_answers=()), stays])[1].case.portability == (CHAIN,)
    broken = [other, first, replace(last, prompt="The sister of Eve Roy is", old_answers=())]
    assert clean(broken)[2].case.portability == ()
    assert clean(broken)[2].raw.portability == (CHAIN,)
    assert dropped(broken)["portability_unscored"] == 1


def test_an_edit_that_is_superseded_breaks_no_chain() -> None:
    """Only edits that still count can change the answer to a step."""
    early = case(1, "The head of Acme is", "Max Orr", "Acme", "Ann Lee")
    late = case(2, "The head of Acme is", "Eve Roy", "Acme", "Ann Lee", paraphrases=(LEADER.prompt,))
    asks = case(3, "Eve Roy was born in", "Oslo", "Eve Roy", "Lima", portability=(CHAIN,))
    assert clean([early, late, asks])[2].case.portability == (CHAIN,)
    assert clean([late, replace(early, paraphrases=(LEADER.prompt,)), asks])[2].case.portability == ()


def test_ten_thousand_edits_are_cleaned_in_seconds() -> None:
    """The time grows with the number of questions, not with questions times edits, in any writing."""
    characters = [chr(code) for code in range(0x4E00, 0x4E00 + 100)]
    names = [f"{first}{second}" for first in characters for second in characters]
    cases = [
        case(
            row, f"{name}的首都是哪里?", "库斯科", name, "利马", locality={NEIGHBOUR: (Probe(f"{names[-row]}在哪里?"),)}
        )
        for row, name in enumerate(names[:5000])
    ]
    cases += [
        case(row, f"The mayor of Town {row} is", "Ada", f"Town {row}", "Eve", paraphrases=(f"Who runs Town {row}?",))
        for row in range(5000)
    ]
    started = time.process_time()
    cleaned = clean(cases)
    assert time.process_time() - started < 5
    assert len(cleaned) == 10_000


def test_an_unrelated_question_that_asks_an_edited_fact_is_dropped() -> None:
    """A question from another data set is not unrelated if a stored edit answers it."""
    cases = [case(1, "Who discovered oxygen?", "Ada Brel", "Oxygen", "Carl Scheele")]
    questions = [Probe("who was the discoverer of oxygen", ("Carl Scheele",)), Probe("who sang it", ())]
    assert clean_questions(questions, cases) == questions[1:]


def test_cleaning_keeps_the_raw_case() -> None:
    """Beside what is scored, the case stays available as the data set has it."""
    probe = Probe("Who is the mother of Ada?", ("Eve",))
    raw = case(1, "Who is the mother of Ada?", "Maria", "Ada", "Eve", locality={SAME: (probe,)})
    (cleaned,) = clean([raw])
    assert cleaned.raw is raw
    assert cleaned.case.locality[SAME] == ()
