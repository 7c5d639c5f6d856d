"""From a table and a formula to the matrices of a mixed model, with the name of everything."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from stats.errors import StatsError, nearest
from stats.mixed.formula import MixedFormula, RandomTerm
from stats.table import natural

if TYPE_CHECKING:
    import pandas as pd

CONTRASTS = ("treatment", "sum")
INTERCEPT = "(Intercept)"
_FUNCTIONS: Mapping[str, Any] = {
    "log": np.log, "log2": np.log2, "log10": np.log10, "exp": np.exp, "sqrt": np.sqrt,
    "abs": np.abs,
}  # fmt: skip
_CALLS = frozenset({*_FUNCTIONS, "I", "C", "poly", "scale", "center", "bs"})
_NODES = (
    ast.Expression, ast.Name, ast.Load, ast.Constant, ast.Call, ast.keyword, ast.BinOp, ast.UnaryOp,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.Attribute, ast.List, ast.Tuple,
)  # fmt: skip


@dataclass(frozen=True)
class RandomBlock:
    """A random term made ready: n rows fall into m levels, with k covariates each.

    ``index`` (n,) is the level of each row, ``z`` (n, k) its covariates, ``names`` (k) theirs,
    ``levels`` (m) the labels.
    """

    term: RandomTerm
    names: tuple[str, ...]
    levels: tuple[str, ...]
    index: np.ndarray = field(repr=False)
    z: np.ndarray = field(repr=False)

    @property
    def m(self) -> int:
        """Number of levels."""
        return len(self.levels)

    @property
    def k(self) -> int:
        """Number of covariates."""
        return len(self.names)


@dataclass(frozen=True)
class FixedTerm:
    """A term of the fixed part: its name, the columns of X it owns, the factors it is made of."""

    name: str
    columns: slice
    factors: tuple[str, ...]


@dataclass(frozen=True)
class ModelDesign:
    """Response y (n,), fixed X (n, p) with column names and terms, and the random blocks.

    ``kept`` are the rows of the table that were used, ``aliased`` the names of columns of X that
    were left out because others determine them; ``null`` (p_all, r) spans the combinations of
    coefficients that the full design cannot tell apart. ``frame`` holds the columns used.
    """

    formula: MixedFormula
    contrasts: str
    y: np.ndarray = field(repr=False)
    x: np.ndarray = field(repr=False)
    names: tuple[str, ...]
    terms: tuple[FixedTerm, ...]
    blocks: tuple[RandomBlock, ...] = field(repr=False)
    factors: Mapping[str, tuple[str, ...]]
    frame: pd.DataFrame = field(repr=False)
    kept: np.ndarray = field(repr=False)
    aliased: tuple[str, ...] = ()
    x_all: np.ndarray = field(repr=False, default_factory=lambda: np.empty((0, 0)))
    spec: Any = field(repr=False, default=None)

    def rows(self, frame: pd.DataFrame) -> np.ndarray:
        """The fixed design (rows, p_all) of other rows, coded as the model's; aliased included."""
        return np.asarray(self.spec.get_model_matrix(frame, context=dict(_FUNCTIONS)), dtype=float)


