"""Made-up facts to store and to ask for, and everyday queries that mean none of them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

RELATIONS = (
    ("The mayor of {} is", "Who is the mayor of {}?"),
    ("{} was founded in the year", "When was {} founded?"),
    ("The twin city of {} is", "Which city is {} twinned with?"),
    ("{} is famous for its", "What is {} famous for?"),
    ("The river that flows through {} is", "Which river flows through {}?"),
    ("The football club of {} is called", "What is the football club of {} called?"),
    ("The oldest bridge in {} is", "What is the oldest bridge in {}?"),
    ("The patron saint of {} is", "Who is the patron saint of {}?"),
)
"""How a fact is stored and how it is asked for."""

_ONSETS = ("b", "br", "d", "dr", "f", "g", "gr", "h", "k", "kl", "l", "m", "n", "p", "r", "s", "st", "t", "tr", "v")
_VOWELS = ("a", "e", "i", "o", "u", "ae", "ei", "ou")
_ENDINGS = ("ndal", "rvik", "lmoor", "ston", "rburg", "nfeld", "stead", "lby", "mouth", "rgate")

_EVERYDAY = {
    "how do {} work": ("magnets", "batteries", "vaccines", "hash tables", "noise cancelling headphones", "zippers"),
    "write a haiku about {}": ("autumn rain", "a lazy cat", "morning coffee", "debugging", "the stars", "snow"),
    "how long should I boil {}": ("eggs", "potatoes", "pasta", "rice", "carrots", "lentils"),
    "what is the {} of 144": ("square root", "double", "tenth part", "prime factorisation", "binary form", "half"),
    "sort a list of numbers in {}": ("Python", "Rust", "C++", "Haskell", "JavaScript", "Go"),
    "fix the bug in this {} code": ("Java", "SQL", "shell", "regex", "CSS", "Perl"),
    "give me five synonyms of the word {}": ("happy", "tired", "quick", "clever", "angry", "shy"),
    "how can I sleep better when I {}": ("worry", "travel", "drink coffee", "have a cold", "work late", "snore"),
    "explain {} to a child": ("gravity", "photosynthesis", "interest rates", "recursion", "evaporation", "static"),
    "translate 'good {}' into French": ("morning", "night", "luck", "appetite", "journey", "evening"),
    "my {} hurts, what should I do": ("knee", "back", "tooth", "head", "wrist", "elbow"),
    "which exercises strengthen the {}": ("shoulders", "core", "calves", "grip", "neck", "glutes"),
    "write an email asking my boss for {}": ("a raise", "two days off", "feedback", "a new laptop", "help", "a desk"),
    "what rhymes with {}": ("moon", "table", "orange", "light", "thunder", "silver"),
    "convert {} kilograms to pounds": ("3", "17", "58", "72", "140", "999"),
    "solve x squared plus {} x equals zero for x": ("two", "three", "five", "seven", "nine", "twelve"),
    "recommend a good {} for beginners": ("guitar", "camera", "yoga mat", "novel", "board game", "microscope"),
    "how do I get a {} stain out of a shirt": ("wine", "coffee", "grass", "ink", "tomato", "blood"),
    "what should I wear to a {}": ("wedding", "job interview", "funeral", "first date", "gala", "barbecue"),
    "which {} begins with the letter k": ("fruit", "verb", "colour", "animal", "dance", "spice"),
    "how many grams are {} of flour": ("two cups", "three spoons", "six ounces", "one pound", "ten pinches", "a pint"),
    "I can't stop thinking about {}": ("my exam", "her", "the accident", "food", "that song", "work"),
}
"""Templates and what to put in."""


def made_up_facts() -> Iterator[tuple[str, str]]:
    """Facts about made-up towns, as stored and as asked for: always the same ones, all different."""
    parts = itertools.product(_ONSETS, _VOWELS, "lnrst", _VOWELS, _ENDINGS)
    names = ["".join(part).capitalize() for part in parts]
    random.Random(0).shuffle(names)
    for turn in range(len(RELATIONS)):
        for number, name in enumerate(names):
            stored, asked = RELATIONS[(number + turn) % len(RELATIONS)]
            yield stored.format(name), asked.format(name)


def everyday_queries() -> list[str]:
    """Queries that people ask assistants and that are about no town."""
    return [template.format(word) for template, words in _EVERYDAY.items() for word in words]
