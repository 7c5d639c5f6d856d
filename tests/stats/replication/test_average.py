"""Averages over cells and backbones, and the prediction: identities, type I error, coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats

from stats.errors import StatsError
from stats.paired import paired_t
from stats.replication.average import new_cell, population, these_cells
from stats.sample import Sample
from tests.stats.test_rates import band


def test_these_cells_is_welchs_test_for_two_backbones() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.8, 1, 6), rng.normal(0.2, 2, 9)
    result = these_cells(Sample.of([a, b]))
    theirs = scipy.stats.ttest_ind(a, -b, equal_var=False)
    assert (result.t, result.p, result.df) == pytest.approx(
        (theirs.statistic, theirs.pvalue, theirs.df), rel=1e-10
    )
    assert (result.n, result.n_pairs, result.warning) == (15, 15, "")


def test_population_is_the_t_test_over_backbone_means() -> None:
    rng = np.random.default_rng(1)
    groups = [
        rng.normal(m, 1, n) for m, n in zip((0.2, 0.9, 1.4, 0.1, 0.8), (6, 7, 5, 6, 6), strict=True)
    ]
    for alternative in ("two-sided", "greater", "less"):
        result = population(Sample.of(groups), alternative)
        theirs = scipy.stats.ttest_1samp([g.mean() for g in groups], 0, alternative=alternative)
        interval = theirs.confidence_interval(0.95)
        assert (result.t, result.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-10)
        assert (result.ci_low, result.ci_high) == pytest.approx(tuple(interval), rel=1e-10)
    assert (result.n, result.n_pairs, result.df) == (5, 30, 4)
    assert result.warning == ""


def test_population_warns_below_five_and_is_undefined_below_two() -> None:
    rng = np.random.default_rng(2)
    four = population(Sample.of(list(rng.normal(1, 1, (4, 6)))))
    assert four.warning == (
        "4 backbones leave 3 degrees of freedom: everything rests on normal effects of backbones; "
        "take 5 or more"
    )
    two = population(Sample.of(list(rng.normal(1, 1, (2, 6)))))
    assert "one degree of freedom" in two.warning
    one = population(Sample.of([rng.normal(1, 1, 6)]))
    assert math.isnan(one.p)
    assert math.isnan(one.ci_low)
    assert one.warning == (
        "undefined: one backbone shows nothing of how effects vary between backbones"
    )
    lost = population(Sample.of([[1.0, 2.0], []]))
    assert lost.warning == "undefined: a backbone has no complete pair"
    alike = population(Sample.of([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]]), unit="model")
    assert alike.warning == "undefined: the means of the models do not vary"
    assert math.isnan(alike.p)


def test_these_cells_without_a_test() -> None:
    constant = these_cells(Sample.of([[0.5] * 6]))
    assert constant.warning == "no test is possible: the differences do not vary"
    single = these_cells(Sample.of([[0.5, 0.1], [0.2]]))
    assert "fewer than two complete pairs" in single.warning
    assert math.isnan(constant.p)
    assert math.isnan(single.p_signflip)


def _study(rng: np.random.Generator, repeats: int, sd_backbone: float) -> np.ndarray:
    """Null differences (repeats, 4 backbones, 4 benchmarks, 6 pairs): effects vary by backbone."""
    effect = sd_backbone * rng.normal(size=(repeats, 4, 1, 1))
    shared = rng.normal(0, 0.5, (repeats, 4, 1, 6))
    return np.asarray(effect + shared + rng.normal(0, 1, (repeats, 4, 4, 6)))


@pytest.mark.parametrize("sd_backbone", [0.25, 1.0])
def test_type_i_error_where_effects_vary_by_backbone(sd_backbone: float) -> None:
    """t over backbones keeps .05; t over the 16 cell means, and these cells' own test, do not.

    The last is no fault of it: it tests another null hypothesis, on these backbones only.
    """
    repeats = 2000
    d = _study(np.random.default_rng(4), repeats, sd_backbone)
    within = d.mean(axis=2)
    right = np.mean([population(Sample.of(list(x))).p <= 0.05 for x in within])
    cells = scipy.stats.ttest_1samp(d.mean(axis=3).reshape(repeats, 16), 0, axis=1).pvalue
    pooled = np.mean([paired_t(Sample.of(list(x))).p <= 0.05 for x in within])
    low, high = band(0.05, repeats)
    assert low <= right <= high
    assert (cells <= 0.05).mean() > 0.12
    assert pooled > high


@pytest.mark.parametrize(("correlation", "wrong_rate"), [(0.2, 0.11), (0.5, 0.21)])
def test_the_trap_of_independent_benchmarks(correlation: float, wrong_rate: float) -> None:
    """Within the pair first keeps .05; SE^2 = sum_c s_c^2 / n_c / C^2 has .11 and .21."""
    repeats, backbones, benchmarks, n = 2000, 2, 4, 6
    rng = np.random.default_rng(int(100 * correlation))
    shared = rng.normal(size=(repeats, backbones, 1, n))
    own = rng.normal(size=(repeats, backbones, benchmarks, n))
    d = math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own
    right = np.mean([paired_t(Sample.of(list(x))).p <= 0.05 for x in d.mean(axis=2)])
    one = Sample.of(list(d[0].mean(axis=1)))
    assert these_cells(one).p == paired_t(one).p
    wrong = np.mean([paired_t(Sample.of(list(x.reshape(-1, n)))).p <= 0.05 for x in d])
    low, high = band(0.05, repeats)
    assert low - 0.01 <= right <= high  # Satterthwaite's df err to the safe side
    low, high = band(wrong_rate, repeats)
    assert low <= wrong <= high


def test_prediction_with_one_cell_each_is_the_textbook_interval() -> None:
    x = np.array([0.4, 1.1, 0.7, 1.6, 0.2])
    result = new_cell(x[:, None])
    half = scipy.stats.t.ppf(0.975, 4) * x.std(ddof=1) * math.sqrt(1 + 1 / 5)
    assert (result.low, result.high) == pytest.approx((x.mean() - half, x.mean() + half))
    assert math.isnan(result.sd_within)


def test_prediction_by_hand() -> None:
    """Two backbones of two and three cells, worked through on paper."""
    result = new_cell([[1.0, 3.0], [4.0, 5.0, 9.0]], confidence_level=0.9)
    between = ((2 - 4) ** 2 + (6 - 4) ** 2) / 1
    within = (2 + 14) / 3
    first, second = between * 1.5, within * (1 - (1 / 2 + 1 / 3) / 2)
    t = scipy.stats.t.ppf(0.95, [1, 3])
    critical = (first * t[0] + second * t[1]) / (first + second)
    half = critical * math.sqrt(first + second)
    assert (result.mean, result.critical) == pytest.approx((4, critical))
    assert (result.low, result.high) == pytest.approx((4 - half, 4 + half))
    assert (result.sd_groups, result.sd_within) == pytest.approx(
        (math.sqrt(between), math.sqrt(within))
    )


def _cells(design: str, groups: int, repeats: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cell means (repeats, groups, benchmarks), a further one (repeats), and its true effect.

    nested: every cell has its own effect; crossed: all backbones share the benchmarks' effects.
    Noise is correlated within a backbone, which shares its pairs.
    """
    benchmarks = 1 if design == "one cell" else 4
    rng = np.random.default_rng(groups)
    shape = (repeats, groups + 1, benchmarks)
    true = 1 + 0.8 * rng.normal(size=(*shape[:2], 1)) + 0.4 * rng.normal(size=shape)
    if design == "crossed":
        true = true + np.array([-0.5, -0.1, 0.2, 0.4])
    noise = 0.3 * rng.normal(size=(*shape[:2], 1)) + 0.3 * rng.normal(size=shape)
    which = rng.integers(0, benchmarks, repeats)
    rows = np.arange(repeats)
    return (true + noise)[:, :-1], (true + noise)[rows, -1, which], true[rows, -1, which]


