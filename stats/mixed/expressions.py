"""The language of a formula's terms: column names, the few functions allowed, coding by formulaic.

Text is evaluated by formulaic as Python, so that only plain arithmetic on columns and a list of
functions come through. Columns whose names are no identifiers (``my col``, ``a.b``, ``lambda``)
have a stand-in of letters and digits while formulaic works; ``readable`` turns it back.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stats.errors import StatsError, nearest
from stats.mixed.formula import MixedFormula

if TYPE_CHECKING:
    import pandas as pd

INTERCEPT = "(Intercept)"
FUNCTIONS: Mapping[str, Any] = {
    "log": np.log, "log2": np.log2, "log10": np.log10, "exp": np.exp, "sqrt": np.sqrt,
    "abs": np.abs,
}  # fmt: skip
_CALLS = frozenset({*FUNCTIONS, "I", "C", "poly", "scale", "center", "bs"})
_NODES = (
    ast.Expression, ast.Name, ast.Load, ast.Constant, ast.Call, ast.keyword, ast.BinOp, ast.UnaryOp,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.Attribute, ast.List, ast.Tuple,
)  # fmt: skip
_TOKEN = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]+`|[^\W\d][\w.]*")
_STAND_IN = re.compile(r"\bq_((?:[0-9a-f]{2})+)_(?![\w])")
_CODED = re.compile(r"C\(\s*([^\W\d]\w*)\s*(?:,\s*contr\.\w+(?:\([^()]*\))?\s*)?\)")

Term = tuple[str, ...]
"""The factors of a term as expressions for formulaic; ("1",) is the intercept."""


def stand_in(name: str) -> str:
    """A column's name as an identifier: itself if it is one."""
    if name.isidentifier() and not keyword.iskeyword(name) and not _STAND_IN.fullmatch(name):
        return name
    return f"q_{name.encode().hex()}_"


def readable(name: str) -> str:
    """``C(arm, contr.sum)[S.a1]:q_61_[T.v]`` as ``arm[a1]:a[v]``."""
    name = re.sub(r"\[[ST]\.", "[", _CODED.sub(r"\1", name))
    name = _STAND_IN.sub(lambda match: bytes.fromhex(match[1]).decode(), name)
    return INTERCEPT if name == "Intercept" else name


def terms_of(text: str, formula: MixedFormula, columns: Iterable[str]) -> list[Term]:
    """The terms of one side's text, expanded; without ("1",) among them there is no intercept.

    ``columns`` are the table's: a name with dots or a Python keyword is a column if it is there.
    """
    from formulaic import Formula
    from formulaic.errors import FormulaicError
    from formulaic.parser.types import Factor

    known = set(columns)

    def token(match: re.Match[str]) -> str:
        word = match[0]
        if word[0] == "`":
            return stand_in(word[1:-1])
        odd = "." in word or keyword.iskeyword(word) or _STAND_IN.fullmatch(word)
        return stand_in(word) if odd and word in known else word

    def expression(factor: Factor) -> str:
        text = str(factor.expr)
        python = factor.eval_method is Factor.EvalMethod.PYTHON
        called = python and isinstance(ast.parse(text, mode="eval").body, ast.Call)
        return f"{{{text}}}" if python and not called else text

    try:
        terms = list(Formula(_TOKEN.sub(token, text)))
        return [tuple(expression(factor) for factor in term.factors) for term in terms]
    except (FormulaicError, SyntaxError, ValueError, TypeError) as error:
        raise StatsError(
            f"'{text}' cannot be read as fixed effects", place=f"formula '{formula.text}'",
            value=text, hint="use names joined by + * : - and functions such as log(x)",
        ) from error  # fmt: skip


def response_of(formula: MixedFormula, columns: Iterable[str]) -> Term:
    """The response as a term of one expression; a sum or a ratio of columns is one."""
    text = formula.response
    quoted = re.fullmatch(r"`[^`]+`|[^\W\d][\w.]*", text)
    found = terms_of(text if quoted else f"I({text})", formula, columns)
    return found[-1]


