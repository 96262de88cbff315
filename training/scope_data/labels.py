"""Which relation a wording asks for, told by its words: a table of patterns.

Used to build pairs that are *surely* about another relation of the same subject, and pairs in
other words that are surely about the same one. A wording no pattern knows has no label, and no
such pairs are made from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One relation: its label, the kinds of subject it is asked of, the words that show it.

    Attributes:
        label: Short name of the relation.
        kinds: Letters: p person, w work or product, l place, o organisation, n anything else.
        pattern: Regular expression over the lower-case wording without its subject (`{}`).
        precise: Whether two wordings with this label surely ask the same thing.
    """

    label: str
    kinds: str
    pattern: re.Pattern[str]
    precise: bool


def _rule(label: str, kinds: str, pattern: str, *, precise: bool = True) -> Rule:
    return Rule(label, kinds, re.compile(pattern), precise)


RULES = (
    _rule("residence", "p", r"\blive(s|d)?\b"),
    _rule("mother", "p", r"\bmother\b(?! tongue)|gave birth to|lady \{\} was born"),
    _rule("named_after", "lwop", r"named (after|for)|called after|namesake"),
    _rule(
        "birth_date",
        "p",
        r"(date|day|year)\b.*\b(birth|born)|birth ?date|birthday|"
        r"when (was|is) (the birth of )?\{\}( born)?\??$|when.*\bborn",
    ),
    _rule(
        "death_date",
        "p",
        r"(date|day|year)\b.*\b(death|died|die|expire|pass)|when.*\b(die|died|death)",
    ),
    _rule(
        "death_cause",
        "p",
        r"(how|why) did \{\} die|cause.*death|caused|disease.*died|ailment|medical condition|"
        r"what did \{\} die (of|from)|killed \{\}|die of",
    ),
    _rule("burial", "p", r"buried|burial|resting place"),
    _rule(
        "death_place",
        "p",
        r"(place|city|town|location|where|in which|in what).*\b(death|died|die|dies)\b|"
        r"\b(died|dies|passed away|expired|succumbed|lost their life|life ended) (in|at)\b",
    ),
    _rule(
        "birth_place",
        "p",
        r"birthplace|birth place|(place|city|town|where|which)\b.*\b(birth|born)\b|"
        r"was born in",
    ),
    _rule("native_language", "p", r"mother tongue|native (language|tongue|speaker)|first language"),
    _rule("gender", "p", r"\bgender\b|\bsex\b"),
    _rule("father", "p", r"\bfather|male parent|paternal"),
    _rule("spouse", "p", r"spouse|married|wife|husband|marry"),
    _rule("sibling", "p", r"sister|brother|sibling"),
    _rule("child", "p", r"(?<!number of )(\bchild\b|children)|\bson of\b|\bdaughter\b"),
    _rule(
        "education",
        "p",
        r"universit|univeristy|college|educated|alma mater|\bstudied\b|go to school",
    ),
    _rule("award", "pw", r"\baward|\bprize"),
    _rule("ethnic", "p", r"ethnic"),
    _rule("religion", "plo", r"religio|\bfaith\b|worship"),
    _rule("voice", "p", r"\bvoice|vocal|\brange\b|type of tone"),
    _rule("record_label", "pow", r"record label|music label|recording label|label (was )?responsible"),
    _rule("conviction", "p", r"\bcrime\b|convict"),
    _rule("war", "po", r"\bwar\b|\bconflict\b"),
    _rule("instrument", "p", r"instrument"),
    _rule("league", "op", r"\bleague"),
    _rule("coach", "o", r"\bcoach"),
    _rule("team", "p", r"\bteam\b|\bclub\b"),
    _rule("sport", "po", r"\bsport\b"),
    _rule(
        "employer",
        "p",
        r"employer|employed by|works for|place of employment|employs|"
        r"(organization|company) where \{\} works|where does \{\} work",
    ),
    _rule(
        "work_place",
        "p",
        r"(worked|work|works|employed|employment) in( the city of)?$|took up work|"
        r"which city did \{\} work",
    ),
    _rule(
        "field",
        "p",
        r"(field|domain|area) of (work|activity|study)|works in the (area|field)|"
        r"specializes|expertise",
        precise=False,
    ),
    _rule(
        "team_position",
        "p",
        r"play(s|ed)? (as|in the position|the position)|what position does|position.*\bplay|position on the",
    ),
    _rule(
        "position_held",
        "p",
        r"position (held|of|was held|that \{\} held|that)|holds? the (position|title)|"
        r"title is held|has the position|whose position|position is$",
        precise=False,
    ),
    _rule(
        "occupation",
        "p",
        r"occupation|profession|career|works as|kind of work|what.*\bjob\b|for a living",
    ),
    _rule("genre", "pow", r"\bgenre\b|type of music|kind of music|style of music"),
    _rule("citizenship", "p", r"citizen|nationality|national identity|which nation\b"),
    _rule("capital", "l", r"capital"),
    _rule("currency", "l", r"currency|money is used"),
    _rule("head_of_state", "l", r"head of state|president of"),
    _rule("head_of_government", "l", r"head of (the )?(\{\} )?government|prime minister|\bmayor"),
    _rule("twin_city", "l", r"twin"),
    _rule("official_language", "l", r"official language|law in|they understand|the language spoken"),
    _rule("continent", "l", r"continent"),
    _rule("chief_executive", "o", r"chief executive|\bceo\b"),
    _rule("chairperson", "o", r"chairperson|chairman"),
    _rule("headquarters", "o", r"headquarter|main office|head office"),
    _rule("founder", "o", r"who (founded|established)|founder|was founded by"),
    _rule("founding_place", "o", r"(city|place|where|location).*(formed|founded)|founded in the city"),
    _rule("parent_company", "o", r"parent company|company is \{\} part of|subsidiary"),
    _rule("industry", "o", r"industry"),
    _rule(
        "end_date",
        "own",
        r"(year|date|when).*(end|ended|dissol|abolish|ceased|ending|final year)|"
        r"(final|ending) year",
    ),
    _rule(
        "start_date",
        "own",
        r"(year|date|when).*(start|formed|founded|created|establish|commission|service|"
        r"approv|launch|introduc|inception|come into use|released|publication)",
        precise=False,
    ),
    _rule("programming_language", "w", r"programming"),
    _rule("illustrator", "w", r"illustrat|ilustrator"),
    _rule("screenwriter", "w", r"screenwriter|screenplay|wrote the (story|script)"),
    _rule("composer", "w", r"compos|music director|wrote the music"),
    _rule("cast", "w", r"\bcast\b|acted|\bstars?\b (of|in)|who (was the star|starred|stars|featured)"),
    _rule("director", "w", r"direct(s|ed|or)"),
    _rule("producer_company", "w", r"production company|studio produced|company produced"),
    _rule("author", "w", r"author|who wrote|which person wrote|written by"),
    _rule("publisher", "w", r"publish"),
    _rule("distributor", "w", r"distribut"),
    _rule(
        "network",
        "w",
        r"(premiere[sd]?|debut(ed)?|aired|released|debut) on|broadcaster|"
        r"(network|channel)\b",
    ),
    _rule("developer", "w", r"develop(er|ed by)|who developed"),
    _rule(
        "manufacturer",
        "w",
        r"manufactur|produced by|who (made|makes|built)|company (made|makes|built)",
    ),
    _rule("designer", "w", r"desig[a-z]*n|architect"),
    _rule(
        "creator",
        "w",
        r"created by|who (is the creator|created)|creator|creation of",
        precise=False,
    ),
    _rule("performer", "w", r"perform(ed|er)\b|who sang|singer"),
    _rule("material", "wn", r"material|made of"),
    _rule("fiction", "n", r"fiction|piece of|fictional"),
    _rule("series", "w", r"\bseries\b|\bshow\b"),
    _rule(
        "work_language",
        "w",
        r"(language|tongue).*(written|made|film|reporting|work|of \{\}|original|is \{\}|in$)|"
        r"original language|written in",
        precise=False,
    ),
    _rule("person_language", "p", r"speaks|spoke|writes in|speaker of|language used by", precise=False),
    _rule("constellation", "n", r"constellation"),
    _rule("planet", "n", r"celestial|astronomical|planet|\bmoon\b"),
    _rule("conservation", "n", r"conservation|endangered|iucn"),
    _rule("species", "n", r"\bspecies\b|living being"),
    _rule("vessel", "n", r"vessel|submarine|type of aquatic|seafaring"),
    _rule("discoverer", "n", r"discover"),
    _rule("airport", "ol", r"airport|airline hub"),
    _rule("water", "l", r"\briver\b|body of water|tributary"),
    _rule("family", "pn", r"\bfamily\b", precise=False),
    _rule(
        "country_of_origin",
        "w",
        r"country.*(origin|released|filmed|created|from|made)",
        precise=False,
    ),
    _rule("country", "l", r"\bcountry\b", precise=False),
    _rule("state", "l", r"\bstate\b"),
    _rule("owner", "wo", r"\bowne?(r|d|s)\b"),
    _rule("member_of", "po", r"member of|belongs to the organi"),
    _rule("follows", "n", r"\bfollows\b"),
    _rule("followed_by", "n", r"followed by"),
    _rule(
        "work_origin",
        "wo",
        r"(created|originated|formulated|formed|started|founded|developed) in$|"
        r"originat",
        precise=False,
    ),
    _rule(
        "location",
        "l",
        r"located|location|\bwithin\b|can be found in|^\{\},? (is )?in$|situated|"
        r"exist in|belongs to",
        precise=False,
    ),
)

