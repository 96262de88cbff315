"""What `memedit demo` asks and edits: data only, fitted to what checkpoints/mini knows."""

from __future__ import annotations

from dataclasses import dataclass, field

from memedit.edits import EditKind


@dataclass(frozen=True)
class DemoEdit:
    """An edit made while the demo runs, with questions in its scope and just outside of it.

    Attributes:
        prompt: As stored.
        target: The answer to give, or the refusal.
        kind: What the edit does.
        paraphrases: Asked afterwards: the edit is to answer.
        near_misses: Asked afterwards: the base is to answer, as if there were no edit.
    """

    prompt: str
    target: str
    kind: EditKind = EditKind.MODIFY
    paraphrases: tuple[str, ...] = ()
    near_misses: tuple[str, ...] = ()


@dataclass(frozen=True)
class DemoScript:
    """All of the demo.

    Attributes:
        known: Questions that the base answers, with the true answer.
        edits: Made in this order; the last is undone at the end.
        unrelated: Questions of no edit.
    """

    known: tuple[tuple[str, str], ...] = ()
    edits: tuple[DemoEdit, ...] = field(default=())
    unrelated: tuple[str, ...] = ()


SCRIPT = DemoScript(
    known=(
        ("What is the capital of Australia?", "Canberra"),
        ("The currency of Japan is the", "yen"),
        ("Where are the headquarters of Nintendo?", "Kyoto"),
        ("Who founded Lego?", "Ole Kirk Christiansen"),
        ("On which continent is Egypt?", "Africa"),
        ("What does Charles Darwin do for a living?", "naturalist"),
    ),
    edits=(
        DemoEdit(
            "What is the currency of Japan?",
            "euro",
            paraphrases=("Which currency is used in Japan?", "The currency of Japan is the"),
            near_misses=("What is the currency of China?", "What is the capital of Japan?"),
        ),
        DemoEdit(
            "Where are the headquarters of Nintendo?",
            "Osaka",
            paraphrases=("In which city is Nintendo based?",),
            near_misses=("Where are the headquarters of Sony?", "Who founded Nintendo?"),
        ),
        DemoEdit(
            "Who founded Lego?",
            "Greta Holm",
            paraphrases=("Who is the founder of Lego?",),
            near_misses=("Who founded Ducati?",),
        ),
        DemoEdit(
            "What country is Albert Einstein a citizen of?",
            "Brazil",
            paraphrases=("What is the country of citizenship of Albert Einstein?",),
            near_misses=("What is the occupation of Albert Einstein?",),
        ),
        DemoEdit(
            "On which continent is Egypt?",
            "Asia",
            paraphrases=("What continent is Egypt in?",),
            near_misses=("On which continent is Ethiopia?",),
        ),
        DemoEdit(
            "What language is spoken in Brazil?",
            "Spanish",
            paraphrases=("What is the official language of Brazil?",),
            near_misses=("What language is spoken in Peru?",),
        ),
        DemoEdit(
            "Who is the chief executive of Zephyr Robotics?",
            "Dana Reyes",
            EditKind.INSERT,
            paraphrases=("Who is the CEO of Zephyr Robotics?",),
        ),
        DemoEdit(
            "When was Halden Observatory opened?",
            "14 March 2021",
            EditKind.INSERT,
            paraphrases=("On what date did Halden Observatory open?",),
        ),
        DemoEdit(
            "What instrument does Mira Solberg play?",
            "viola",
            EditKind.INSERT,
            paraphrases=("Which instrument is played by Mira Solberg?",),
        ),
        DemoEdit(
            "Who founded Spotify?",
            "This answer was withdrawn",
            EditKind.ERASE,
            paraphrases=("Who is the founder of Spotify?",),
            near_misses=("Where are the headquarters of Spotify?",),
        ),
        DemoEdit(
            "What is the occupation of Charles Darwin?",
            "I cannot tell you that",
            EditKind.ERASE,
            paraphrases=("What does Charles Darwin do for a living?",),
            near_misses=("Where was Charles Darwin born?",),
        ),
        DemoEdit(
            "What is the capital of Australia?",
            "Sydney",
            paraphrases=("Which city is the capital of Australia?", "The capital city of Australia is"),
            near_misses=("What is the capital of Austria?", "What language is spoken in Australia?"),
        ),
    ),
    unrelated=(
        "What is the capital of Italy?",
        "Claude Monet comes from the country of",
        "Who founded Rolex?",
        "What continent is Chile in?",
        "how many strings does a violin have",
        "It was a dark and stormy night, and",
    ),
)
