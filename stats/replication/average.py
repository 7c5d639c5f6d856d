"""Three readings of "on average": over these cells, over a population of backbones, in a new cell.

A *group* is what pairs are nested in (a backbone); ``unit`` is its name in sentences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stats.errors import StatsError
from stats.paired import check_level, paired_t, t_quantile
from stats.record import Record, seed_of
from stats.sample import ROUNDING, Sample
from stats.signflip import N_RESAMPLES, sign_flips
from stats.wording import number, p_value

FEW_GROUPS = 5  # below, a spread between groups is known too badly to promise anything


@dataclass(frozen=True)
class Average(Record):
    """A mean effect with its t test, sign-flip test and interval, all unadjusted.

    ``mean``, ``sd``, ``se`` and the interval are in ``units``; ``n`` counts what varies (pairs, or
    groups), ``n_pairs`` the pairs below. NaN where no test is possible; ``warning`` says why, or
    what else weakens the result ("" if nothing).
    """

    estimand: str
    method: str
    n: int
    n_pairs: int
    mean: float
    sd: float
    se: float
    df: float
    t: float
    p: float
    p_signflip: float
    ci_low: float
    ci_high: float
    alternative: str
    confidence_level: float
    rng_seed: int | None
    warning: str
    units: str

    @property
    def sentence(self) -> str:
        """The estimate in words."""
        text = f"{number(self.mean, sign=True)} {self.units}"
        if not math.isnan(self.p):
            text += (
                f" [{number(self.ci_low)}, {number(self.ci_high)}], t({self.df:.3g}) = "
                f"{number(self.t)}, p {p_value(self.p, equals=True)}"
            )
        return text + (f". {self.warning[0].upper()}{self.warning[1:]}" if self.warning else "")

    def summary(self) -> str:
        """The estimand and the estimate as text."""
        from stats.layout import wrap

        return "\n".join(wrap(f"{self.estimand}: {self.sentence}.")) + "\n"


@dataclass(frozen=True)
class Prediction(Record):
    """Where the effect measured in one further cell is expected to lie.

    ``mean`` +- ``critical`` x ``se`` is [``low``, ``high``]. ``sd_groups`` is the standard
    deviation of the groups' means, ``sd_within`` that of cells within a group (NaN with one cell
    each); all in ``units``. NaN where undefined; ``warning`` says why. ``unit`` names a group.
    """

    estimand: str
    method: str
    n_groups: int
    n_cells: int
    mean: float
    sd_groups: float
    sd_within: float
    se: float
    critical: float
    low: float
    high: float
    confidence_level: float
    warning: str
    unit: str
    units: str

    @property
    def sentence(self) -> str:
        """The interval in words."""
        text = "undefined"
        if not math.isnan(self.low):
            text = (
                f"between {number(self.low, sign=True)} and {number(self.high, sign=True)} "
                f"{self.units} with {self.confidence_level:.0%} probability"
            )
        return text + (f". {self.warning[0].upper()}{self.warning[1:]}" if self.warning else "")

    def summary(self) -> str:
        """The estimand and the interval as text."""
        from stats.layout import wrap

        return "\n".join(wrap(f"{self.estimand}: {self.sentence}.")) + "\n"


def these_cells(
    sample: Sample,
    alternative: str = "two-sided",
    *,
    confidence_level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    rng: int | np.random.Generator = 0,
    unit: str = "backbone",
    units: str = "score units",
) -> Average:
    """The mean over exactly these cells, were their training seeds drawn again.

    ``sample`` holds the pairs' differences, already averaged over the benchmarks of a pair, one
    group per backbone (``prepare.averaged`` makes it). mean_b mean_s d_bs with Satterthwaite's
    degrees of freedom: see ``sample.estimate``. Benchmarks of one training are correlated, so that
    treating cells as independent would reject a true null far too often. Raises StatsError for a
    wrong alternative or level.
    """
    few = not sample.values or min(group.size for group in sample.values) < 2
    then = f", then over each {unit} with equal weight" if len(sample.values) > 1 else ""
    return _average(
        sample,
        alternative,
        confidence_level=confidence_level,
        n_resamples=n_resamples,
        rng=rng,
        units=units,
        n_pairs=sample.n,
        estimand=f"mean effect over these cells, within the pair first{then}",
        method="t on pair means with Satterthwaite degrees of freedom, sign flips of pairs beside",
        undefined=(
            f"no test is possible: a {unit} has fewer than two complete pairs"
            if few
            else "no test is possible: the differences do not vary"
        ),
    )


def population(
    sample: Sample,
    alternative: str = "two-sided",
    *,
    confidence_level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    rng: int | np.random.Generator = 0,
    unit: str = "backbone",
    units: str = "score units",
) -> Average:
    """The mean over a population of backbones of which these are a random sample.

    t over the groups' means, df = groups - 1: the spread between backbones holds both how their
    true effects vary and the noise of their seeds, in the right proportion, whatever the numbers of
    pairs (exact for normal effects and equal noise). It is undefined for one group, and a warning
    says so below ``FEW_GROUPS``. A t over all cell means instead counts a backbone once for each of
    its benchmarks. Backbones that were picked, not drawn, are a sample of nothing: then the number
    describes them only. Raises StatsError for a wrong alternative or level.
    """
    groups = sample.values
    count, empty = len(groups), not groups or min(group.size for group in groups) == 0
    if empty:
        undefined = f"undefined: a {unit} has no complete pair"
    elif count < 2:
        undefined = f"undefined: one {unit} shows nothing of how effects vary between {unit}s"
    else:
        undefined = f"undefined: the means of the {unit}s do not vary"
    return _average(
        Sample.of(
            [[] if empty else [float(group.mean()) for group in groups]],
            magnitude=sample.magnitude,
        ),
        alternative,
        confidence_level=confidence_level,
        n_resamples=n_resamples,
        rng=rng,
        units=units,
        n_pairs=sample.n,
        estimand=f"mean effect over a population of {unit}s, on these benchmarks",
        method=f"t over {unit} means, degrees of freedom {unit}s - 1; sign flips of means beside",
        undefined=undefined,
        warning=_few(count, unit),
    )


def _average(
    sample: Sample,
    alternative: str,
    *,
    confidence_level: float,
    n_resamples: int,
    rng: int | np.random.Generator,
    units: str,
    n_pairs: int,
    estimand: str,
    method: str,
    undefined: str,
    warning: str = "",
) -> Average:
    """The tests of a sample; ``undefined`` is the warning where there is none."""
    t = paired_t(sample, alternative, confidence_level)
    single = math.nan
    if math.isnan(t.p):
        warning = undefined
    else:
        single = sign_flips([sample], alternative, n_resamples=n_resamples, rng=rng)[0].p
    return Average(
        estimand=estimand,
        method=method,
        n=t.n,
        n_pairs=n_pairs,
        mean=t.mean,
        sd=t.sd,
        se=t.se,
        df=t.df,
        t=t.t,
        p=t.p,
        p_signflip=single,
        ci_low=t.ci_low,
        ci_high=t.ci_high,
        alternative=alternative,
        confidence_level=confidence_level,
        rng_seed=seed_of(rng),
        warning=warning,
        units=units,
    )


def new_cell(
    cell_means: Sequence[Sequence[float] | np.ndarray],
    *,
    confidence_level: float = 0.95,
    unit: str = "backbone",
    units: str = "score units",
) -> Prediction:
    """A prediction interval for the effect measured in one cell of a further backbone.

    ``cell_means`` are the mean differences of the cells, one array per group (backbone). The new
    cell is one benchmark, drawn with equal chances from those studied, on a new backbone from the
    same population, measured with as many pairs: its sampling noise is part of the interval. With
    B groups of J_b cells, m_b the mean of group b, S^2 the variance of the m_b, W the pooled
    variance of cells within groups and h the mean of 1 / J_b:

        m +- c V^(1/2),   V = V_1 + V_2,   V_1 = S^2 (1 + 1 / B),   V_2 = W (1 - h),
        c = (V_1 t_(B - 1) + V_2 t_(sum_b J_b - B)) / V

    because a cell's variance is that of its group's mean plus (1 - h) of the variance within, and
    the mean m of the groups has variance S^2 / B. Correlations between the cells of a backbone (one
    training, shared pairs) are in S^2. V is unbiased where cells within a backbone are drawn afresh
    and, for equal J_b, also where all backbones share the same benchmarks. c is Cochran and Cox's
    weighted quantile (1957, Experimental Designs, chapter 4), which errs to the wide side;
    Satterthwaite's degrees of freedom for V err to the narrow side with few groups. With one cell
    per group this is the normal prediction interval of one further observation, exact, with B - 1
    degrees of freedom (Hahn 1969, Journal of the American Statistical Association 64, 878-888). The
    interval of Higgins, Thompson and Spiegelhalter (2009, Journal of the Royal Statistical Society
    A 172, 137-159), m +- t_(B-2) (tau^2 + SE^2)^(1/2), is for the *true* effect of a new study; it
    subtracts the noise from S^2, is cut off at tau = 0, and B - 2 is an approximation. A true
    effect lies within the interval given here more often than the level says.

    Undefined (NaN, with a warning) for one group, where nothing varies, and where a mean is NaN (a
    cell without pairs); a warning says so below ``FEW_GROUPS``. Raises StatsError for a wrong
    level, a group without cells, and infinite means.
    """
    check_level(confidence_level)
    groups = [np.asarray(group, dtype=float) for group in cell_means]
    if not groups or any(group.ndim != 1 or group.size == 0 for group in groups):
        raise StatsError(
            "every group needs one or more cell means", place="cell_means", value=len(groups)
        )
    if any(np.isinf(group).any() for group in groups):
        raise StatsError("a cell mean is infinite", place="cell_means")
    count, sizes = len(groups), np.array([group.size for group in groups])
    means = np.array([group.mean() for group in groups])
    mean, inner = float(means.mean()), int((sizes - 1).sum())
    within = math.nan
    if inner:
        within = sum(float(((g - g.mean()) ** 2).sum()) for g in groups) / inner
    between = float(means.var(ddof=1)) if count > 1 else math.nan
    first = between * (1 + 1 / count)
    second = within * float(1 - (1 / sizes).mean()) if inner else 0.0
    total = first + second
    se = critical = low = high = math.nan
    size = max(float(np.abs(group).max()) for group in groups)
    if count < 2:
        warning = f"undefined: one {unit} shows nothing of how effects vary between {unit}s"
    elif math.isnan(total):
        warning = "undefined: a cell has no complete pair"
    elif math.sqrt(total) <= ROUNDING * size:
        warning = "undefined: the cell means do not vary"
    else:
        se = math.sqrt(total)
        critical = first * t_quantile(0.5 + confidence_level / 2, count - 1)
        critical += second * t_quantile(0.5 + confidence_level / 2, inner) if inner else 0.0
        critical /= total
        low, high = mean - critical * se, mean + critical * se
        warning = _few(count, unit)
    return Prediction(
        estimand=(
            f"the effect measured, with as many pairs, on one of these benchmarks on a new {unit} "
            "of the same population"
        ),
        method=(
            f"t prediction interval from the variance between {unit}s and between cells within "
            f"{unit}s, their t quantiles weighted by the variances"
        ),
        n_groups=count,
        n_cells=int(sizes.sum()),
        mean=mean,
        sd_groups=math.sqrt(between) if count > 1 else math.nan,
        sd_within=math.sqrt(within) if inner else math.nan,
        se=se,
        critical=critical,
        low=low,
        high=high,
        confidence_level=confidence_level,
        warning=warning,
        unit=unit,
        units=units,
    )


def _few(count: int, unit: str) -> str:
    if count >= FEW_GROUPS:
        return ""
    freedom = "one degree of freedom" if count == 2 else f"{count - 1} degrees of freedom"
    return (
        f"{count} {unit}s leave {freedom}: everything rests on normal effects of "
        f"{unit}s; take {FEW_GROUPS} or more"
    )
