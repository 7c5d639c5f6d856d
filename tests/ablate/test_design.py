import math

import pytest

from ablate.design import block_at, label, make_design, points
from ablate.errors import AblateError
from ablate.parse import read_overrides
from ablate.spec import Backbone
from ablate.study import load_study

SHALLOW = Backbone("shallow", "", "d1", 4)
DEEP = Backbone("deep", "", "d2", 8)


def study(*arguments):
    return load_study(read_overrides(arguments))


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


@pytest.mark.parametrize("arguments", [["axes=insertion,memory"], ["axes=all"]])
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
