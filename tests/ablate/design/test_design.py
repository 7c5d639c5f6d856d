import math

import pytest

from ablate.design import DESIGNS, block_at, label, make_design, points, reference_point
from ablate.errors import AblateError
from tests.ablate.design.cases import DEEP, SHALLOW, study


def contrasts(design):
    return {contrast.name: contrast for contrast in design.primary}


def test_a_factorial_crosses_levels_and_has_one_baseline_per_adapter():
    found = study("axes=insertion,memory", "adapters=lora,dora")
    design = make_design(found, [SHALLOW])
    assert len(points(found)) == 9
    assert [arm.name for arm in design.arms if arm.is_baseline] == ["lora", "dora"]
    assert len(design.arms) == 20
    assert len({arm.name for arm in design.arms}) == 20
    assert len(design.secondary) == 18


def test_one_at_a_time_moves_one_axis():
    found = study("axes=all")
    centre, *others = points(found)
    for point in others:
        assert sum(point[axis] != centre[axis] for axis in found.axes) == 1
    design = make_design(found, [SHALLOW, DEEP])
    assert label(found, centre) == "default point"
    assert contrasts(design)["memory: 4 vs 16"].group == "memory"


@pytest.mark.parametrize(
    "arguments",
    [
        ["axes=insertion,memory"],
        ["axes=all"],
        ["axes=all", "design=leave-one-out"],
        ["axes=all", "design=leave-one-at-default"],
        ["axes=all", "design=fraction"],
        ["axes=insertion,gradient_scale", "levels.insertion=early,embedding"],
    ],
)
@pytest.mark.parametrize("backbones", [[SHALLOW], [SHALLOW, DEEP]])
def test_every_contrast_weighs_two_sides_of_one(arguments, backbones):
    design = make_design(study(*arguments), backbones)
    names = {arm.name for arm in design.arms}
    for contrast in (*design.primary, *design.secondary):
        assert set(contrast.weights) <= names
        positive = sum(w for w in contrast.weights.values() if w > 0)
        negative = sum(w for w in contrast.weights.values() if w < 0)
        assert math.isclose(positive, 1)
        assert math.isclose(negative, -1)


def test_mechanism_present_is_the_mean_over_design_points_minus_the_baseline():
    design = make_design(study("axes=insertion,memory"), [SHALLOW])
    weights = contrasts(design)["mechanism present"].weights
    assert weights["lora"] == -1
    assert all(math.isclose(w, 1 / 9) for name, w in weights.items() if name != "lora")


def test_a_level_contrast_averages_over_the_other_axis():
    design = make_design(study("axes=insertion,memory"), [SHALLOW])
    weights = contrasts(design)["memory: 1 vs 16"].weights
    assert len(weights) == 6
    assert all(("memory=1" in name.split("/")) == (weight > 0) for name, weight in weights.items())


def test_levels_on_one_layer_are_merged_and_said_so():
    found = study("axes=insertion", "levels.insertion=early,1,middle")
    design = make_design(found, [SHALLOW])
    assert len(design.arms) == 3
    assert "1 is the same mechanism as early on every backbone: one arm" in design.notes


def test_levels_on_one_layer_of_one_backbone_stay_two_arms_and_are_said():
    design = make_design(study("axes=insertion", "levels.insertion=early,2"), [SHALLOW, DEEP])
    assert len(design.arms) == 3
    assert design.notes == ()
    design = make_design(study("axes=insertion", "levels.insertion=middle,2"), [SHALLOW, DEEP])
    assert "same mechanism on shallow: one run there" in design.notes[0]


def test_an_inert_gradient_scale_is_merged_and_its_weight_cancels():
    found = study("axes=insertion,gradient_scale", "levels.insertion=early,embedding")
    design = make_design(found, [SHALLOW])
    assert len(design.arms) == 1 + 6 - 2
    weights = contrasts(design)["gradient_scale: 0 vs 1"].weights
    assert all("insertion=early" in arm for arm in weights)
    mechanism = contrasts(design)["mechanism present"].weights
    embedding = [w for arm, w in mechanism.items() if "insertion=embedding" in arm]
    assert math.isclose(sum(embedding), 0.5)


