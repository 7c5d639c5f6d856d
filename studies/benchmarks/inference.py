"""How fast the inference is, next to lme4, pbkrtest and statsmodels.

``python -m studies.benchmarks.inference`` prints, for each task, the median seconds of this package
and of R (lme4, and pbkrtest for Kenward-Roger) where ``Rscript`` with these packages is present,
measured in turns in one run. ``--slow`` adds statsmodels' MixedLM and pbkrtest, which take a minute
each. Every figure is the time of one call on a table in memory; start-up and imports are left out.
Run it with OMP_NUM_THREADS=1 on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from stats.bootstrap import bootstrap_t
from stats.family import max_t
from stats.mixed.fit import lmm
from stats.mixed.resample import parametric_bootstrap
from stats.sample import Sample
from studies.benchmarks.r import R
from studies.benchmarks.simulated import study

MEDIUM = (
    "score ~ arm + (1 | backbone) + (1 | benchmark) + (1 | cell) + (1 | cell:arm) + (1 | block)"
    " + (1 | run)"
)
LARGE = (
    "score ~ arm + (1 | backbone) + (1 | benchmark) + (1 | cell) + (1 | cell:arm) + (1 | block)"
    " + (1 | hp) + (1 | hp:arm) + (1 | run)"
)


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def report(name: str, ours: list[float], theirs: list[float], other: str = "lme4") -> None:
    """One line: medians and, where there is something to compare with, the ratio."""
    line = f"{name:<50} {statistics.median(ours):8.3f} s"
    if theirs:
        ratios = [b / a for a, b in zip(ours, theirs, strict=False)]
        line += f"   {other} {statistics.median(theirs):7.2f} s, {statistics.median(ratios):6.1f} x"
    print(line, flush=True)


def against_r(r: R, name: str, formula: str, frame: pd.DataFrame, repeats: int) -> None:
    """Fit in turns here and in R."""
    ours, theirs = [], []
    lmm(formula, frame)  # imports
    for _ in range(repeats):
        ours.append(seconds(lambda: lmm(formula, frame)))
        if r.present:
            theirs.append(r.seconds(frame, f"lmer({formula}, d)"))
    report(name, ours, theirs)


def kenward_roger(r: R, slow: bool) -> None:
    """All fixed effects with Kenward-Roger degrees of freedom, the fit not included."""
    frame = study(backbones=4, benchmarks=4, seeds=5, arms=17)
    ours = []
    for _ in range(3):
        fit = lmm(MEDIUM, frame)
        ours.append(seconds(lambda fit=fit: (fit.fixed("kenward-roger"), fit.anova())))  # type: ignore[misc]
    theirs = []
    if slow and r.has_kr:
        setup = f"m <- lmer({MEDIUM}, d)"
        theirs = [r.seconds(frame, "vcovAdj(m)", setup)]
    report("Kenward-Roger, 1,360 rows, 17 arms", ours, theirs, "pbkrtest (vcovAdj)")


def resampling(repeats: int) -> None:
    """Joint sign flips and bootstrap-t intervals of many correlated tests."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=20)
    samples = [Sample.of([shared + rng.normal(0.3, 1, 20)]) for _ in range(32)]

    def flips() -> object:
        return max_t(samples, n_resamples=10_000, max_enumerated=0)

    def boots() -> object:
        return [bootstrap_t(sample, n_resamples=10_000) for sample in samples[:16]]

    for name, call in (
        ("10,000 joint sign flips, 32 tests x 20 pairs", flips),
        ("10,000 bootstrap-t resamples, 16 cells x 20 pairs", boots),
    ):
        call()
        report(name, [seconds(call) for _ in range(repeats)], [])


def statsmodels_fit(frame: pd.DataFrame) -> float:
    """MixedLM with the same crossed terms as variance components of one group."""
    import statsmodels.formula.api as smf

    data = frame.assign(one=1, cell_arm=frame["cell"] + frame["arm"])
    terms = ("backbone", "benchmark", "cell", "cell_arm", "block", "run")
    parts = {name: f"0 + C({name})" for name in terms}
    model = smf.mixedlm("score ~ arm", data, groups="one", vc_formula=parts, re_formula="0")
    return seconds(model.fit)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slow", action="store_true", help="statsmodels and pbkrtest, too")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each pair (%(default)s)")
    args = parser.parse_args()
    r = R()
    print("medians; x: how many times as long the other takes" + ("" if r.present else " (no R)"))
    medium = study(backbones=4, benchmarks=4, seeds=20, arms=7)
    against_r(r, f"fit, {len(medium):,} rows, 7 arms, 6 random terms", MEDIUM, medium, args.repeats)
    large = study(backbones=4, benchmarks=4, seeds=20, arms=13, draws=4)
    against_r(r, f"fit, {len(large):,} rows, 13 arms, 8 random terms", LARGE, large, args.repeats)
    kenward_roger(r, args.slow)
    small = study(backbones=4, benchmarks=4, seeds=10, arms=2)
    fit = lmm(MEDIUM, small)
    boots = [seconds(lambda: parametric_bootstrap(fit, 200)) for _ in range(args.repeats)]
    report(f"parametric bootstrap, 200 refits, {len(small)} rows", boots, [])
    resampling(args.repeats)
    if args.slow:
        ours = [seconds(lambda: lmm(MEDIUM, medium))]
        report("fit, 2,240 rows", ours, [statsmodels_fit(medium)], "statsmodels")


if __name__ == "__main__":
    main()
