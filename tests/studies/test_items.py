"""The recipe of the items: what is held out stays out, and it rebuilds byte for byte."""

import re

import pytest

from ablate.benchmarks import BENCHMARKS, MAIN, SPLITS, load_items
from studies.contents import Content, split_of, table_key
from studies.forms import (
    PRETRAINING_FORMS,
    TARGET_FORMS,
    pairs_for,
    prompt,
    table_question,
    table_text,
    wording,
)

FORMS = (*PRETRAINING_FORMS, *TARGET_FORMS)


def key_of(skill: str, text: str, form: str) -> str:
    """The content key of a prompt, read back from the prompt alone."""
    if skill == "recall":
        return table_key(tuple(re.findall(r"([a-z])[:,]?([0-9])", text)))
    template = re.escape(wording(skill, form))
    parts = re.fullmatch(re.sub(r"\\{\d\\}", lambda m: f"(?P<p{m[0][2]}>.+?)", template), text)
    if skill == "arithmetic":
        left, operator, right = re.findall(r"\d+|[+-]", text)
        if operator == "-":
            return f"{left}-{right}"
        return "+".join(map(str, sorted((int(left), int(right)))))
    return "=".join(parts[f"p{i}"] for i in range(len(parts.groups())))


def skill_and_form(item_id: str) -> tuple[str, str]:
    name, _, *rest = item_id.split("-")
    return (rest[0], rest[1]) if name == "retention" else (name, rest[0])


@pytest.mark.parametrize("name", [*MAIN, "retention"])
def test_the_split_of_an_item_is_that_of_its_content_in_every_form(name):
    for split in SPLITS:
        for item in load_items(name, split):
            skill, form = skill_and_form(item.id)
            assert split_of(skill, key_of(skill, item.prompt, form)) == split, item


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_of_a_content_give_its_key_back(form):
    for content in (
        Content("arithmetic", ("41", "+", "7"), "48", "7+41"),
        Content("arithmetic", ("41", "-", "7"), "34", "41-7"),
        Content("algebra", ("3x+2", "11"), "3", "3x+2=11"),
        Content("code", ("turn",), "nrut", "turn"),
    ):
        assert key_of(content.skill, prompt(content, form), form) == content.key
    table = (("a", "3"), ("k", "7"))
    text = table_text(table, form) + table_question("k", form)
    assert key_of("recall", text, form) == table_key(table)


def test_no_two_forms_write_a_question_alike():
    content = Content("code", ("turn",), "nrut", "turn")
    assert len({prompt(content, form) for form in FORMS}) == 6
    table = (("a", "1"), ("b", "2"))
    assert len({table_text(table, form) + table_question("a", form) for form in FORMS}) == 6


@pytest.mark.parametrize("form", FORMS)
def test_tables_are_just_as_long_as_asked(form):
    for length in (12, 47, 48):
        n_pairs = pairs_for(length, form)
        text = {n: table_text((("a", "1"),) * n, form) for n in (n_pairs - 1, n_pairs)}
        assert len(text[n_pairs]) + 1 >= length
        assert len(text[n_pairs - 1]) < length


def test_retention_asks_every_skill_in_both_forms():
    for split in SPLITS:
        ids = [skill_and_form(item.id) for item in load_items("retention", split)]
        assert set(ids) == {(skill, form) for skill in MAIN for form in PRETRAINING_FORMS}
        assert max(ids.count(group) for group in ids) <= min(ids.count(group) for group in ids) + 1


@pytest.mark.parametrize("name", MAIN)
def test_a_main_benchmark_asks_equally_in_its_four_new_forms(name):
    for split in SPLITS:
        forms = [skill_and_form(item.id)[1] for item in load_items(name, split)]
        assert {forms.count(form) for form in TARGET_FORMS} == {len(forms) // 4}


def test_answers_are_right():
    for item in load_items("arithmetic", "test"):
        left, operator, right = re.findall(r"\d+|[+-]", item.prompt)
        expected = int(left) + int(right) if operator == "+" else int(left) - int(right)
        assert int(item.answer) == expected
    for item in load_items("algebra", "test"):
        form = skill_and_form(item.id)[1]
        left, right = key_of("algebra", item.prompt, form).split("=")
        value = eval(re.sub(r"(?<=\d)x", "*x", left), {"x": int(item.answer)})
        assert value == int(right)


def test_the_shipped_items_are_rebuilt_byte_for_byte():
    pytest.importorskip("reasoning_gym", reason="needs the extra 'recipes'")
    from studies.items import benchmark_lines

    for name in ("arithmetic", "code", "recall"):
        assert benchmark_lines(name) == BENCHMARKS[name].path.read_text(encoding="utf-8")
