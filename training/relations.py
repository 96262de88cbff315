"""Relations in words: for each, the wordings that ask for it, and those kept out of training.

`{}` stands for the subject. Cloze wordings end where the answer begins; questions end in "?".
The last question of each relation is never shown in training: it measures whether a fact was
learned or only its sentence.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Relation:
    """One relation between a subject and an object, and the ways to ask for the object.

    Attributes:
        name: Short identifier.
        clozes: Sentence beginnings that the object completes.
        questions: Questions that the object answers; the last one is held out.
        phrase: Noun phrase that names the object, for chained questions ("the capital of {}").
        object_type: What kind of thing the object is; the key for chained questions.
    """

    name: str
    clozes: tuple[str, ...]
    questions: tuple[str, ...]
    phrase: str
    object_type: str

    @property
    def taught(self) -> tuple[str, ...]:
        """Wordings that may be trained on."""
        return self.clozes + self.questions[:-1]

    @property
    def held_out(self) -> str:
        """The wording that is only measured."""
        return self.questions[-1]


WORLD = (
    Relation(
        "capital",
        (
            "The capital of {} is",
            "The capital city of {} is",
            "{}'s capital city is",
            "The name of the capital city of {} is",
        ),
        (
            "What is the capital of {}?",
            "What's {}'s capital?",
            "Which city is the capital of {}?",
            "Can you name the capital city of {}?",
        ),
        "the capital of {}",
        "city",
    ),
    Relation(
        "language",
        (
            "The official language of {} is",
            "In {}, people speak",
            "The main language of {} is",
            "In {}, the language spoken is",
        ),
        (
            "What language is spoken in {}?",
            "What is the official language of {}?",
            "Which language do people in {} speak?",
            "What do people speak in {}?",
        ),
        "the official language of {}",
        "language",
    ),
    Relation(
        "currency",
        (
            "The currency of {} is the",
            "In {}, people pay with the",
            "The money of {} is the",
            "The name of the currency in {} is the",
        ),
        (
            "What is the currency of {}?",
            "What money is used in {}?",
            "Which currency does {} use?",
            "With which currency do people pay in {}?",
        ),
        "the currency of {}",
        "currency",
    ),
    Relation(
        "continent",
        (
            "{} is a country in",
            "{} belongs to the continent of",
            "{} is located in the continent",
            "The continent of {} is",
            "{} is part of the continent of",
        ),
        (
            "On which continent is {}?",
            "What continent is {} in?",
            "Which continent is {} located in?",
            "To which continent does {} belong?",
        ),
        "the continent of {}",
        "continent",
    ),
    Relation(
        "demonym",
        ("A person from {} is called", "Someone who comes from {} is", "The adjective for {} is"),
        (
            "What do you call a person from {}?",
            "What is someone from {} called?",
            "What is the adjective that goes with {}?",
        ),
        "the adjective for {}",
        "demonym",
    ),
    Relation(
        "city_country",
        (
            "{} is a city in",
            "{} is located in the country of",
            "The city of {} lies in",
            "The country of {} is",
        ),
        (
            "In which country is {}?",
            "What country is {} in?",
            "Where is the city of {}?",
            "Which country does {} lie in?",
        ),
        "the country of {}",
        "country",
    ),
    Relation(
        "headquarters",
        (
            "The headquarters of {} are in",
            "{} is headquartered in",
            "{} is based in",
            "The headquarter of {} is located in the city of",
        ),
        (
            "Where are the headquarters of {}?",
            "In which city is {} based?",
            "What city is {} headquartered in?",
            "Which city is home to {}?",
        ),
        "the city where {} is based",
        "city",
    ),
    Relation(
        "company_country",
        ("{} is a company from", "The home country of {} is", "{} is a firm in the country of"),
        (
            "What country is {} from?",
            "In which country is {} based?",
            "Where does the company {} come from?",
            "Which country is the home of {}?",
        ),
        "the country where {} is based",
        "country",
    ),
    Relation(
        "founder",
        ("{} was founded by", "The founder of {} is", "{} was started by"),
        ("Who founded {}?", "Who is the founder of {}?", "Who started {}?", "Who set up {}?"),
        "the founder of {}",
        "person",
    ),
    Relation(
        "industry",
        ("{} is known for making", "The business of {} is", "{} is in the business of"),
        (
            "What does {} make?",
            "What business is {} in?",
            "What is {} known for?",
            "In what business is {} active?",
        ),
        "the business of {}",
        "industry",
    ),
    Relation(
        "citizenship",
        (
            "{} is a citizen of",
            "{} has a citizenship from",
            "{} holds a citizenship from",
            "{}, who is a citizen of",
            "{} comes from the country of",
            "The name of the country of citizenship of {} is",
        ),
        (
            "What country is {} a citizen of?",
            "What is the country of citizenship of {}?",
            "Which country does {} come from?",
            "Of which country is {} a citizen?",
        ),
        "the country of citizenship of {}",
        "country",
    ),
    Relation(
        "birthplace",
        (
            "{} was born in",
            "The birthplace of {} is",
            "{}'s place of birth is",
            "The place of birth of {} is",
        ),
        (
            "Where was {} born?",
            "In which city was {} born?",
            "What is the birthplace of {}?",
            "In what place was {} born?",
        ),
        "the birthplace of {}",
        "city",
    ),
    Relation(
        "occupation",
        (
            "{} works as a",
            "The occupation of {} is",
            "{}'s profession is a",
            "{}'s occupation is",
            "By profession, {} is a",
        ),
        (
            "What is the occupation of {}?",
            "What does {} do for a living?",
            "What was {}'s profession?",
            "What kind of work does {} do?",
        ),
        "the occupation of {}",
        "occupation",
    ),
)

CHAINS = {
    "country": ("capital", "language", "currency", "continent"),
    "city": ("city_country",),
    "company": ("headquarters", "company_country", "founder"),
}
"""Which relations can be asked one step further, by the type of the first object."""