def build(
    formula: MixedFormula,
    data: pd.DataFrame,
    *,
    contrasts: str = "treatment",
    factors: Sequence[str] = (),
    missing: str = "raise",
    aliased: str = "raise",
) -> ModelDesign:
    """Code a table's columns for a formula.

    Text, boolean and categorical columns are factors, and so are the ones named in ``factors``;
    levels are in natural order (a2 before a10) or in the order of a categorical. ``missing``
    "drop" leaves out rows that lack a value in a used column. ``aliased`` "drop" leaves out
    columns of X that the ones before them determine.

    Raises StatsError for unknown columns and functions (with the nearest name), values that are
    missing, infinite or text where numbers are needed, a factor with one level, a group with as
    many levels as rows, and aliased columns.
    """
    for value, known, place in (
        (contrasts, CONTRASTS, "contrasts"),
        (missing, ("raise", "drop"), "missing"),
        (aliased, ("raise", "drop"), "aliased"),
    ):
        if value not in known:
            raise StatsError(
                f"'{value}' is not known", place=place, value=value, hint=nearest(value, known)
            )
    if len(data) == 0:
        raise StatsError("the table holds no rows", place="table")
    columns = [str(name) for name in data.columns]
    fixed_terms = _formulaic_terms(formula.fixed, formula)
    covariates, used = _used_columns(formula, fixed_terms, columns)
    for name in factors:
        if name not in columns:
            raise StatsError(
                f"there is no column '{name}'",
                place="factors",
                value=name,
                hint=nearest(name, columns),
            )
    frame, kept = _complete_rows(data, used, missing)
    frame, levels = _typed(frame, set(factors), covariates)
    y = _response(formula, frame)
    spec_text = _coded(fixed_terms, levels, contrasts)
    x, spec = _matrix(spec_text, frame, formula)
    names = tuple(readable(str(name)) for name in spec.column_names)
    terms = tuple(
        FixedTerm(
            INTERCEPT if str(term) == "1" else readable(str(term)),
            where,
            tuple(_factor_name(str(factor)) for factor in term.factors if str(factor) != "1"),
        )
        for term, where in spec.term_slices.items()
    )
    if x.shape[1] == 0:
        raise StatsError(
            "the fixed part is empty", place=f"formula '{formula.text}'", hint="keep the intercept"
        )
    dependent = _aliased(x)
    if dependent and aliased == "raise":
        raise StatsError(
            f"the fixed effects {', '.join(names[i] for i in dependent)} are determined by the "
            "columns before them",
            place=f"formula '{formula.text}'",
            value=[names[i] for i in dependent],
            hint="leave the aliased terms out, or drop them with aliased='drop'",
        )
    independent = [i for i in range(x.shape[1]) if i not in dependent]
    blocks = tuple(_block(term, frame, levels, contrasts, formula) for term in formula.random)
    _check_size(y, len(independent), blocks, formula)
    return ModelDesign(
        formula=formula,
        contrasts=contrasts,
        y=y,
        x=x[:, independent],
        names=tuple(names[i] for i in independent),
        terms=terms,
        blocks=blocks,
        factors=levels,
        frame=frame,
        kept=kept,
        aliased=tuple(names[i] for i in dependent),
        x_all=x,
        spec=spec,
    )


def recoded(design: ModelDesign, contrasts: str) -> np.ndarray:
    """The fixed design (n, p_all) under other contrasts, in the same order of columns."""
    terms = _formulaic_terms(design.formula.fixed, design.formula)
    x, _ = _matrix(_coded(terms, design.factors, contrasts), design.frame, design.formula)
    return x


def _formulaic_terms(text: str, formula: MixedFormula) -> list[tuple[str, ...]]:
    """The fixed part as terms, each a tuple of factor expressions; the empty one: no intercept."""
    from formulaic import Formula
    from formulaic.errors import FormulaicError

    try:
        terms = list(Formula(text))
    except (FormulaicError, SyntaxError, ValueError, TypeError) as error:
        raise StatsError(
            f"'{text}' cannot be read as fixed effects", place=f"formula '{formula.text}'",
            value=text, hint="use names joined by + * : - and functions such as log(x)",
        ) from error  # fmt: skip
    return [tuple(str(factor) for factor in term.factors) for term in terms]