@pytest.mark.parametrize("groups", [2, 3, 5])
@pytest.mark.parametrize("design", ["nested", "crossed", "one cell"])
def test_coverage_of_the_prediction_and_its_mutants(design: str, groups: int) -> None:
    """A cell of a new backbone: 95 % or a little more, exactly 95 % with one cell each.

    The mutants must leave the band: cells as independent, and the interval of the mean.
    """
    repeats = 3000
    seen, new, true = _cells(design, groups, repeats)
    results = [new_cell(x) for x in seen]
    inside = np.mean([r.low < y < r.high for r, y in zip(results, new, strict=True)])
    low, high = band(0.95, repeats)
    assert low <= inside <= (high if design == "one cell" else 0.985)
    covered = np.mean([r.low < y < r.high for r, y in zip(results, true, strict=True)])
    assert covered > inside - 0.002  # the true effect lacks the noise
    flat = seen.reshape(repeats, -1)
    count = flat.shape[1]
    half = scipy.stats.t.ppf(0.975, count - 1) * flat.std(axis=1, ddof=1)
    off = np.abs(flat.mean(axis=1) - new)
    if design != "one cell":
        assert (off < half * math.sqrt(1 + 1 / count)).mean() < low
    assert (off < half / math.sqrt(count)).mean() < low