def test_blocks_are_canonical():
    found = study("axes=insertion")
    for point in points(found):
        assert isinstance(block_at(found, point, SHALLOW).site, int)


def test_a_layer_beyond_the_last_is_refused_with_the_backbone():
    with pytest.raises(AblateError, match=r"layer 7 does not exist .*shallow.*choose 0 to 3"):
        make_design(study("axes=insertion", "levels.insertion=early,7"), [DEEP, SHALLOW])


def test_leaving_out_takes_a_component_away_at_the_full_mechanism():
    found = study("axes=all", "design=leave-one-out")
    full, *others = points(found)
    moved = [next(axis for axis in found.axes if p[axis] != full[axis]) for p in others]
    assert moved == list(found.axes)
    assert [label(found, point) for point in points(found)] == [
        "full", "insertion=embedding", "w/o slots", "w/o mixer", "w/o writeback rule",
        "w/o trained memory", "w/o stream gradient",
    ]  # fmt: skip
    design = make_design(found, [SHALLOW])
    assert [c.name for c in design.primary][3] == "mixer: none vs mlp"
    assert any("at the full mechanism only" in note for note in design.notes)
    assert design.factorial is None


def test_leaving_out_moves_to_another_level_where_no_component_can_be_taken_away():
    found = study("axes=memory,mixer", "design=leave-one-out", "levels.mixer=mlp,attention")
    assert [label(found, point) for point in points(found)] == [
        "full", "w/o slots", "mixer=attention",
    ]  # fmt: skip
    found = study("axes=memory", "design=leave-one-out", "levels.memory=1,4")
    assert [label(found, point) for point in points(found)] == ["full", "memory=4"]


def test_an_axis_is_put_back_to_its_default_at_the_operating_point():
    found = study("axes=memory,mixer,scope", "design=leave-one-at-default")
    design = make_design(found, [SHALLOW])
    names = {arm.name: arm.label for arm in design.arms}
    assert list(names.values())[1:] == [
        "default point", "operating point", "memory at 16", "mixer at mlp", "scope at joint",
    ]  # fmt: skip
    contrast = contrasts(design)["mixer: none vs mlp"]
    weights = {names[arm]: weight for arm, weight in contrast.weights.items()}
    assert weights == {"operating point": 1.0, "mixer at mlp": -1.0}
    single = points(study("axes=mixer", "design=leave-one-at-default"))
    assert [point["mixer"] for point in single] == ["mlp", "none"]


def test_many_merged_points_are_counted_not_listed():
    design = make_design(study("axes=insertion,gradient_scale,mixer"), [SHALLOW])
    merged = [note for note in design.notes if "same mechanism" in note or "points so" in note]
    assert len(merged) == 2
    assert merged[1] == "6 of 27 points so, one arm for each mechanism"


def test_what_trains_below_the_site_depends_on_the_adapter():
    arguments = ["axes=insertion,gradient_scale", "levels.insertion=early,embedding",
                 "levels.gradient_scale=1,0"]  # fmt: skip
    assert len(make_design(study(*arguments), [SHALLOW]).arms) == 1 + 3
    assert len(make_design(study(*arguments, "adapters=full"), [SHALLOW]).arms) == 1 + 4
    both = make_design(study(*arguments, "adapters=lora,full"), [SHALLOW])
    assert len(both.arms) == 2 * (1 + 4)
    assert (
        "embedding · 1 and embedding · 0 are the same mechanism beside lora: one run there"
        in both.notes
    )


def test_a_setting_that_a_design_does_not_read_is_refused():
    with pytest.raises(AblateError, match=r"fraction.points: .*no points.*design=d-optimal"):
        points(study("axes=all", "design=l18", "fraction.points=20"))


@pytest.mark.parametrize("name", DESIGNS)
def test_the_reference_point_comes_first_in_every_design(name):
    axes = "axes=insertion,memory,mixer,writeback,gradient_scale"
    found = study(axes, f"design={name}")
    assert points(found, [SHALLOW])[0] == reference_point(found)
