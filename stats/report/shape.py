"""The shape of a table: its columns, which hold numbers, how their levels go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stats.columns import label
from stats.reading import typed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Shape:
    """A table's columns: their names, which hold fractional numbers, and their labels."""

    names: tuple[str, ...]
    numeric: tuple[str, ...]
    fractional: tuple[str, ...]
    frame: pd.DataFrame = field(repr=False)

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Shape:
        """The shape of a table; text columns in which all is a number count as numbers."""
        import pandas as pd

        values = typed(frame)
        names = tuple(str(name) for name in frame.columns)
        numeric = tuple(n for n in names if pd.api.types.is_numeric_dtype(values[n]))
        fractional = tuple(n for n in numeric if (values[n].dropna() % 1 != 0).any())
        return cls(names, numeric, fractional, values)

    def called(self, known: Sequence[str], besides: Sequence[str] = ()) -> str:
        """The first column whose name is one of ``known``, in their order; "" for none."""
        lower: Mapping[str, str] = {name.lower(): name for name in reversed(self.names)}
        found = [lower[name] for name in known if name in lower]
        return next((name for name in found if name not in besides), "")

    def levels(self, name: str) -> list[str]:
        """The labels of a column in order of first appearance."""
        return list(dict.fromkeys(label(value) for value in self.frame[name].tolist()))

    def unique(self, names: Sequence[str]) -> bool:
        """Whether no two rows share the labels of ``names``."""
        return not self.frame.duplicated(list(names)).any()

    def within(self, name: str, by: str) -> bool:
        """Whether ``name`` has one value for each level of ``by``."""
        return bool(self.frame.groupby(by, dropna=False)[name].nunique(dropna=False).max() == 1)

    def again(self, name: str, other: str) -> int:
        """The number of levels of ``name`` that occur with two levels of ``other``."""
        counts = self.frame.groupby(name, dropna=False)[other].nunique(dropna=False)
        return int((counts > 1).sum())

    def listing(self) -> str:
        """The columns with the numbers of their levels, for messages."""
        shown = [f"{name} ({self._kind(name)})" for name in self.names[:12]]
        return ", ".join(shown) + (", ..." if len(self.names) > 12 else "")

    def _kind(self, name: str) -> str:
        return "numbers" if name in self.fractional else f"{len(self.levels(name))} levels"
