"""Axes, configurations, and which of them are the same mechanism. No torch needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

import talan
from talan.axes import AXES, declare_level, resolve_insertion
from talan.config import TalanConfig, canonical, recipes
from talan.errors import TalanError, nearest


def test_importing_axes_and_configurations_leaves_torch_alone():
    code = (
        "import sys, talan, talan.axes, talan.config;"
        "talan.TalanConfig(memory=4); talan.recipes(talan.TalanConfig());"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_six_axes_and_their_defaults():
    assert {name: axis.default for name, axis in AXES.items()} == {
        "insertion": "early",
        "memory": 16,
        "mixer": "mlp",
        "writeback": "gate",
        "scope": "joint",
        "gradient_scale": 1.0,
    }
    assert all(axis.help and "\n" not in axis.help for axis in AXES.values())
    assert TalanConfig().levels() == {name: axis.default for name, axis in AXES.items()}


@pytest.mark.parametrize(
    ("axis", "text", "level"),
    [
        ("insertion", "embedding", "embedding"),
        ("insertion", "7", 7),
        ("insertion", "0.1875", 0.1875),
        ("insertion", "0.1111111111111111", 1 / 9),
        ("memory", "010", 10),
        ("memory", " 4 ", 4),
        ("mixer", "none", "none"),
        ("gradient_scale", "0.1", 0.1),
        ("gradient_scale", "10", 10.0),
        ("gradient_scale", "-0", 0.0),
    ],
)
def test_parse(axis, text, level):
    parsed = AXES[axis].parse(text)
    assert parsed == level
    assert type(parsed) is type(level)
    assert AXES[axis].parse(AXES[axis].text(parsed)) == parsed


def test_every_level_survives_text():
    for axis in AXES.values():
        assert [axis.parse(axis.text(level)) for level in axis.levels] == list(axis.levels)


@pytest.mark.parametrize(
    ("axis", "text"),
    [
        ("insertion", "earl"),
        ("insertion", "-1"),
        ("insertion", "1.5"),
        ("insertion", "0.0"),
        ("memory", "0"),
        ("memory", "off"),
        ("memory", "2.5"),
        ("mixer", "3"),
        ("gradient_scale", "nan"),
        ("gradient_scale", "-1"),
        ("gradient_scale", "inf"),
    ],
)
def test_parse_refuses_with_the_known_levels(axis, text):
    with pytest.raises(TalanError) as caught:
        AXES[axis].parse(text)
    assert caught.value.place == axis
    assert "known: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_level_names_its_nearest_neighbour():
    with pytest.raises(TalanError, match=r"^mixer: 'attenion' is not a level .*'attention'\?"):
        TalanConfig(mixer="attenion")
    assert nearest("memry", AXES).startswith("did you mean 'memory'? known: insertion, memory")
    assert nearest("zzz", ["a", "b"]) == "known: a, b"


@pytest.mark.parametrize(
    "wrong",
    [
        {"memory": True},
        {"memory": 16.0},
        {"insertion": -1},
        {"gradient_scale": "1"},
        {"gradient_scale": -0.5},
        {"width": 0},
        {"width": "16"},
        {"conditioning": "promt"},
        {"control": "shufled"},
    ],
)
def test_configurations_are_checked(wrong):
    with pytest.raises(TalanError) as caught:
        TalanConfig(**wrong)
    assert caught.value.place == next(iter(wrong))
    assert caught.value.value == next(iter(wrong.values()))


def test_configurations_round_trip_as_plain_values():
    config = TalanConfig(insertion=2, memory=4, gradient_scale=0, control="static")
    assert TalanConfig.from_dict(config.to_dict()) == config
    assert type(config.gradient_scale) is float
    with pytest.raises(TalanError, match="did you mean 'memory'"):
        TalanConfig.from_dict({"memroy": 4})


@pytest.mark.parametrize(
    ("n_layers", "sites"),
    [
        (1, [0, 0, 0, 0]),
        (2, [0, 1, 1, 1]),
        (4, [0, 1, 2, 3]),
        (12, [0, 2, 6, 9]),
        (36, [0, 5, 18, 27]),
        (64, [0, 10, 32, 48]),
    ],
)
def test_insertion_levels_fall_on_layers(n_layers, sites):
    names = ["embedding", "early", "middle", "late"]
    assert [resolve_insertion(name, n_layers) for name in names] == sites


def test_a_fraction_of_depth_lies_inside_the_model():
    assert [resolve_insertion(12 / 64, n) for n in (2, 4, 12, 64)] == [1, 1, 2, 12]
    assert resolve_insertion(4 / 36, 36) == 4
    assert resolve_insertion(0.99, 4) == 3


def test_a_layer_the_model_does_not_have():
    assert resolve_insertion(3, 4) == 3
    with pytest.raises(TalanError, match=r"layer 4 does not exist in a model of 4 layers.*0 to 3"):
        resolve_insertion(4, 4)


def test_levels_on_one_layer_are_one_configuration():
    early, one = TalanConfig(insertion="early"), TalanConfig(insertion=1)
    assert canonical(early, 4) == canonical(one, 4)
    assert canonical(early, 12) != canonical(one, 12)
    assert canonical(TalanConfig(insertion="middle"), 2) == canonical(early, 2)


@pytest.mark.parametrize(
    ("fields", "below", "inert"),
    [
        ({"insertion": "embedding"}, None, True),
        ({"insertion": "embedding"}, True, False),
        ({"insertion": "early"}, None, False),
        ({"insertion": "early"}, False, True),
        ({"insertion": "early", "scope": "side"}, None, True),
        ({"control": "static", "memory": 1}, None, True),
        ({"control": "static", "memory": 1, "writeback": "bounded"}, None, False),
        ({"control": "static", "memory": 4}, None, False),
    ],
)
def test_gradient_scale_is_merged_exactly_where_it_is_inert(fields, below, inert):
    scales = {
        canonical(TalanConfig(gradient_scale=scale, **fields), 4, below)
        for scale in (0, 0.1, 1, 10)
    }
    assert len(scales) == (1 if inert else 4)


def test_recipes_name_what_a_configuration_uses():
    assert recipes(TalanConfig()) == {"block": 2, "mixer": 1, "writeback": 1}
    assert recipes(TalanConfig(control="random"))["control"] == 1


def test_a_declared_level_is_accepted_but_not_varied_by_default(monkeypatch):
    monkeypatch.setitem(AXES, "mixer", AXES["mixer"])
    shipped = AXES["mixer"].levels
    declare_level("mixer", "fourier", recipe=2)
    declare_level("mixer", "fourier", recipe=3)
    assert AXES["mixer"].levels == shipped
    assert AXES["mixer"].extra == ("fourier",)
    assert recipes(TalanConfig(mixer="fourier"))["mixer"] == 3


def test_the_package_offers_what_it_lists():
    assert all(hasattr(talan, name) for name in talan.__all__)
    with pytest.raises(AttributeError):
        talan.nothing_of_this_name  # noqa: B018
