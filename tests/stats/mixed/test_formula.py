"""Formulas as text: what is read, and where a mistake is."""

from __future__ import annotations

import pytest

from stats.errors import StatsError
from stats.mixed.formula import parse


def random(text: str) -> list[str]:
    return [str(term) for term in parse(text).random]


@pytest.mark.parametrize(
    ("text", "fixed", "terms"),
    [
        ("y ~ x + (1 | g)", "x", ["(1 | g)"]),
        ("y~x+(1|g)", "x", ["(1 | g)"]),
        ("y ~ (1|g) + x", "x", ["(1 | g)"]),
        ("y ~ x + (1|g) - 1", "x - 1", ["(1 | g)"]),
        ("y ~ (1 | g)", "1", ["(1 | g)"]),
        ("y ~ 0 + x + (x | g)", "0 + x", ["(x | g)"]),
        ("y ~ x + (1 | a:b)", "x", ["(1 | a:b)"]),
        ("y ~ x + (1 | a/b)", "x", ["(1 | a)", "(1 | a:b)"]),
        ("y ~ x + (x | a / b / c)", "x", ["(x | a)", "(x | a:b)", "(x | a:b:c)"]),
        ("y ~ x + (x || g)", "x", ["(1 | g)", "(0 + x | g)"]),
        ("y ~ x + (1 + x || g)", "x", ["(1 | g)", "(0 + x | g)"]),
        ("y ~ x + (0 + x || g)", "x", ["(0 + x | g)"]),
        ("y ~ x + (x + z || a:b)", "x", ["(1 | a:b)", "(0 + x | a:b)", "(0 + z | a:b)"]),
        ("y ~ x + (x || a/b)", "x", ["(1 | a)", "(1 | a:b)", "(0 + x | a)", "(0 + x | a:b)"]),
        ("y ~ (a + b)^2 + (1 + x | g) + z", "(a + b)^2 + z", ["(1 + x | g)"]),
        ("log(y) ~ poly(x, 2) * z + (log(x) | g)", "poly(x, 2) * z", ["(log(x) | g)"]),
        ("y ~ `my x` + (`my x` | `my g`)", "`my x`", ["(`my x` | `my g`)"]),
        ("y ~ a.b + (1 | g.h)", "a.b", ["(1 | g.h)"]),
        ("y ~\n  x\n  + (1 | g)", "x", ["(1 | g)"]),
        ("y ~ x", "x", []),
    ],
)
def test_syntax(text: str, fixed: str, terms: list[str]):
    formula = parse(text)
    assert " ".join(formula.fixed.split()) == fixed
    assert random(text) == terms


def test_a_formula_prints_as_it_was_fitted():
    text = str(parse("log(y) ~ x*z + (x || `my g`) + (1 | a/b)"))
    assert text == ("log(y) ~ x*z + (1 | `my g`) + (0 + x | `my g`) + (1 | a) + (1 | a:b)")
    assert str(parse(text)) == text


def test_labels_have_no_quotes():
    (term,) = parse("y ~ 1 + (1 | `my g`:h)").random
    assert term.groups == ("my g", "h")
    assert term.label == "my g:h"


# The mark ^ stands where the position told must point to.
MISTAKES = [
    ("y x + (1 | g)^", "there is no '~'"),
    ("y ~^~ x", "more than one '~'"),
    ("y ~ x ^~ z", "more than one '~'"),
    ("^~ x", "the response is missing"),
    ("y ~^", "nothing follows '~'"),
    ("y ~ x + ^(1 | g", r"a '\(' without its '\)'"),
    ("y ~ ^(x + (1 | g)", r"a '\(' without its '\)'"),
    ("y ~ x^) + (1 | g)", r"a '\)' without its '\('"),
    ("y ~ x ^| g", "directly in one pair of brackets"),
    ("y ~ (1 | g) + 1 ^| h", "directly in one pair of brackets"),
    ("y ~ (x + (1 ^| g))", "directly in one pair of brackets"),
    ("y ~ x * ^(1 | g)", "a random term can only be added"),
    ("y ~ x ^(1 | g)", "a random term can only be added"),
    ("y ~ x - ^(1 | g)", "a random term can only be added"),
    ("y ~ (1 | g)^:x", "a random term can only be added"),
    ("y ~ (1 | g)^ x", "a random term can only be added"),
    ("y ~ x + (^ | g)", "nothing stands before '|'"),
    ("y ~ x + (1 |^)", "is not a grouping"),
    ("y ~ x + (1 | ^g + h)", "is not a grouping"),
    ("y ~ x + (1 | g:^2)", "is not a grouping"),
    ("y ~ x + (1 | g ^| h)", r"a second '\|'"),
    ("y ~ x + (^x * z || g)", r"'\|\|' needs terms joined by '\+'"),
    ("y ~ x ^+ + (1 | g)", "a term is missing"),
    ("y ~ x *^", "ends too early"),
    ("y ~ x + (1 | g) +^", "ends too early"),
    ("y ~ (1 | g) +^", "ends too early"),
]


@pytest.mark.parametrize(("marked", "message"), MISTAKES)
def test_a_mistake_is_told_with_its_position(marked: str, message: str):
    text = marked.replace("^", "")
    with pytest.raises(StatsError, match=message) as caught:
        parse(text)
    assert caught.value.place == f"formula '{text.strip()}', position {marked.index('^') + 1}"
    assert caught.value.value == text.strip()


def test_a_random_term_may_not_be_there_twice():
    with pytest.raises(StatsError, match=r"the random term \(1 \| g\) is there twice"):
        parse("y ~ x + (1 | g) + ( 1 | g )")
