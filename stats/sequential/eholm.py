"""Many cells at one common stopping time: e-values averaged, and corrected by closed testing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stats.errors import StatsError
from stats.paired import check_level
from stats.record import Record
from stats.sample import Sample
from stats.sequential.eprocess import EFFECTS, e_process

if TYPE_CHECKING:
    import pandas as pd


def adjust_e(e: Sequence[float] | np.ndarray) -> np.ndarray:
    """E-values (K,) corrected for testing K nulls at once, whatever their dependence.

    Closed testing with averages: the mean of e-values is an e-value for the intersection of their
    nulls, so the corrected value of a null is the least mean over all sets of nulls that hold it,

        e*_k = min_j (e_k + the sum of the j smallest others) / (j + 1),   j = 0, ..., K - 1.

    P(some true null has e* >= 1 / alpha) <= alpha, and min(1, 1 / e*) are adjusted p-values (Vovk
    and Wang 2021, Annals of Statistics 49, 1736-1754, algorithm 1). This rejects whatever Holm's
    procedure on 1 / e rejects ("e-Holm"), and more. Raises StatsError for values that are negative
    or NaN.
    """
    values = np.asarray(e, dtype=float)
    if values.ndim != 1 or np.isnan(values).any() or (values < 0).any():
        raise StatsError(
            "e-values must be a list of numbers >= 0", place="e", value=np.asarray(e).tolist()
        )
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    out = np.empty_like(values)
    for rank, position in enumerate(order):
        # The j smallest others are the first j of the list, as long as they stand before this one;
        # averaging in larger ones can only raise the mean.
        means = (ordered[rank] + sums[: rank + 1]) / np.arange(1, rank + 2)
        out[position] = means.min()
    return out


@dataclass(frozen=True)
class EHolm(Record):
    """Evidence in K cells, corrected over all of them.

    ``e_values`` are those of the single cells, ``e_adjusted`` hold over the family, ``p_adjusted``
    = min(1, 1 / e_adjusted). ``rejected`` tells p_adjusted <= alpha, ``directions`` says "superior"
    or "inferior" there and "" elsewhere. ``e_merged``, the mean, tests that there is no difference
    in any cell. ``n`` are the pairs in each cell.
    """

    estimand: str
    method: str
    cells: tuple[str, ...]
    n: tuple[int, ...]
    means: tuple[float, ...]
    e_values: tuple[float, ...]
    e_adjusted: tuple[float, ...]
    p_adjusted: tuple[float, ...]
    rejected: tuple[bool, ...]
    directions: tuple[str, ...]
    e_merged: float
    alpha: float
    alternative: str
    effects: tuple[float, ...]

    def table(self) -> pd.DataFrame:
        """One row per cell; nothing is rounded."""
        import pandas as pd

        names = ("n", "means", "e_values", "e_adjusted", "p_adjusted", "rejected", "directions")
        heads = ("n", "mean", "e", "e_adjusted", "p_adjusted", "rejected", "direction")
        columns = {head: list(getattr(self, name)) for name, head in zip(names, heads, strict=True)}
        return pd.DataFrame({"cell": list(self.cells)} | columns)

    def summary(self) -> str:
        """The cells as text for a terminal, at most 100 columns wide."""
        from stats.layout import frame_lines, wrap
        from stats.wording import number

        found = sum(self.rejected)
        lines = [
            *frame_lines(self.table()),
            "",
            *wrap(
                f"{found} of {len(self.cells)} cells differ, with family-wise error at most "
                f"{self.alpha:g} at whatever pair one stops. No difference anywhere: "
                f"e = {number(self.e_merged)}, rejected from {1 / self.alpha:g} on."
            ),
            *wrap(f"{self.estimand} {self.method}"),
        ]
        return "\n".join(lines) + "\n"


def e_holm(
    cells: Mapping[str, Sequence[float] | np.ndarray | Sample],
    alternative: str = "two-sided",
    *,
    alpha: float = 0.05,
    effects: Sequence[float] = EFFECTS,
) -> EHolm:
    """Test every cell on the differences seen up to one common moment.

    ``cells`` maps a cell's name to its differences, one per pair, in the order of running. The
    moment may depend on everything seen so far in all cells: each cell's e-process is one in the
    joint filtration, if given everything seen before, the cell's next difference is symmetric about
    0 (it is when pairs are independent; cells of one pair may depend on each other in any way).
    The family-wise error rate is at most ``alpha`` even if claims made earlier are kept. A cell may
    lack pairs of others (a failed run): its wealth then rests.

    Raises StatsError without cells, and as ``e_process`` does, with the cell named.
    """
    check_level(alpha, "alpha")
    if not cells:
        raise StatsError("there are no cells", place="cells", hint="give at least one")
    e, n, means, sides = [], [], [], []
    effects = tuple(effects)
    for name, d in cells.items():
        try:
            sample = d if isinstance(d, Sample) else Sample.of([d])
            process = e_process(sample, alternative, effects=effects)
        except StatsError as error:
            raise StatsError(
                error.message, place=f"cell '{name}'", value=error.value, hint=error.hint
            ) from None
        e.append(float(process.e[-1]))
        n.append(process.n)
        means.append(float(sample.values[0].mean()))
        sides.append({"greater": 1, "less": -1}.get(alternative, int(process.side[-1])))
    adjusted = adjust_e(e)
    p = np.minimum(1.0, 1.0 / np.maximum(adjusted, math.ulp(0.0)))
    rejected = tuple(bool(value <= alpha) for value in p)
    return EHolm(
        estimand="Each cell: the centre of the paired differences (arm minus baseline), seeds "
        "varying, the cell's items and hyperparameters fixed.",
        method="e-process of sign bets, valid for differences symmetric about 0 at any stopping "
        "time; closed testing with means of e-values (Vovk and Wang 2021).",
        cells=tuple(cells),
        n=tuple(n),
        means=tuple(means),
        e_values=tuple(e),
        e_adjusted=tuple(adjusted.tolist()),
        p_adjusted=tuple(p.tolist()),
        rejected=rejected,
        directions=tuple(
            ("superior" if side > 0 else "inferior") if hit else ""
            for side, hit in zip(sides, rejected, strict=True)
        ),
        e_merged=float(np.mean(e)),
        alpha=alpha,
        alternative=alternative,
        effects=effects,
    )
