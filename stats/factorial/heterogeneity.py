"""Does an effect depend on where it is measured? Axis x backbone and axis x benchmark, by pair.

Runs that share a pair share its noise, and benchmarks of one run move together. So each pair gives
one vector, the contrast on each benchmark, and the tests compare such vectors.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stats.contrast import Contrast
from stats.errors import StatsError
from stats.factorial.blocks import Block, blocks, differences
from stats.factorial.wilks import UNDEFINED, FTest, welch, wilks
from stats.family import holm
from stats.paired import check_level, paired_t
from stats.prepare import cell_indices, check_contrasts
from stats.record import Record, versions
from stats.sample import Sample
from stats.table import Key, PairedTable

if TYPE_CHECKING:
    import pandas as pd

_TIMES = " × "


@dataclass(frozen=True)
class HeterogeneityTest:
    """Whether one contrast differs over the levels of ``over`` ("backbone", "benchmark", both).

    ``effects`` are the contrast's means at each of them, in reported units. ``statistic`` names the
    test; where it is "Bonferroni", F and its degrees of freedom are those of the single strongest
    comparison and ``p`` is corrected for their number. ``p_adjusted`` holds over the family. NaN
    where no test is possible: then ``p_adjusted`` is 1.
    """

    contrast: str
    group: str
    over: str
    statistic: str
    F: float
    num_df: float
    den_df: float
    p: float
    p_adjusted: float
    n_pairs: int
    effects: dict[str, float]


@dataclass(frozen=True)
class Heterogeneity(Record):
    """All tests of heterogeneity as one family at ``alpha``."""

    estimand: str
    method: str
    tests: tuple[HeterogeneityTest, ...]
    alpha: float
    versions: dict[str, str]
    units: str

    @property
    def over(self) -> tuple[str, ...]:
        """What was tested: "backbone", "benchmark", "backbone × benchmark"."""
        return tuple(dict.fromkeys(test.over for test in self.tests))

    def found(self) -> tuple[HeterogeneityTest, ...]:
        """The tests that reject."""
        return tuple(test for test in self.tests if test.p_adjusted <= self.alpha)

    def of(self, contrast: str) -> dict[str, HeterogeneityTest]:
        """A contrast's tests by what they are over."""
        return {test.over: test for test in self.tests if test.contrast == contrast}

    def table(self) -> pd.DataFrame:
        """One row per test; nothing is rounded."""
        import pandas as pd

        return pd.DataFrame(
            [{k: v for k, v in vars(test).items() if k != "effects"} for test in self.tests]
        )

    def summary(self) -> str:
        """The tests as text for a terminal, at most 100 columns wide."""
        from stats.layout import columns, wrap

        head = ("contrast", "over", "test", "F", "df", "p", "p adjusted")
        rows = [
            (t.contrast, t.over, t.statistic, t.F, _df(t), t.p, t.p_adjusted) for t in self.tests
        ]
        return "\n".join([*columns(head, rows), *wrap(self.method)]) + "\n"


def heterogeneity(
    table: PairedTable,
    contrasts: Sequence[Contrast],
    *,
    average_over: Sequence[Key] | None = None,
    alpha: float = 0.05,
) -> Heterogeneity:
    """Test each contrast for differences between groups, between cells of a pair, and both.

    Groups (backbones): Welch's test on the pairs' means over cells. Within the pair (benchmarks):
    the K - 1 differences of the pair's vector, averaged over groups with equal weights, by
    Hotelling's T^2 with the covariance pooled within groups (df n - B; exact for normal vectors of
    one covariance). Both: do the vectors' differences differ between groups (Wilks, exact for two
    and three groups). With n - B < 2 (K - 1) - 1, where the covariance is hardly estimated and
    T^2 has no power (or does not exist), it is replaced by the K single tests of a benchmark
    against the mean over benchmarks (paired t; Welch for both), Bonferroni over K. The choice
    depends on numbers of pairs and benchmarks, never on scores, unless differences of benchmarks
    do not vary. All tests are one family, Holm at ``alpha``.

    Raises StatsError for unknown arms and cells, two contrasts of one name, and a table with one
    cell only.
    """
    check_level(alpha, "alpha")
    scores = table.scores()
    check_contrasts(contrasts, scores, "contrasts")
    chosen = cell_indices(average_over, scores, table, "average_over")
    if len(chosen) < 2:
        raise StatsError(
            "there is one cell, so nothing can differ between cells",
            place="average_over",
            value=[scores.cells[c] for c in chosen],
        )
    raw: list[HeterogeneityTest] = []
    for contrast in contrasts:
        arms = list(contrast.weights)
        raw += _tests(contrast, table, arms, blocks(table, scores, arms, chosen))
    adjusted = holm([test.p for test in raw])
    tests = tuple(
        dataclasses.replace(test, p_adjusted=float(p))
        for test, p in zip(raw, adjusted, strict=True)
    )
    kinds = ", ".join(dict.fromkeys(test.statistic for test in tests))
    return Heterogeneity(
        estimand="Differences of each contrast between groups and between the cells of a pair.",
        method=f"Tests on one vector of differences per pair ({kinds}); Holm over {len(tests)} "
        f"tests at {alpha:g}.",
        tests=tests,
        alpha=alpha,
        versions=versions(),
        units=table.units,
    )


