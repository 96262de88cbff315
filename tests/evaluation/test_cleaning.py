from __future__ import annotations

from memedit.evaluation.cases import Case, LocalityKind, Probe
from memedit.evaluation.cleaning import clean, clean_questions

NEIGHBOUR, SAME, FORGET = LocalityKind.NEIGHBOUR, LocalityKind.SAME_SUBJECT, LocalityKind.FORGETFULNESS


def case(row: int, prompt: str, target: str, subject: str, old: str = "", **more: object) -> Case:
    """A case with at most one old answer."""
    return Case(row, prompt, target, subject, old_answers=(old,) if old else (), **more)  # type: ignore[arg-type]


def kept(cases: list[Case], kind: LocalityKind, position: int = 0) -> list[str]:
    """Prompts of one kind that are scored of the case at `position`."""
    cleaned, _ = clean(cases)
    return [probe.prompt for probe in cleaned[position].case.locality[kind]]


def test_the_later_edit_of_a_fact_wins() -> None:
    """Of several edits of one fact, in the same or other words, only the last is scored."""
    cases = [
        case(1, "The twin city of Rome is", "Oslo", "Rome", "Paris"),
        case(2, "The capital of Peru is", "Cusco", "Peru", "Lima"),
        case(3, "the twin city of Rome  is", "Cairo", "Rome", "Paris"),
        case(4, "Which city is twinned with Rome?", "Delhi", "Rome", "Paris"),
    ]
    cleaned, dropped = clean(cases)
    assert [item.superseded for item in cleaned] == [True, False, True, False]
    assert dropped["superseded_edits"] == 2


def test_another_relation_of_one_subject_is_another_fact() -> None:
    """Two edits of one subject with other relations are both scored."""
    cases = [
        case(1, "The capital of Peru is", "Cusco", "Peru", "Lima"),
        case(2, "The currency of Peru is", "euro", "Peru", "sol"),
    ]
    assert not any(item.superseded for item in clean(cases)[0])


def test_the_relation_decides_where_the_data_names_it() -> None:
    """Equal true answers do not make one fact of two where the data names two relations."""
    cases = [
        case(1, "Ada was born in", "Rome", "Ada", "Lyon", relation="P19"),
        case(2, "Ada died in", "Oslo", "Ada", "Lyon", relation="P20"),
    ]
    assert not any(item.superseded for item in clean(cases)[0])


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
    assert clean(cases)[1]["locality_neighbour"] == 1


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


def test_an_unrelated_question_that_asks_an_edited_fact_is_dropped() -> None:
    """A question from another data set is not unrelated if a stored edit answers it."""
    cases = [case(1, "Who discovered oxygen?", "Ada Brel", "Oxygen", "Carl Scheele")]
    questions = [Probe("who was the discoverer of oxygen", ("Carl Scheele",)), Probe("who sang it", ())]
    assert clean_questions(questions, cases) == questions[1:]


def test_cleaning_keeps_the_raw_case() -> None:
    """Beside what is scored, the case stays available as the data set has it."""
    probe = Probe("Who is the mother of Ada?", ("Eve",))
    raw = case(1, "Who is the mother of Ada?", "Maria", "Ada", "Eve", locality={SAME: (probe,)})
    (cleaned,), _ = clean([raw])
    assert cleaned.raw is raw
    assert cleaned.case.locality[SAME] == ()