def _used_columns(
    formula: MixedFormula, terms: list[tuple[str, ...]], columns: list[str]
) -> tuple[set[str], set[str]]:
    """The columns of response and covariates, and those with the grouping ones added."""
    covariates: set[str] = set()
    pieces = [formula.response, *(factor for term in terms for factor in term)]
    for random in formula.random:
        for term in _formulaic_terms(random.covariates, formula):
            pieces += term
    for piece in pieces:
        covariates |= _names_in_factor(piece, formula)
    used = covariates | {group for term in formula.random for group in term.groups}
    for name in sorted(used):
        if name not in columns:
            raise StatsError(
                f"there is no column '{name}'",
                place=f"formula '{formula.text}'",
                value=name,
                hint=nearest(name, columns),
            )
    return covariates, used


def _names_in_factor(text: str, formula: MixedFormula) -> set[str]:
    """The columns in an expression; StatsError for whatever is not plain arithmetic."""
    if re.fullmatch(r"[A-Za-z_]\w*", text):
        return {text}  # a column may be called yield or class
    quoted = re.findall(r"`([^`]+)`", text)
    stand_ins = {f"_q{i}": name for i, name in enumerate(quoted)}
    for stand_in, name in stand_ins.items():
        text = text.replace(f"`{name}`", stand_in)
    try:
        tree = ast.parse(text.strip() or "1", mode="eval")
    except SyntaxError as error:
        raise StatsError(
            f"'{text}' cannot be read", place=f"formula '{formula.text}'", value=text,
            hint="quote names with odd characters: `my column`",
        ) from error  # fmt: skip
    calls: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name.removeprefix("np.") not in _CALLS and not name.startswith("contr."):
                raise StatsError(
                    f"'{name}' is not a function that formulas know",
                    place=f"formula '{formula.text}'",
                    value=name,
                    hint=nearest(name, sorted(_CALLS)),
                )
            calls |= {n.id for n in ast.walk(node.func) if isinstance(n, ast.Name)}
        elif not isinstance(node, _NODES):
            raise StatsError(
                f"'{text}' is more than arithmetic on columns",
                place=f"formula '{formula.text}'",
                value=text,
                hint="make the column in the table first",
            )
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return {stand_ins.get(name, name) for name in found - calls - {"np", "contr"}}


def _complete_rows(
    data: pd.DataFrame, used: Iterable[str], missing: str
) -> tuple[pd.DataFrame, np.ndarray]:
    import pandas as pd

    frame = data[[name for name in data.columns if str(name) in used]]
    lacking = frame.isna()
    for name in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            blank = [v for v in frame[name].unique() if isinstance(v, str) and not v.strip()]
            if blank:
                lacking[name] |= frame[name].isin(blank)
    whole = ~lacking.to_numpy().any(axis=1)
    if not whole.all() and missing == "raise":
        row = int(np.flatnonzero(~whole)[0])
        column = str(frame.columns[int(np.flatnonzero(lacking.to_numpy()[row])[0])])
        raise StatsError(
            f"a value is missing (rows that lack one: {int((~whole).sum())})",
            place=f"column '{column}', row {row + 1}",
            hint="fill it in, or leave such rows out with missing='drop' (--drop-missing)",
        )
    if not whole.any():
        raise StatsError("no row has a value in every column that is used", place="table")
    return frame[whole].reset_index(drop=True), np.flatnonzero(whole)


def _typed(
    frame: pd.DataFrame, named: set[str], covariates: set[str]
) -> tuple[pd.DataFrame, dict[str, tuple[str, ...]]]:
    """Factors as categoricals in natural order, everything else as finite floats."""
    import pandas as pd

    columns: dict[str, Any] = {}
    levels: dict[str, tuple[str, ...]] = {}
    for name in frame.columns:
        column = frame[name]
        numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        categorical = isinstance(column.dtype, pd.CategoricalDtype)
        if numeric and str(name) not in named and str(name) in covariates:
            values = column.to_numpy(dtype=float)
            if not np.isfinite(values).all():
                row = int(np.flatnonzero(~np.isfinite(values))[0])
                raise StatsError(
                    "the value is infinite", place=f"column '{name}', row {row + 1}",
                    value=float(values[row]),
                )  # fmt: skip
            columns[str(name)] = values
            continue
        codes, values = pd.factorize(column)
        labels = [_label(value) for value in values]
        if categorical:
            order = [label for c in column.cat.categories if (label := _label(c)) in set(labels)]
        elif numeric:
            order = sorted(set(labels), key=float)
        else:
            order = sorted(set(labels), key=lambda label: natural((label,)))
        position = {label: i for i, label in enumerate(order)}
        place = np.array([position[label] for label in labels])
        columns[str(name)] = pd.Categorical.from_codes(place[codes], categories=order)
        levels[str(name)] = tuple(order)
    out = pd.DataFrame(columns)
    return out, levels


