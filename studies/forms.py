"""Surface forms: the wordings in which contents are asked.

Pre-training uses the forms "plain" and "worded"; the benchmarks use "target", which no backbone has
seen. Adapting a backbone this small elicits a skill in a new wording; it does not teach the skill.
"""

from collections.abc import Sequence

from studies.contents import Content

PRETRAINING_FORMS = ("plain", "worded")

_TEMPLATES = {
    ("arithmetic", "plain"): "{0}{1}{2}=",
    ("arithmetic", "worded"): "calc {0} {1} {2}:",
    ("arithmetic", "target"): "what is {0}{1}{2}?",
    ("algebra", "plain"): "{0}={1};x=",
    ("algebra", "worded"): "solve {0} = {1}:",
    ("algebra", "target"): "{1} is {0}, x?",
    ("code", "plain"): "{0}[::-1]=",
    ("code", "worded"): "flip {0}:",
    ("code", "target"): 'rev("{0}")',
}

# (one pair, between pairs, after the last pair, the question about one key)
_TABLES = {
    "plain": ("{0}{1}", ",", "", "?{0}"),
    "worded": ("{0}:{1}", " ", " ", ">{0}:"),
    "target": ("{0}={1}", ";", ";", "{0}="),
}


def prompt(content: Content, form: str) -> str:
    """The question of a content of arithmetic, algebra or code in one form."""
    return _TEMPLATES[content.skill, form].format(*content.parts)


def table_text(table: Sequence[tuple[str, str]], form: str) -> str:
    """The pairs of a recall question in one form, without the question itself."""
    pair, separator, end, _ = _TABLES[form]
    return separator.join(pair.format(key, value) for key, value in table) + end


def table_question(key: str, form: str) -> str:
    """The question about one key of a table in one form."""
    return _TABLES[form][3].format(key)