def test_satterthwaites_degrees_of_freedom_would_be_too_narrow() -> None:
    repeats, groups = 3000, 2
    seen, new, _ = _cells("nested", groups, repeats)
    inside = 0
    for x, y in zip(seen, new, strict=True):
        first = x.mean(axis=1).var(ddof=1) * (1 + 1 / groups)
        second = x.var(axis=1, ddof=1).mean() * (1 - 1 / 4)
        total = first + second
        df = total**2 / (first**2 / (groups - 1) + second**2 / (groups * 3))
        inside += abs(x.mean() - y) < scipy.special.stdtrit(df, 0.975) * math.sqrt(total)
    assert inside / repeats < band(0.95, repeats)[0]


def test_prediction_undefined() -> None:
    one = new_cell([[1.0, 2.0]])
    assert math.isnan(one.low)
    assert one.warning.startswith("undefined: one backbone shows nothing")
    same = new_cell([[1.0, 1.0], [1.0, 1.0]])
    assert same.warning == "undefined: the cell means do not vary"
    assert math.isnan(same.high)
    lost = new_cell([[1.0, math.nan], [1.0, 2.0]])
    assert lost.warning == "undefined: a cell has no complete pair"
    assert lost.sentence == "undefined. Undefined: a cell has no complete pair"


def test_sentences_fit_a_terminal() -> None:
    rng = np.random.default_rng(0)
    sample = Sample.of(list(rng.normal(1, 1, (6, 6))))
    for result in (
        these_cells(sample, units="points"),
        population(sample, units="points"),
        new_cell(rng.normal(1, 1, (6, 2)), units="points"),
    ):
        assert max(map(len, result.summary().splitlines())) <= 100
        assert "points" in result.summary()
        assert result.to_dict()["warning"] == ""
        assert len(result.table()) == 1


@pytest.mark.parametrize(
    ("groups", "options", "message"),
    [
        ([], {}, "cell_means: every group needs one or more cell means"),
        ([[1.0], []], {}, "cell_means: every group needs one or more cell means"),
        ([[1.0], [math.inf]], {}, "cell_means: a cell mean is infinite"),
        ([[1.0], [2.0]], {"confidence_level": 95}, "confidence_level: 95 is not between 0 and 1"),
    ],
)
def test_refusals(groups: list[list[float]], options: dict[str, float], message: str) -> None:
    with pytest.raises(StatsError) as caught:
        new_cell(groups, **options)  # type: ignore[arg-type]
    assert message in str(caught.value)
