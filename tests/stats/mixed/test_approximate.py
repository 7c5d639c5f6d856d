"""Quick intervals of variance components: exact where the mean squares are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from stats.decompose.analysis import decompose
from stats.mixed.approximate import component_intervals
from stats.mixed.fit import lmm
from tests.stats.decompose.studies import study
from tests.stats.mixed.cases import data


def limits(variance: float, nu: float) -> list[float]:
    return [math.sqrt(variance * nu / q) for q in stats.chi2.ppf([0.975, 0.025], nu)]


@pytest.mark.parametrize("unit", [1.0, 1000.0])
def test_a_balanced_layout_gives_satterthwaites_intervals(unit: float) -> None:
    """Dyestuff: 6 batches of 5; Var(MS) = 2 MS^2 / df, and the component is (MSB - MSE) / 5."""
    frame = data("dyestuff")
    frame["Yield"] *= unit
    groups = frame.groupby("Batch")["Yield"]
    between, within = 5 * groups.mean().var(), float(groups.var().mean())
    component = (between - within) / 5
    nu = 2 * component**2 / ((2 * between**2 / 5 + 2 * within**2 / 24) / 25)
    batch, residual = component_intervals(lmm("Yield ~ 1 + (1 | Batch)", frame))
    assert batch == pytest.approx(limits(component, nu), rel=1e-5)
    assert residual == pytest.approx(limits(within, 24), rel=1e-5)


def test_a_component_at_zero_has_no_upper_limit() -> None:
    batch, residual = component_intervals(lmm("Yield ~ 1 + (1 | Batch)", data("dyestuff2")))
    assert batch == (0.0, math.inf)
    assert np.isfinite(residual).all()


def test_large_tables_use_them() -> None:
    table = study(benchmarks=5, seeds=160, sd={"seed": 1.0, "run": 0.5, "cell": 2.0})
    assert len(table) > 3000
    d = decompose(table, baseline="lora")
    assert "Satterthwaite" in d.interval_method
    seed = next(c for c in d.components if c.name == "seed")
    assert seed.low < 1.0 < seed.high
    assert seed.high - seed.low < 0.3
