"""``matched_draws`` on tables: the unit, what is lost, what is refused, what is shown."""

from __future__ import annotations

import json

import numpy as np
import pytest

from stats.contrast import versus
from stats.decompose.analysis import Decomposition, decompose
from stats.errors import StatsError
from stats.figures.matched_draws import draws_plot, moderators_plot, sources_plot
from stats.matched_draws.analysis import matched_draws
from stats.matched_draws.components import decomposition, spread_over_cells
from stats.matched_draws.moderators import moderators
from stats.paired import paired_t
from stats.signflip import sign_flip
from stats.table import PairedTable
from tests.stats.matched_draws.draws import frame, table

TALAN = versus("talan", "lora")


def _settings(draws: int) -> dict[str, dict[str, float]]:
    return {str(h): {"lr": 10.0 ** -(1 + h % 5), "rank": float(h)} for h in range(draws)}


def test_the_draw_is_the_unit() -> None:
    scores = frame()
    result = matched_draws(table(scores), TALAN, settings=_settings(8), log=("lr",))
    wide = scores.pivot_table(
        index=["hp", "backbone", "seed"], columns=["arm", "benchmark"], values="score"
    )
    pairs = 100 * (wide["talan"] - wide["lora"]).mean(axis=1)
    means = pairs.groupby(["hp", "backbone"]).mean().groupby("hp").mean().to_numpy()
    expected = paired_t(means)
    mean = result.overall.mean
    assert (mean.mean, mean.p, mean.df) == pytest.approx((expected.mean, expected.p, 7))
    assert mean.p_signflip == sign_flip(means).p
    assert mean.n_pairs == 32
    assert [d.effect for d in result.overall.draws] == pytest.approx(list(means))
    within = pairs.groupby(["hp", "backbone"]).var().groupby("backbone").mean()
    assert result.overall.interplay.variance == pytest.approx(
        means.var(ddof=1) - within.sum() / 2 / 4
    )
    base = 100 * wide["lora"].mean(axis=1).groupby(["hp", "backbone"]).mean().groupby("hp").mean()
    assert [d.baseline for d in result.overall.draws] == pytest.approx(list(base))
    assert len(result.cells) == 4
    assert result.cells[0].cell == {"backbone": "b0", "benchmark": "k0"}
    assert np.mean([r.mean.mean for r in result.cells]) == pytest.approx(mean.mean)


def test_text_rows_and_json() -> None:
    result = matched_draws(table(frame()), TALAN, settings=_settings(8), log=("lr",))
    text = result.summary()
    assert max(map(len, text.splitlines())) <= 100
    assert "8 draws are few for a whole space: take 20" in text
    assert list(result.table()["draws"]) == [8] * 5
    assert list(result.draw_table()["rank"]) == list(range(8))
    json.dumps(result.to_dict(), allow_nan=False)
    again = matched_draws(table(frame()), TALAN, settings=_settings(8), log=("lr",))
    assert result.to_dict() == again.to_dict()


def test_failed_runs_break_their_pair_and_a_lost_draw_is_counted() -> None:
    scores = frame(seeds=3)
    lost = (scores["hp"] == 2) & (scores["seed"] == 6) & (scores["arm"] == "talan")
    gone = (scores["hp"] == 5) & (scores["backbone"] == "b1") & (scores["arm"] == "lora")
    scores.loc[lost | gone, "score"] = np.nan
    result = matched_draws(table(scores), TALAN)
    assert result.overall.n_broken == 2 + 3
    assert result.overall.left_out == ("5",)
    assert result.overall.mean.n == 7
    assert next(d for d in result.overall.draws if d.draw == "2").n_pairs == 4
    assert any("1 draw has no complete pair" in text for text in result.warnings)


def test_seeds_of_one_label_in_several_draws_are_warned_of() -> None:
    shared = table(frame(own_labels=False))
    assert any("same random streams" in text for text in matched_draws(shared, TALAN).warnings)
    for result in (
        matched_draws(shared, TALAN, own_seeds=True),
        matched_draws(table(frame()), TALAN),
    ):
        assert not any("same random streams" in text for text in result.warnings)


def test_arms_that_are_equal_give_no_numbers_rather_than_wrong_ones() -> None:
    scores = frame()
    scores["score"] = 0.5
    result = matched_draws(table(scores), TALAN)
    assert result.overall.mean.mean == 0
    assert np.isnan([result.overall.mean.p, result.overall.interplay.high]).all()
    assert "no test is possible" in result.summary()
    json.dumps(result.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 1}, "draw 0 has one seed in backbone=b0"),
        ({"draws": 1}, "1 of 1 draws"),
    ],
)
def test_too_little_is_refused(change: dict, message: str) -> None:
    with pytest.raises(StatsError, match=message):
        matched_draws(table(frame(**change)), TALAN)