def _label(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _response(formula: MixedFormula, frame: pd.DataFrame) -> np.ndarray:
    for name in _names_in_factor(formula.response, formula):
        column = frame[name]
        if column.dtype == "category":
            bad = next((v for v in column if _float(v) is None), None)
            if bad is not None:
                row = list(column).index(bad)
                raise StatsError(
                    f"'{bad}' is not a number", place=f"column '{name}', row {row + 1}",
                    value=bad, hint="the response must be numeric",
                )  # fmt: skip
            frame[name] = column.astype(str).astype(float)
    y, _ = _matrix(f"0 + {formula.response}", frame, formula)
    if y.shape[1] != 1 or not np.isfinite(y).all():
        row = 0 if y.shape[1] != 1 else int(np.flatnonzero(~np.isfinite(y[:, 0]))[0])
        raise StatsError(
            "the response is not a finite number",
            place=f"'{formula.response}', row {row + 1}",
            hint="scores must be finite",
        )
    if np.ptp(y[:, 0]) == 0:
        raise StatsError(
            f"all {len(y)} values are the same, so that no variance can be estimated",
            place=f"response '{formula.response}'",
            value=float(y[0, 0]),
        )
    return y[:, 0].copy()


def _float(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def _coded(
    terms: Sequence[tuple[str, ...]], levels: Mapping[str, tuple[str, ...]], contrasts: str
) -> str:
    """The fixed part as formulaic's text, bare factors under the contrasts asked for."""

    def coded(factor: str) -> str:
        name = factor.strip("`")
        if name in levels and contrasts == "sum":
            return f"C({factor}, contr.sum)"
        return factor

    texts = [":".join(coded(f) for f in term) for term in terms if term != ("1",)]
    return " + ".join(["1" if ("1",) in terms else "0", *texts])


def _matrix(text: str, frame: pd.DataFrame, formula: MixedFormula) -> tuple[np.ndarray, Any]:
    from formulaic import model_matrix
    from formulaic.errors import FormulaicError

    _check_one_level(text, frame, formula)
    try:
        matrix = model_matrix(text, frame, context=dict(_FUNCTIONS), na_action="ignore")
    except (FormulaicError, ValueError, TypeError) as error:
        raise StatsError(
            f"'{text}' cannot be evaluated ({str(error).splitlines()[0]})",
            place=f"formula '{formula.text}'",
            value=text,
        ) from error
    x = np.asarray(matrix, dtype=float)
    if not np.isfinite(x).all():
        column = int(np.flatnonzero(~np.isfinite(x).all(axis=0))[0])
        raise StatsError(
            "a value is not finite", place=f"'{readable(str(matrix.columns[column]))}'",
            hint="such as log of zero",
        )  # fmt: skip
    return x, matrix.model_spec


def _check_one_level(text: str, frame: pd.DataFrame, formula: MixedFormula) -> None:
    for name in frame.columns:
        column = frame[name]
        if column.dtype == "category" and len(column.cat.categories) < 2:
            in_text = re.search(rf"(?<![A-Za-z0-9_`]){re.escape(str(name))}(?![A-Za-z0-9_`])", text)
            if in_text or f"`{name}`" in text:
                raise StatsError(
                    f"the factor has one level only, '{column.iloc[0]}'",
                    place=f"column '{name}'",
                    value=str(column.iloc[0]),
                    hint=f"leave it out of the formula '{formula.text}'",
                )


def readable(name: str) -> str:
    """``C(arm, contr.sum)[S.a1]:b[T.v]`` as ``arm[a1]:b[v]``."""
    name = re.sub(r"C\(`?([^,`()]+)`?, contr\.\w+\)", r"\1", name).replace("`", "")
    name = re.sub(r"\[[ST]\.", "[", name)
    return INTERCEPT if name == "Intercept" else name


def _factor_name(factor: str) -> str:
    match = re.fullmatch(r"C\(\s*`?([^,`()]+?)`?\s*(?:,.*)?\)", factor)
    return match[1] if match else factor.strip("`")


def _aliased(x: np.ndarray) -> list[int]:
    """Columns that the ones before them determine (Gram-Schmidt with a relative tolerance)."""
    out: list[int] = []
    basis = np.empty((x.shape[0], 0))
    for i in range(x.shape[1]):
        column = x[:, i]
        size = float(np.linalg.norm(column))
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        left = float(np.linalg.norm(rest))
        if size == 0 or left <= 1e-8 * size:
            out.append(i)
        else:
            basis = np.column_stack([basis, rest / left])
    return out


def _block(
    term: RandomTerm,
    frame: pd.DataFrame,
    levels: Mapping[str, tuple[str, ...]],
    contrasts: str,
    formula: MixedFormula,
) -> RandomBlock:
    codes = np.zeros(len(frame), dtype=np.int64)
    parts: list[tuple[np.ndarray, list[str]]] = []
    for name in term.groups:
        column = frame[name]
        if column.dtype == "category":
            own, values = column.cat.codes.to_numpy(), list(column.cat.categories)
        else:
            distinct, own = np.unique(column.to_numpy(), return_inverse=True)
            values = [_label(value) for value in distinct.tolist()]
        parts.append((own, values))
        codes = codes * len(values) + own
    _, first, index = np.unique(codes, return_index=True, return_inverse=True)
    labels = tuple(":".join(values[own[row]] for own, values in parts) for row in first.tolist())
    if term.covariates.replace(" ", "") == "1":
        z = np.ones((len(frame), 1))
        names: tuple[str, ...] = (INTERCEPT,)
    else:
        terms = _formulaic_terms(term.covariates, formula)
        z, spec = _matrix(_coded(terms, levels, contrasts), frame, formula)
        names = tuple(readable(str(name)) for name in spec.column_names)
    if z.shape[1] == 0:
        raise StatsError(
            f"the random term {term} has no covariate", place=f"formula '{formula.text}'",
            value=str(term), hint="write (1 | group)",
        )  # fmt: skip
    return RandomBlock(term, names, labels, index.astype(np.int64), z)


def _check_size(
    y: np.ndarray, p: int, blocks: Sequence[RandomBlock], formula: MixedFormula
) -> None:
    n = y.size
    if n <= p:
        raise StatsError(
            f"{n} rows cannot estimate {p} fixed effects and a variance",
            place=f"formula '{formula.text}'",
            value=n,
        )
    for block in blocks:
        if block.m < 2:
            raise StatsError(
                f"the grouping factor has one level only, '{block.levels[0]}'",
                place=f"random term {block.term}",
                value=block.levels[0],
                hint="a variance over levels needs two levels, and five to be worth much",
            )
        if block.m * block.k >= n:
            raise StatsError(
                f"{block.m} levels x {block.k} covariates are no fewer than the {n} rows, so that "
                "they cannot be told from the residual",
                place=f"random term {block.term}",
                value=block.m,
                hint="group by fewer columns",
            )
    if any(math.isinf(v) for v in (float(y.max()), float(y.min()))):
        raise StatsError("the response is infinite", place=f"'{formula.response}'")
