import pytest

from ablate import parse
from ablate.errors import AblateError


def test_every_scalar_stays_the_text_that_was_written():
    source = parse.read_yaml("a: off\nb: 010\nc: 1:2\nd: [no, null]\n", "x.yaml")
    assert source.values == {"a": "off", "b": "010", "c": "1:2", "d": ["no", "null"]}


def test_a_leading_zero_is_no_octal():
    assert parse.integer("010", "k") == 10


def test_keys_remember_their_line():
    source = parse.read_yaml("a: 1\ntrain:\n  steps: ten\n", "x.yaml")
    assert source.place("train.steps") == "x.yaml, line 3: train.steps"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("- a\n- b\n", "not a mapping"),
        ("a: [1, 2\n", "not valid YAML in line 2"),
        ("a: 1\na: 2\n", "line 2: a: the key is given twice"),
    ],
)
def test_a_bad_file_says_what_and_where(text, message):
    with pytest.raises(AblateError, match=message):
        parse.read_yaml(text, "x.yaml")


def test_overrides_nest_by_dots_and_overlay_key_by_key():
    base = parse.read_yaml("train: {steps: 5, lr: 1}\naxes: [a, b]\n", "x.yaml")
    merged = parse.overlay(base, parse.read_overrides(["train.steps=9", "axes=c"]))
    assert merged.values == {"train": {"steps": "9", "lr": "1"}, "axes": "c"}
    assert merged.place("train.steps") == "command line: train.steps"
    assert merged.place("train.lr") == "x.yaml, line 1: train.lr"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["axes"], "'axes' is not key=value"),
        (["=3"], "is not key=value"),
        (["seeds=1", "seeds=2"], "given twice"),
        (["seeds=1", "seeds.x=2"], "no keys below it"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(AblateError, match=message):
        parse.read_overrides(arguments)


@pytest.mark.parametrize("raw", ["ten", "1.5", "", "1e3"])
def test_integers_are_whole(raw):
    with pytest.raises(AblateError, match="not a whole number"):
        parse.integer(raw, "k")


@pytest.mark.parametrize("raw", ["inf", "nan"])
def test_numbers_are_finite(raw):
    with pytest.raises(AblateError, match="not finite"):
        parse.number(raw, "k")


def test_lists_are_distinct_and_not_empty():
    assert parse.names("a, b", "k") == ("a", "b")
    with pytest.raises(AblateError, match="the list is empty"):
        parse.names("", "k")
    with pytest.raises(AblateError, match="'a' is listed twice"):
        parse.names(["a", "b", "a"], "k")


def test_unknown_choices_name_the_nearest():
    with pytest.raises(AblateError, match="did you mean 'plain'"):
        parse.one_of("plan", "k", ("rich", "plain"))