def names_in(expression: str, formula: MixedFormula) -> set[str]:
    """The columns in an expression; StatsError for whatever is not plain arithmetic."""
    text = expression.strip("{}").strip()
    if text.isidentifier():
        return {readable(text)}
    shown = readable(text)
    place = f"formula '{formula.text}'"
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError as error:
        raise StatsError(
            f"'{shown}' cannot be read", place=place, value=shown,
            hint="quote names with odd characters: `my column`",
        ) from error  # fmt: skip
    called: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name.removeprefix("np.") not in _CALLS and not name.startswith("contr."):
                raise StatsError(
                    f"'{name}' is not a function that formulas know", place=place, value=name,
                    hint=nearest(name, sorted(_CALLS)),
                )  # fmt: skip
            called |= {n.id for n in ast.walk(node.func) if isinstance(n, ast.Name)}
        elif isinstance(node, ast.BitXor):
            raise StatsError(
                f"'{shown}' has a '^' inside of a function", place=place, value=shown,
                hint="there powers are written **, e.g. I(x**2)",
            )  # fmt: skip
        elif not isinstance(node, _NODES):
            raise StatsError(
                f"'{shown}' is more than arithmetic on columns", place=place, value=shown,
                hint="make the column in the table first",
            )  # fmt: skip
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return {readable(name) for name in found - called - {"np", "contr"}}


def declared_factor(expression: str) -> str | None:
    """The column that ``C(column)`` or ``C(column, contr...)`` declares a factor, else None."""
    match = _CODED.fullmatch(expression)
    return readable(match[1]) if match else None


def coded(
    terms: Sequence[Term],
    levels: Mapping[str, tuple[str, ...]],
    contrasts: str,
    *,
    anew: bool = False,
) -> str:
    """Terms as formulaic's text, factors under the contrasts asked for.

    A factor with contrasts of its own keeps them, unless ``anew``.
    """

    def one(expression: str) -> str:
        match = _CODED.fullmatch(expression)
        name = match[1] if match else expression
        if readable(name) not in levels or (match and "contr." in expression and not anew):
            return expression
        return f"C({name}, contr.sum)" if contrasts == "sum" else name

    texts = [":".join(one(factor) for factor in term) for term in terms if term != ("1",)]
    return " + ".join(["1" if ("1",) in terms else "0", *texts])


def matrix(text: str, frame: pd.DataFrame, formula: MixedFormula) -> tuple[np.ndarray, Any]:
    """The model matrix (n, p) of coded text, and formulaic's specification of it.

    Raises StatsError for what cannot be evaluated, a value that is not finite and a factor of one
    level.
    """
    from formulaic import model_matrix
    from formulaic.errors import FormulaicError

    _check_one_level(text, frame, formula)
    try:
        with np.errstate(all="ignore"):  # what is not finite is told below
            out = model_matrix(text, standing(frame), context=dict(FUNCTIONS), na_action="ignore")
    except (FormulaicError, ValueError, TypeError, SyntaxError) as error:
        raise StatsError(
            f"'{readable(text)}' cannot be evaluated ({readable(str(error).splitlines()[0])})",
            place=f"formula '{formula.text}'",
            value=readable(text),
        ) from error
    x = np.asarray(out, dtype=float)
    if not np.isfinite(x).all():
        column = int(np.flatnonzero(~np.isfinite(x).all(axis=0))[0])
        raise StatsError(
            "a value is not finite", place=f"'{readable(str(out.columns[column]))}'",
            hint="such as the log of zero",
        )  # fmt: skip
    return x, out.model_spec


def standing(frame: pd.DataFrame) -> pd.DataFrame:
    """A table under the names that formulaic sees."""
    return frame.rename(columns={name: stand_in(str(name)) for name in frame.columns})


def _check_one_level(text: str, frame: pd.DataFrame, formula: MixedFormula) -> None:
    words = set(re.findall(r"[^\W\d]\w*", text))
    for name in frame.columns:
        column = frame[name]
        used = stand_in(str(name)) in words
        if used and column.dtype == "category" and len(column.cat.categories) < 2:
            raise StatsError(
                f"the factor has one level only, '{column.iloc[0]}'",
                place=f"column '{name}'",
                value=str(column.iloc[0]),
                hint=f"leave it out of the formula '{formula.text}'",
            )
