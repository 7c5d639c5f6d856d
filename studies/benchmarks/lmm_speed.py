"""How fast mixed models are fitted, next to lme4 and statsmodels.

``python -m studies.benchmarks.lmm_speed`` prints, for each task, the median seconds of this package
and of R (lme4, and pbkrtest for Kenward-Roger) where ``Rscript`` with these packages is present,
measured in turns in one run. ``--slow`` adds statsmodels' MixedLM and pbkrtest, which take a minute
each. Every figure is the time of one call on a table in memory; start-up and imports are left out.
Run it with OMP_NUM_THREADS=1 on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from stats.mixed.fit import lmm
from stats.mixed.resample import parametric_bootstrap

MEDIUM = (
    "score ~ arm + (1 | backbone) + (1 | benchmark) + (1 | cell) + (1 | cell:arm) + (1 | block)"
    " + (1 | run)"
)
LARGE = (
    "score ~ arm + (1 | backbone) + (1 | benchmark) + (1 | cell) + (1 | cell:arm) + (1 | block)"
    " + (1 | hp) + (1 | hp:arm) + (1 | run)"
)


def study(
    *, backbones: int, benchmarks: int, seeds: int, arms: int, draws: int = 1, rng: int = 0
) -> pd.DataFrame:
    """Scores of a simulated study: backbone SD 3, benchmark 5, cell 2, cell x arm .8, block 1,
    hp draw 1.5, hp x arm .5, run .7, residual 1; every second arm adds 1."""
    g = np.random.default_rng(rng)
    axes = [range(n) for n in (backbones, benchmarks, seeds, arms, draws)]
    index = np.array(list(itertools.product(*axes)))
    b, k, s, a, h = index.T

    def effect(sd: float, *keys: np.ndarray) -> np.ndarray:
        _, at = np.unique(np.column_stack(keys), axis=0, return_inverse=True)
        at = at.reshape(-1)
        return np.asarray(g.normal(0, sd, at.max() + 1)[at])

    score = 50.0 + (a % 2) + effect(3, b) + effect(5, k) + effect(2, b, k) + effect(0.8, b, k, a)
    score += effect(1, b, h, s) + effect(0.7, b, h, s, a) + g.normal(0, 1, len(index))
    if draws > 1:
        score += effect(1.5, h) + effect(0.5, h, a)
    text = {name: [f"{name[0]}{v}" for v in values] for name, values in
            (("backbone", b), ("benchmark", k), ("arm", a), ("hp", h))}  # fmt: skip
    frame = pd.DataFrame(text)
    frame["cell"] = [f"{x}.{y}" for x, y in zip(b, k, strict=True)]
    frame["block"] = [f"{x}.{y}.{z}" for x, y, z in zip(b, h, s, strict=True)]
    frame["run"] = [f"{x}.{y}.{z}.{w}" for x, y, z, w in zip(b, h, s, a, strict=True)]
    return frame.assign(score=score)


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


class R:
    """An R process per measurement: reads the table, times the call alone, prints seconds."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp())
        self.present = shutil.which("Rscript") is not None and self._works("library(lme4)")
        self.has_kr = self.present and self._works("library(pbkrtest)")

    def _works(self, code: str) -> bool:
        done = subprocess.run(["Rscript", "-e", code], capture_output=True, check=False)
        return done.returncode == 0

    def seconds(self, frame: pd.DataFrame, code: str, setup: str = "") -> float:
        """Seconds of ``code`` in R with ``d`` holding the table."""
        path = self.home / "table.csv"
        frame.to_csv(path, index=False)
        script = (
            f"suppressMessages({{library(lme4); if ({int(self.has_kr)}) library(pbkrtest)}});"
            f"d <- read.csv('{path}', stringsAsFactors=TRUE); {setup or 0};"
            f"t <- system.time({code})[['elapsed']]; cat(t)"
        )
        done = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=True)
        return float(done.stdout.split()[-1])


def report(name: str, ours: list[float], theirs: list[float], other: str = "lme4") -> None:
    """One line: medians and, where there is something to compare with, the ratio."""
    line = f"{name:<44} {statistics.median(ours):8.3f} s"
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
    if args.slow:
        ours = [seconds(lambda: lmm(MEDIUM, medium))]
        report("fit, 2,240 rows", ours, [statsmodels_fit(medium)], "statsmodels")


if __name__ == "__main__":
    main()
