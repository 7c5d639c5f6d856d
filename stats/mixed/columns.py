"""The columns that a formula uses: complete rows, factors in natural order, finite numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from stats.errors import StatsError
from stats.table import natural

if TYPE_CHECKING:
    import pandas as pd


def complete_rows(
    data: pd.DataFrame, used: Iterable[str], missing: str
) -> tuple[pd.DataFrame, np.ndarray]:
    """The columns ``used`` on the rows that have a value in each, and which rows (n,) these are.

    Raises StatsError where a value is missing and ``missing`` is "raise", and where no row is left.
    """
    import pandas as pd

    frame = data[[name for name in data.columns if str(name) in set(used)]]
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


def typed(
    frame: pd.DataFrame, named: set[str], covariates: set[str], kept: np.ndarray
) -> tuple[pd.DataFrame, dict[str, tuple[str, ...]]]:
    """Factors as categoricals in natural order, everything else as finite floats; their levels.

    ``named`` are numeric columns to be read as factors. A numeric column that only groups is one
    too. ``kept`` (n,) are the rows' places in the table, for messages.
    """
    import pandas as pd

    columns: dict[str, Any] = {}
    levels: dict[str, tuple[str, ...]] = {}
    for name in frame.columns:
        column = frame[name]
        numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        categorical = isinstance(column.dtype, pd.CategoricalDtype)
        if pd.api.types.is_complex_dtype(column):
            raise StatsError("complex numbers have no place here", place=f"column '{name}'")
        if numeric and str(name) not in named and str(name) in covariates:
            columns[str(name)] = _finite(column.to_numpy(dtype=float), str(name), kept)
            continue
        codes, values = pd.factorize(column)
        labels = [label(value) for value in values]
        if categorical:
            order = [text for c in column.cat.categories if (text := label(c)) in set(labels)]
        elif numeric:
            order = sorted(set(labels), key=float)
        else:
            order = sorted(set(labels), key=lambda text: natural((text,)))
        position = {text: i for i, text in enumerate(order)}
        place = np.array([position[text] for text in labels])
        columns[str(name)] = pd.Categorical.from_codes(place[codes], categories=order)
        levels[str(name)] = tuple(order)
    return pd.DataFrame(columns), levels


def as_numbers(frame: pd.DataFrame, name: str, kept: np.ndarray) -> None:
    """Turn a column of numbers written as text into floats, in place; StatsError if they are not.

    For the response, which is no factor whatever its type.
    """
    column = frame[name]
    if column.dtype != "category":
        return
    values = np.empty(len(column))
    for i, value in enumerate(column):
        try:
            values[i] = float(value)
        except ValueError as error:
            raise StatsError(
                f"'{value}' is not a number", place=f"column '{name}', row {kept[i] + 1}",
                value=value, hint="the response must be numeric",
            ) from error  # fmt: skip
    frame[name] = _finite(values, name, kept)


def label(value: object) -> str:
    """A level's label: 3.0 is "3"."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _finite(values: np.ndarray, name: str, kept: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        at = int(np.flatnonzero(~np.isfinite(values))[0])
        raise StatsError(
            "the value is not finite", place=f"column '{name}', row {int(kept[at]) + 1}",
            value=float(values[at]),
        )  # fmt: skip
    return values