_KINDRED = (
    {
        "location",
        "country",
        "continent",
        "state",
        "work_origin",
        "country_of_origin",
        "capital",
        "official_language",
        "twin_city",
        "founding_place",
        "headquarters",
        "water",
        "airport",
    },
    {"work_origin", "country_of_origin", "work_language", "location", "network"},
    {"citizenship", "person_language", "native_language", "country", "ethnic"},
    {"person_language", "native_language", "birth_place"},
    {
        "occupation",
        "field",
        "position_held",
        "team_position",
        "sport",
        "instrument",
        "genre",
        "voice",
    },
    {"employer", "work_place", "team", "member_of", "education", "position_held", "occupation"},
    {
        "creator",
        "developer",
        "manufacturer",
        "owner",
        "publisher",
        "producer_company",
        "designer",
        "author",
        "parent_company",
        "performer",
        "composer",
        "founder",
        "distributor",
        "network",
    },
    {"director", "creator"},
    {"screenwriter", "author", "creator"},
    {"illustrator", "designer"},
    {"family", "father", "mother", "species"},
    {"team", "league", "member_of", "sport"},
    {"series", "fiction", "network"},
    {"capital", "head_of_state", "head_of_government"},
    {"start_date", "birth_date", "end_date"},
    {"residence", "death_place", "citizenship", "birth_place", "work_place"},
    {"chief_executive", "chairperson", "founder"},
)
_CONTRASTS = (
    {"birth_place", "death_place"}, {"birth_place", "residence"}, {"birth_place", "work_place"},
    {"birth_place", "citizenship"}, {"death_place", "work_place"},
    {"death_place", "citizenship"}, {"father", "mother"}, {"founder", "owner"}, {"founder", "chief_executive"},
    {"founder", "chairperson"}, {"chief_executive", "chairperson"}, {"founder", "parent_company"},
    {"author", "publisher"}, {"developer", "publisher"}, {"publisher", "distributor"}, {"composer", "performer"},
    {"manufacturer", "owner"}, {"designer", "manufacturer"}, {"developer", "owner"}, {"author", "owner"},
    {"headquarters", "founding_place"},
    {"continent", "official_language"}, {"continent", "twin_city"}, {"official_language", "twin_city"},
    {"capital", "head_of_state"}, {"capital", "head_of_government"}, {"head_of_state", "head_of_government"},
    {"employer", "education"}, {"education", "member_of"}, {"education", "team"}, {"education", "work_place"},
    {"team", "league"}, {"team", "sport"}, {"league", "sport"}, {"genre", "instrument"}, {"genre", "voice"},
    {"instrument", "voice"}, {"sport", "team_position"},
)  # fmt: skip
"""Of kindred relations, those that surely are not the same: each is told by words that the other never has."""
_BY_LABEL = {rule.label: rule for rule in RULES}


def label_of(template: str) -> str | None:
    """The relation asked for by `template`, a wording with `{}` for its subject."""
    text = template.casefold().strip()
    return next((rule.label for rule in RULES if rule.pattern.search(text)), None)


def kinds_of(label: str) -> str:
    """The kinds of subject (see `Rule.kinds`) that `label` is asked of."""
    return _BY_LABEL[label].kinds


def is_precise(label: str | None) -> bool:
    """Whether two wordings labelled `label` surely ask the same thing."""
    return label is not None and _BY_LABEL[label].precise


def surely_differ(first: str | None, second: str | None) -> bool:
    """Whether two labels surely ask for different things."""
    if first is None or second is None or first == second:
        return False
    return {first, second} in _CONTRASTS or not any(first in kin and second in kin for kin in _KINDRED)