def _tests(
    contrast: Contrast, table: PairedTable, arms: list[str], parts: Sequence[Block]
) -> list[HeterogeneityTest]:
    values = [differences(contrast, arms, part) for part in parts]
    magnitude = max([float(np.abs(part.values).max(initial=0.0)) for part in parts])
    out = []

    def add(over: str, found: tuple[str, FTest], effects: dict[str, float]) -> None:
        name, test = found
        out.append(
            HeterogeneityTest(
                contrast.name, contrast.group, over, name, test.F, test.num_df, test.den_df,
                test.p, math.nan, sum(part.n for part in parts), effects,
            )
        )  # fmt: skip

    groups = _TIMES.join(table.groups)
    if len(parts) > 1:
        means = [v.mean(axis=1) for v in values]
        effects = {_name(p.group): _mean(m) for p, m in zip(parts, means, strict=True)}
        add(groups, ("Welch", welch(means, magnitude)), effects)
    inner = [i for i, name in enumerate(table.cell) if name not in table.groups]
    for i in inner:
        vectors, names = _by_level(parts, values, i)
        if len(names) > 1:
            every = np.full((1, len(parts)), 1 / len(parts))
            effects = {
                name: float(np.mean([_mean(v[:, k]) for v in vectors]))
                for k, name in enumerate(names)
            }
            add(table.cell[i], vector_test(vectors, every, magnitude), effects)
            if len(parts) > 1:
                steps = np.diff(np.eye(len(parts)), axis=0)
                effects = {
                    _TIMES.join((_name(part.group), name)): _mean(v[:, k])
                    for part, v in zip(parts, vectors, strict=True)
                    for k, name in enumerate(names)
                }
                over = _TIMES.join((groups, table.cell[i]))
                add(over, vector_test(vectors, steps, magnitude), effects)
    return out


def _by_level(
    parts: Sequence[Block], values: Sequence[np.ndarray], column: int
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Each group's (pairs, K) means over the cells at each level of a column, and the K levels.

    No levels where the groups do not have the same ones.
    """
    levels = [tuple(dict.fromkeys(cell[column] for cell in part.cells)) for part in parts]
    if any(set(own) != set(levels[0]) for own in levels):
        return [], ()
    vectors = [
        np.column_stack(
            [
                v[:, [c for c, cell in enumerate(part.cells) if cell[column] == level]].mean(axis=1)
                for level in levels[0]
            ]
        )
        for part, v in zip(parts, values, strict=True)
    ]
    return vectors, levels[0]


def vector_test(
    vectors: Sequence[np.ndarray],
    hypothesis: np.ndarray,
    magnitude: float = 0.0,
    by_vector: bool | None = None,
) -> tuple[str, FTest]:
    """Whether the components of vectors differ, after ``hypothesis`` (h, B) over the groups.

    ``vectors`` are (n_b, K), one per group; ``hypothesis`` has rows that average over groups (the
    components' own differences) or rows that sum to zero (differences between groups).
    ``by_vector`` forces T^2 or Wilks (True) or the Bonferroni of single tests (False); None takes
    what ``heterogeneity`` says. Returns the test's name with the test.
    """
    k = vectors[0].shape[1]
    nu = sum(v.shape[0] for v in vectors) - len(vectors)
    if by_vector is None:
        by_vector = nu >= 2 * (k - 1) - 1
    if by_vector:
        test = wilks([np.diff(v, axis=1) for v in vectors], hypothesis, magnitude)
        if not math.isnan(test.F):
            return ("Hotelling" if hypothesis.shape[0] == 1 else "Wilks"), test
    between = bool((hypothesis < 0).any())
    deviations = [v - v.mean(axis=1, keepdims=True) for v in vectors]
    single = []
    for j in range(k):
        columns = [d[:, j] for d in deviations]
        if between:
            single.append(welch(columns, magnitude))
            continue
        t = paired_t(Sample.of(columns, magnitude=magnitude))
        single.append(FTest(t.t**2, 1, t.df, t.p))
    strongest = min(single, key=lambda test: 2.0 if math.isnan(test.p) else test.p)
    if math.isnan(strongest.p):
        return "Bonferroni", UNDEFINED
    p = min(1.0, k * strongest.p)
    return "Bonferroni", FTest(strongest.F, strongest.num_df, strongest.den_df, p)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else math.nan


def _name(key: Key) -> str:
    return _TIMES.join(key)


def _df(test: HeterogeneityTest) -> str:
    return "-" if math.isnan(test.F) else f"{test.num_df:g}, {test.den_df:.3g}"
