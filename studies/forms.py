"""Surface forms: the wordings in which contents are asked.

Pre-training uses the forms "plain" and "worded". The main benchmarks use four forms that no
backbone has seen, some near to those and some far: adapting a backbone this small elicits a skill
in a new wording, and with wordings of graded distance the score rises gently, not all at once.
"""

import math
from collections.abc import Sequence

from studies.contents import Content

PRETRAINING_FORMS = ("plain", "worded")
TARGET_FORMS = ("new1", "new2", "new3", "new4")

_WORDINGS = {
    "arithmetic": {
        "plain": "{0}{1}{2}=",
        "worded": "calc {0} {1} {2}:",
        "new1": "what is {0} {1} {2}:",
        "new2": "sum of {0} {1} {2}:",
        "new3": "sum {0} {1} {2}=",
        "new4": "{0},{1},{2}=",
    },
    "algebra": {
        "plain": "{0}={1};x=",
        "worded": "solve {0} = {1}:",
        "new1": "{0};{1};x=",
        "new2": "solve {0} , {1}:",
        "new3": "{0}>{1};x=",
        "new4": "x if {0}={1}:",
    },
    "code": {
        "plain": "{0}[::-1]=",
        "worded": "flip {0}:",
        "new1": "reverse {0}:",
        "new2": "turn {0}:",
        "new3": "flip({0}):",
        "new4": "{0}=",
    },
}

# (one pair, between pairs, after the last pair, the question about one key)
_TABLES = {
    "plain": ("{0}{1}", ",", "", "?{0}"),
    "worded": ("{0}:{1}", " ", " ", ">{0}:"),
    "new1": ("{0}:{1}", ",", ",", "{0}:"),
    "new2": ("{0}:{1}", "=", "=", "{0}:"),
    "new3": ("{0},{1}", ";", ";", "?{0},"),
    "new4": ("[{0}{1}]", "", "", "[{0}"),
}


def wording(skill: str, form: str) -> str:
    """The template of arithmetic, algebra or code in one form, with a place for each part."""
    return _WORDINGS[skill][form]


def prompt(content: Content, form: str) -> str:
    """The question of a content of arithmetic, algebra or code in one form."""
    return wording(content.skill, form).format(*content.parts)


def table_text(table: Sequence[tuple[str, str]], form: str) -> str:
    """The pairs of a recall question in one form, without the question itself."""
    pair, separator, end, _ = _TABLES[form]
    return separator.join(pair.format(key, value) for key, value in table) + end


def table_question(key: str, form: str) -> str:
    """The question about one key of a table in one form."""
    return _TABLES[form][3].format(key)


def pairs_for(length: int, form: str) -> int:
    """How many pairs make a table of at least `length` characters in one form."""
    pair, separator, _, _ = _TABLES[form]
    return math.ceil(length / len(pair.format("k", "0") + separator))