def test_wrong_roles_are_refused() -> None:
    scores = frame()
    with pytest.raises(StatsError, match="'draw' is not a column that identifies a pair"):
        matched_draws(table(scores), TALAN, draw="draw")
    pair = ("backbone", "hp", "seed")
    in_cells = PairedTable.from_frame(scores, pair=pair, cell=("backbone", "benchmark", "hp"))
    with pytest.raises(StatsError, match="identifies cells too"):
        matched_draws(in_cells, TALAN)
    first = PairedTable.from_frame(scores[scores["seed"] % 2 == 0], pair=("backbone", "hp"))
    with pytest.raises(StatsError, match="no column tells the seeds of a draw apart"):
        matched_draws(first, TALAN)
    with pytest.raises(StatsError, match="draw 7 has no hyperparameters"):
        matched_draws(table(scores), TALAN, settings=_settings(7))
    partial = _settings(8)
    del partial["3"]["rank"]
    with pytest.raises(StatsError, match="draw 3 has no value of 'rank'"):
        matched_draws(table(scores), TALAN, settings=partial)


def test_moderators_know_direction_scale_and_multiplicity() -> None:
    x = np.array([1e-4, 1e-3, 1e-2, 1e-1, 1.0])
    found = moderators(
        np.array([0.0, 1.0, 2.0, 3.0, 4.0]), {"lr": x, "none": np.array([1, 3, 2, 5, 0.0]),
        "same": np.ones(5)}, log=("lr",), n_resamples=2000, rng=np.random.default_rng(0),
    )  # fmt: skip
    assert [m.name for m in found] == ["lr", "none"]
    assert found[0].rho == pytest.approx(1.0)
    assert found[0].slope == pytest.approx(1.0)  # points per decade
    assert found[0].change == pytest.approx(2.0)  # from the first to the third quartile
    assert found[0].p == pytest.approx(2 / 120, abs=0.01)  # of 5! orders, two are as extreme
    assert found[0].p_adjusted == pytest.approx(2 * found[0].p)


def test_p_of_a_moderator_is_uniform_without_one() -> None:
    rng = np.random.default_rng(8)
    small = 0
    for _ in range(200):
        effects, values = rng.standard_cauchy(10), rng.integers(0, 4, 10)
        (m,) = moderators(effects, {"rank": values}, n_resamples=199, rng=rng)
        small += m.p <= 0.1
    assert 8 <= small <= 33  # nominal 20, a little less with ties


def test_decomposition_of_one_cell_is_decompose() -> None:
    scores = frame(backbones=1, benchmarks=2)
    ours = decomposition(table(scores), TALAN, cells=[("b0", "k1")])
    one = scores[scores["benchmark"] == "k1"]
    theirs = decompose(one, baseline="lora", backbone="", benchmark="", hp="hp", percent=True)
    assert ours.units == "points"
    for a, b in zip(ours.components, theirs.components, strict=True):
        assert (a.name.replace("hp draw", ""), a.sd) == (
            b.name.replace("hp draw", ""), pytest.approx(b.sd, abs=1e-6),
        )  # fmt: skip
    for found in (ours, theirs):
        assert found.effects[0].unit == "draws"
        assert found.effects[0].pairs.n == 8


@pytest.fixture(scope="module")
def twenty() -> tuple[PairedTable, Decomposition]:
    scores = table(frame(draws=20, effect=3.0, tau=1.5, rng=2))
    return scores, decomposition(scores, TALAN)


def test_decomposition_averages_over_cells_within_the_run(
    twenty: tuple[PairedTable, Decomposition],
) -> None:
    scores, found = twenty
    sd = {c.name: c.sd for c in found.components}
    mean = matched_draws(scores, TALAN).overall
    assert found.effects[0].pairs.mean == pytest.approx(mean.mean.mean)
    assert found.effects[0].pairs.p == pytest.approx(mean.mean.p)
    # On the scale of a score differences count 1 / sqrt(2).
    assert sd["mechanism x hp draw"] == pytest.approx(mean.interplay.sd / np.sqrt(2), rel=0.05)
    assert sd["hp draw"] > sd["mechanism"] > sd["mechanism x seed (run) + residual"]


def test_spread_over_cells() -> None:
    scores = frame(draws=12, rng=4)
    alike = spread_over_cells(table(scores), TALAN)
    assert alike.low == 0
    assert alike.p > 0.05
    in_cell = (scores["arm"] == "talan") & (scores["benchmark"] == "k0")
    scores.loc[in_cell, "score"] += 0.04
    apart = spread_over_cells(table(scores), TALAN)
    # Two cells 4 points above two others: the SD of the four is 4 / sqrt(3).
    assert apart.low < 4 / np.sqrt(3) < apart.high
    assert apart.p < 1e-6
    with pytest.raises(StatsError, match="one cell"):
        spread_over_cells(table(scores), TALAN, cells=[("b0", "k0")])


def test_pictures_show_every_draw_source_and_hyperparameter(
    twenty: tuple[PairedTable, Decomposition],
) -> None:
    scores, found = twenty
    result = matched_draws(scores, TALAN, settings=_settings(20), log=("lr",))
    parts = {"average": found}
    sources = sources_plot(parts, label=lambda name: name.upper())
    names = [text.get_text() for text in sources.axes[0].get_yticklabels()]
    assert sorted(names) == sorted(c.name.upper() for c in parts["average"].components)
    assert names[0] == max(parts["average"].components, key=lambda c: c.sd).name.upper()
    effects = draws_plot(result, sesoi=1.0)
    assert len(effects.axes[0].get_yticks()) == 21
    assert [axis.get_xlabel() for axis in moderators_plot(result).axes] == ["lr", "rank"]
    with pytest.raises(StatsError, match="no hyperparameter varies"):
        moderators_plot(matched_draws(scores, TALAN))
