"""Marginal means: plain where the design is orthogonal, moved to the tested effects elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from stats.contrast import Contrast
from stats.errors import StatsError
from stats.factorial.level_means import LevelContrast, level_contrasts, level_means
from stats.paired import paired_t
from stats.sample import Sample
from tests.stats.factorial.designs import AXES, PAIRS, contrasts, design, scores, table

POINTS = design()
MAINS, INTERACTIONS = contrasts(POINTS)


def means_of(
    points: pd.DataFrame,
    mains: Mapping[tuple[str, str], Contrast],
    interactions: Mapping[tuple[str, str], Contrast],
) -> tuple[LevelContrast, ...]:
    return level_contrasts(
        {str(arm): {axis: str(row[axis]) for axis in AXES} for arm, row in points.iterrows()},
        {axis: ("-1", "1") for axis in AXES},
        "lora",
        mains,
        interactions,
    )


def all_means() -> tuple[LevelContrast, ...]:
    return means_of(
        POINTS,
        {(axis, "1"): contrast for axis, contrast in zip(AXES, MAINS, strict=True)},
        dict(zip(PAIRS, INTERACTIONS, strict=True)),
    )


def test_in_an_orthogonal_design_they_are_plain_means_less_the_baseline() -> None:
    found = all_means()
    assert len(found) == 6 * 2 + 15 * 4
    for item in found:
        axes = item.term.split(":")
        there = np.all(
            [POINTS[axis] == int(level) for axis, level in zip(axes, item.levels, strict=True)],
            axis=0,
        )
        expected = dict.fromkeys(POINTS.index[there], 1 / there.sum()) | {"lora": -1.0}
        assert dict(item.contrast.weights) == pytest.approx(expected)


def test_the_pairs_noise_cancels_against_the_baseline() -> None:
    y = scores(POINTS, np.random.default_rng(0), effects={"A": 2.0})
    found = level_means(table(POINTS, y), all_means())
    at = {m.levels[0]: m for m in found.of("A")}
    d = y[:-1][POINTS["A"].to_numpy() == 1].mean(axis=0) - y[-1]
    t = paired_t(Sample.of(list(d.mean(axis=2))))
    mean = at["1"]
    assert (mean.delta, mean.ci_low, mean.ci_high) == pytest.approx((t.mean, t.ci_low, t.ci_high))
    assert at["1"].delta - at["-1"].delta == pytest.approx(2, abs=0.3)
    cells = [m for m in found.per_cell if m.term == "A" and m.levels == ("1",)]
    assert len(cells) == 10
    assert np.mean([m.delta for m in cells]) == pytest.approx(mean.delta)


def test_where_points_are_lost_means_differ_by_the_tested_effects() -> None:
    points = POINTS.iloc[[i for i in range(32) if i not in (0, 3, 9, 14, 20)]]
    terms = [[axis] for axis in AXES] + [list(pair) for pair in PAIRS]
    x = np.column_stack([np.ones(27), *(points[term].prod(axis=1) for term in terms)])
    effects = 2 * np.linalg.pinv(x)[1:]
    named = [
        Contrast(":".join(term), dict(zip(points.index, row, strict=True)))
        for term, row in zip(terms, effects, strict=True)
    ]
    found = means_of(
        points,
        {(axis, "1"): contrast for axis, contrast in zip(AXES, named, strict=False)},
        dict(zip(PAIRS, named[6:], strict=True)),
    )
    weights = {(item.term, item.levels): item.contrast.weights for item in found}

    def value(term: str, *levels: str) -> np.ndarray:
        return np.array([weights[term, levels].get(arm, 0.0) for arm in points.index])

    for axis, effect in zip(AXES, effects, strict=False):
        assert value(axis, "1") - value(axis, "-1") == pytest.approx(effect)
        plain = [(points[axis] == level) / (points[axis] == level).sum() for level in (1, -1)]
        centre = (value(axis, "1") + value(axis, "-1")) / 2
        assert centre == pytest.approx(np.mean(plain, axis=0))
    for (a, b), effect in zip(PAIRS, effects[6:], strict=True):
        term = f"{a}:{b}"
        steps = [value(term, x, "1") - value(term, x, "-1") for x in ("1", "-1")]
        assert (steps[0] - steps[1]) / 2 == pytest.approx(effect)


def test_an_axis_that_does_nothing_at_a_point_is_not_counted_there() -> None:
    acting = {
        "p0": {"A": "lo", "B": "x"},
        "p1": {"A": "lo", "B": "y"},
        "p2": {"A": "hi", "B": None},
    }
    effect = Contrast("B", {"p1": 1.0, "p0": -1.0})
    found = level_contrasts(
        acting, {"A": ("lo", "hi"), "B": ("x", "y", "z")}, {"lora": 0.5, "dora": 0.5},
        {("B", "y"): effect}, {("A", "B"): effect},
    )  # fmt: skip
    assert [(item.term, item.levels) for item in found] == [
        ("A", ("lo",)), ("A", ("hi",)), ("B", ("x",)), ("B", ("y",)),
        ("A:B", ("lo", "x")), ("A:B", ("lo", "y")),
    ]  # fmt: skip
    assert dict(found[3].contrast.weights) == {"p1": 1.0, "lora": -0.5, "dora": -0.5}
    with pytest.raises(StatsError, match="do not sum to 1"):
        level_contrasts(acting, {"A": ("lo", "hi")}, {"lora": 0.5}, {}, {})


def test_the_record_has_plain_values_and_text() -> None:
    data = table(POINTS, scores(POINTS, np.random.default_rng(1), pairs=3))
    found = level_means(data, all_means()[:4], per_cell=False)
    assert not found.per_cell
    assert json.loads(json.dumps(found.to_dict()))["overall"][0]["levels"] == ["-1"]
    assert max(map(len, found.summary().splitlines())) <= 100
    assert list(found.table()["levels"]) == ["-1", "1", "-1", "1"]
