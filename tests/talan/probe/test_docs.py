"""The page of definitions holds every measure and variant as the registries define them."""

from __future__ import annotations

from pathlib import Path

import pytest

from talan.axes import AXES
from talan.config import CONDITIONINGS, CONTROLS
from talan.probe import MEASURES, VARIANTS

PAGE = (Path(__file__).parents[3] / "docs" / "talan.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_has_its_formula_and_source(name):
    measure = MEASURES[name]
    formula = measure.formula.replace("|", "\\|")
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    assert any(formula in row and row.rstrip("| ").endswith(measure.source) for row in rows)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_has_its_definition(name):
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    assert any(VARIANTS[name] in row for row in rows)


@pytest.mark.parametrize("axis", AXES.values(), ids=list(AXES))
def test_every_level_is_in_the_section_of_its_axis(axis):
    section = PAGE.split(f"### {axis.name}\n")[1].split("\n### ")[0].split("\n## ")[0]
    for level in axis.levels:
        assert f"`{axis.text(level)}`" in section


@pytest.mark.parametrize("name", [*CONDITIONINGS, *CONTROLS])
def test_settings_are_defined(name):
    assert f"`{name}`" in PAGE
