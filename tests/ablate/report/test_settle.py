"""What would settle it: the plan's numbers against stats.planning, and the next command."""

import dataclasses
import math

import pytest

from ablate.report import Findings
from ablate.report.findings import paired_table
from ablate.report.screen import settle_line
from ablate.report.settle import extended, settle_table, settling, settling_dict
from stats.contrast import versus
from stats.planning.pilot import pilot
from stats.planning.power import pairs_for_t, power_of_t
from stats.planning.spread import upper_sd
from stats.planning.tost_power import power_of_tost
from stats.verdict import Verdict
from tests.ablate.simulated import simulate


def test_the_difference_found_has_80_percent_power_at_the_pairs_at_hand(clean: Findings):
    plan = settling(clean)
    assert (plan.tests, plan.groups) == (5, 2)
    for need in plan.needs:
        assert need.upper == pytest.approx(upper_sd(need.effect.sd, need.effect.df))
        power = power_of_t(need.found, need.upper, need.n, alpha=0.05, tests=5, groups=2)
        assert power == pytest.approx(0.8, abs=1e-6)


def test_the_pairs_needed_are_the_fewest(clean: Findings):
    for need in settling(clean).needs:
        assert need.pairs == need.effect.pairs_needed
        found = [
            power_of_t(1.0, need.upper, n, alpha=0.05, tests=5, groups=2)
            for n in (need.pairs - 2, need.pairs)
            if n > 2
        ]
        assert found[-1] >= 0.8
        assert len(found) == 1 or found[0] < 0.8
        same = [
            power_of_tost(-1.0, 1.0, need.upper, n, alpha=0.05, tests=5, groups=2)
            for n in (need.same - 2, need.same)
        ]
        assert same[0] < 0.8 <= same[1]


def test_the_difference_found_plays_no_part(clean: Findings):
    moved = tuple(dataclasses.replace(e, delta=e.delta + 7) for e in clean.main.primary)
    other = dataclasses.replace(clean, main=dataclasses.replace(clean.main, primary=moved))
    for a, b in zip(settling(clean).needs, settling(other).needs, strict=True):
        assert (a.upper, a.found, a.pairs, a.same) == (b.upper, b.found, b.pairs, b.same)


def test_a_unit_of_draws_is_not_split_over_backbones(clean: Findings):
    plan = settling(dataclasses.replace(clean, pair=("hp",)))
    assert plan.groups == 1
    assert "on each backbone" not in plan.sentence
    assert "fresh draws" in plan.sentence


def test_what_one_search_settles_is_settled_for_its_settings(clean: Findings):
    primary = tuple(
        dataclasses.replace(effect, verdict=Verdict.SUPERIOR) for effect in clean.main.primary
    )
    settled = dataclasses.replace(clean, main=dataclasses.replace(clean.main, primary=primary))
    assert settling(settled).word == "Settled on average"
    tuned = dataclasses.replace(settled, hyperparameters=("Each arm was tuned by itself.",))
    one = settling(tuned)
    assert one.word == "Settled for these settings"
    assert "settled for the settings that one search of each arm chose" in one.sentence
    several = dataclasses.replace(tuned, pair=("hp",))
    assert settling(several).word == "Settled on average"
    assert "searches at hand" in settling(several).sentence
    assert "draw" not in settling(several).sentence


def test_an_effect_without_spread_has_no_plan(clean: Findings):
    flat = dataclasses.replace(
        clean.main.primary[0], verdict=Verdict.UNDEFINED, sd=math.nan, df=math.nan,
        pairs_needed=None,
    )  # fmt: skip
    main = dataclasses.replace(clean.main, primary=(flat, *clean.main.primary[1:]))
    findings = dataclasses.replace(clean, main=main)
    plan = settling(findings)
    assert plan.word == "More pairs"
    assert plan.needs[0].same is None
    table = settle_table(plan, findings)
    assert table is not None
    assert table.rows[0][2:7] == ("–",) * 5


def test_what_is_open_is_said_with_the_command_that_settles_it(clean: Findings):
    plan = settling(clean)
    needed = clean.main.primary[0].pairs_needed
    assert plan.word == f"{needed} fresh pairs"
    assert f"About {needed} fresh pairs ({needed // 2} on each backbone)" in plan.sentence
    assert plan.steps[0].command == (
        "python -m ablate settle axes=none at.insertion=early at.memory=16 settle.pairs=20"
    )
    assert settle_line(plan).command == plan.steps[0].command
    assert any("controls=yes" in step.command for step in plan.steps)
    assert any("hp.draws=20" in step.command for step in plan.steps)


