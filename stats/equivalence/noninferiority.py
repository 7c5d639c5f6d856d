"""Non-inferiority: no worse than a declared margin, on one benchmark or on all of several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stats.errors import StatsError
from stats.layout import frame_lines, wrap
from stats.paired import check_level, t_inference
from stats.planning.checks import check_size
from stats.record import Record
from stats.sample import Sample, estimate
from stats.wording import number, p_value

if TYPE_CHECKING:
    import pandas as pd

Differences = Sequence[float] | np.ndarray | Sample


@dataclass(frozen=True)
class NonInferiority(Record):
    """A one-sided t test that the mean difference (arm minus baseline) is above -``margin``.

    ``mean``, ``sd``, ``se``, ``margin`` and ``low`` are in score units, and higher scores are
    better. ``low`` is the one-sided lower limit at ``confidence_level``; ``holds`` tells that it
    lies above -margin, p < 1 - confidence_level. ``identical``: every difference is zero, so that
    nothing was lost and nothing can be tested. NaN, and not ``holds``, where no test is possible.
    """

    estimand: str
    method: str
    mean: float
    sd: float
    se: float
    df: float
    n: int
    margin: float
    t: float
    p: float
    low: float
    confidence_level: float
    holds: bool
    identical: bool

    def summary(self) -> str:
        """The test in words."""
        if self.identical:
            return f"Identical scores in all {self.n} pairs.\n"
        if math.isnan(self.p):
            return f"No test is possible with these {self.n} pairs: they show no spread.\n"
        said = "No worse than" if self.holds else "Not shown to be no worse than"
        return (
            "\n".join(
                wrap(
                    f"{said} {number(self.margin)} below the baseline: mean difference "
                    f"{number(self.mean, sign=True)}, one-sided {self.confidence_level:.4g} limit "
                    f"{number(self.low)}, p {p_value(self.p, equals=True)}, {self.n} pairs."
                )
            )
            + "\n"
        )


def noninferiority(
    d: Differences, margin: float, *, confidence_level: float = 0.975
) -> NonInferiority:
    """Test delta > -margin for differences d (arm minus baseline, 1-D) or a Sample.

    A paired t test of delta <= -margin at 1 - ``confidence_level``; one-sided 97.5 % is the lower
    end of the two-sided 95 % interval (Piaggio et al. 2012, JAMA 308, 2594-2604; ICH E9, section
    3.3.2). ``margin`` is the largest loss that does not matter, declared before the data. Raises
    StatsError unless the margin is positive, and for a level outside (0, 1).
    """
    check_size(margin, "margin")
    check_level(confidence_level)
    sample = d if isinstance(d, Sample) else Sample.of([d])
    e = estimate(sample)
    t = p = low = math.nan
    if e.se > 0:
        t = (e.mean + margin) / e.se
        p, end, _ = t_inference(t, e.df, "greater", confidence_level)
        low = e.mean + end * e.se
    return NonInferiority(
        "mean over pairs of arm minus baseline (several groups: the mean of their means)",
        f"one-sided paired t test of a loss of {margin:g} or more",
        e.mean, e.sd, e.se, e.df, e.n, margin, t, p, low, confidence_level,
        p <= 1 - confidence_level, sample.is_zero,
    )  # fmt: skip


@dataclass(frozen=True)
class NoDegradation(Record):
    """Non-inferiority on every one of several benchmarks (``tests``, by name).

    ``p`` is the largest of the tests' p-values and ``weakest`` the benchmark it belongs to;
    ``holds`` tells that every test holds. Benchmarks with ``identical`` scores leave the
    intersection: nothing was lost there. ``holds`` is True and ``p`` NaN when all are identical;
    where a test is not possible otherwise, nothing is shown: ``holds`` is False and ``p`` NaN.
    """

    estimand: str
    method: str
    tests: dict[str, NonInferiority]
    p: float
    weakest: str
    identical: tuple[str, ...]
    confidence_level: float
    holds: bool

    def table(self) -> pd.DataFrame:
        """One row per benchmark; nothing is rounded."""
        import pandas as pd

        names = ("n", "mean", "low", "margin", "t", "df", "p", "holds", "identical")
        rows = [
            {"benchmark": name} | {field: getattr(test, field) for field in names}
            for name, test in self.tests.items()
        ]
        return pd.DataFrame(rows)

    def summary(self) -> str:
        """The rows and the joint statement."""
        if math.isnan(self.p):
            end = "all scores are identical" if self.holds else f"{self.weakest} allows no test"
        else:
            end = f"p {p_value(self.p, equals=True)} ({self.weakest} is the weakest)"
        said = "No degradation on any benchmark" if self.holds else "Not shown on every benchmark"
        rows = frame_lines(self.table().drop(columns=["t", "df"]))
        note = wrap(
            f"{said}: {end}. One-sided tests at {1 - self.confidence_level:.4g} each; all must "
            "hold, so that none needs a correction."
        )
        return "\n".join([*rows, "", *note]) + "\n"


def no_degradation(
    samples: Mapping[str, Differences],
    margin: float | Mapping[str, float],
    *,
    confidence_level: float = 0.975,
) -> NoDegradation:
    """Test that a mean loss of ``margin`` or more is excluded on every benchmark.

    An intersection-union test: each benchmark is tested at the full level, p is the largest, and
    the error rate of the joint statement is at most 1 - ``confidence_level`` whatever the
    dependence (Berger 1982, Technometrics 24, 295-300). ``samples`` maps a benchmark's name to its
    differences, ``margin`` may differ between them. Raises StatsError for no benchmark, a
    benchmark without margin, and as ``noninferiority`` does.
    """
    if not samples:
        raise StatsError("there is no benchmark to test", place="samples", value={})
    tests = {}
    for name, d in samples.items():
        if isinstance(margin, Mapping):
            if name not in margin:
                raise StatsError(
                    f"there is no margin for '{name}'",
                    place="margin",
                    value=name,
                    hint="give one number for all, or one per benchmark",
                )
            own = margin[name]
        else:
            own = margin
        tests[name] = noninferiority(d, own, confidence_level=confidence_level)
    identical = tuple(name for name, test in tests.items() if test.identical)
    rest = {name: test.p for name, test in tests.items() if not test.identical}
    undefined = [name for name, p in rest.items() if math.isnan(p)]
    weakest = undefined[0] if undefined else max(rest, key=lambda name: rest[name], default="")
    return NoDegradation(
        "mean over pairs of arm minus baseline, on each of these benchmarks",
        "intersection-union of one-sided paired t tests of a loss of the margin or more",
        tests,
        rest.get(weakest, math.nan),
        weakest,
        identical,
        confidence_level,
        not undefined and all(tests[name].holds for name in rest),
    )