def test_more_pairs_are_asked_for_where_20_are_too_few():
    alone = simulate(
        axes={"memory": ("16",)}, benchmarks=("code", "recall"), retention=(), n_items=100,
        noise=6.0,
    )  # fmt: skip
    bare = settling(dataclasses.replace(alone, axes={}))
    needed = alone.main.primary[0].pairs_needed
    assert needed is not None
    assert needed > 40
    (command,) = (step.command for step in bare.steps if "settle" in step.command)
    assert command.endswith(f"ablate settle axes=none settle.pairs={needed // 2}")


def test_the_pairs_of_the_reference_point_come_from_its_own_spread():
    wide = simulate(noise=5.0, n_items=200, retention=())
    plan = settling(wide)
    table = paired_table(wide)
    (spread,) = pilot(
        table, cells=(), primary=[versus("lora+talan/insertion=early/memory=16", "lora")]
    ).primary
    wanted = pairs_for_t(1.0, spread.sd_upper, groups=2)
    assert wanted != plan.mechanism[0].pairs
    assert plan.steps[0].command.endswith(f"settle.pairs={wanted // 2}")


def test_a_settled_study_with_everything_run_has_only_its_confirmation_left(controlled: Findings):
    sure = dataclasses.replace(controlled.main.primary[0], verdict=Verdict.SUPERIOR)
    main = dataclasses.replace(controlled.main, primary=(sure, *controlled.main.primary[1:]))
    results = controlled.results.assign(hp=controlled.results["seed"] % 2)
    plan = settling(dataclasses.replace(controlled, main=main, results=results))
    assert plan.word == "Settled on average"
    assert [step.command.split()[3] for step in plan.steps] == ["settle"]


def test_a_family_out_of_reach_is_a_warning():
    few = simulate(seeds=2, backbones=("one",), n_items=50, benchmarks=("code",), retention=())
    assert "cannot settle" in settling(few).warning


def test_draws_are_not_taken_over_by_what_is_no_study_of_draws():
    command = "python -m ablate run axes=none hp.draws=20 hp.seeds=2 hp.lr=1e-3..1e-2"
    assert extended(command, "settle", axes="none") == (
        "python -m ablate settle hp.lr=1e-3..1e-2 axes=none"
    )
    assert "hp.draws=20 hp.seeds=2" in extended(command, "run", controls="yes")


def test_a_study_that_settle_was_given_by_path_keeps_its_file_under_another_verb():
    command = "python -m ablate settle my.yaml settle.pairs=40 search.trials=6 home=runs"
    assert extended(command, "run", controls="yes") == (
        "python -m ablate run study=my.yaml home=runs controls=yes"
    )
    assert extended(command, "settle", axes="none") == (
        "python -m ablate settle study=my.yaml settle.pairs=40 home=runs axes=none"
    )


def test_fixed_values_are_not_taken_into_a_study_that_draws_them():
    command = "python -m ablate run axes=none seeds=8 train.lr=3e-3 block.width=8 train.clip=2"
    assert extended(command, "run", **{"hp.draws": 20}) == (
        "python -m ablate run axes=none train.clip=2 hp.draws=20"
    )


def test_a_study_of_one_point_takes_nothing_over_that_tells_how_axes_vary():
    command = "python -m ablate run axes=memory levels.memory=1,4 seeds=8 name=x workers=2"
    assert extended(command, "run", axes="none", **{"at.memory": "1"}) == (
        "python -m ablate run workers=2 axes=none at.memory=1"
    )


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ("python -m ablate run axes=memory", "python -m ablate settle axes=memory hp.draws=20"),
        ("ablate report a=1 hp.draws=3", "ablate settle a=1 hp.draws=20"),
        ("", "python -m ablate settle hp.draws=20"),
        ("python -m ablate run 'name=a b'", "python -m ablate settle 'name=a b' hp.draws=20"),
    ],
)
def test_commands_are_extended(command: str, wanted: str):
    assert extended(command, "settle", **{"hp.draws": "20"}) == wanted


def test_the_json_has_the_plan_unrounded(clean: Findings):
    plan = settling(clean)
    data = settling_dict(plan)
    assert [row["detectable"] for row in data["contrasts"]] == [need.found for need in plan.needs]
    assert data["next"][0]["command"] == plan.steps[0].command
