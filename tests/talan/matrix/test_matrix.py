"""The matrix: every behaviour on every adapter, backbone and level that its row names."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import transformers

from talan.axes import AXES
from tests.talan.cases import ADAPTERS, BACKBONES, CASES
from tests.talan.matrix import (  # noqa: F401  (importing them fills the registry)
    beside_peft,
    caches,
    compiling,
    decoding,
    saving,
    sequences,
    structure,
    training,
)
from tests.talan.matrix.capabilities import CAPABILITIES, LEVELS, No, cells
from tests.talan.matrix.documentation import markdown
from tests.talan.matrix.registry import BEHAVIOURS
from tests.talan.matrix.subjects import Spec

CELLS = cells()


def ident(cell: tuple[str, Spec, No | None]) -> str:
    name, spec, no = cell
    varied = next(
        (value for value in (spec.backbone, spec.adapter, spec.case) if value not in DEFAULTS),
        spec.adapter,
    )
    return f"{name}-{varied}{'-refused' if no else ''}"


DEFAULTS = dataclasses.astuple(Spec())


@pytest.fixture(autouse=True, scope="module")
def _quiet():
    """The provoked refusals come with many warnings."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    yield
    transformers.logging.set_verbosity_warning()
    transformers.logging.enable_progress_bar()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cell", CELLS, ids=map(ident, CELLS))
def test_behaviour(cell):
    name, spec, no = cell
    if no is None:
        BEHAVIOURS[name](spec)
        return
    variants = [spec, dataclasses.replace(spec, block=False)] if no.alone else [spec]
    for each in variants:
        with pytest.raises(no.error) as caught:
            BEHAVIOURS[name](each)
        assert no.sentence in " ".join(str(caught.value).split())


def test_the_table_is_complete():
    """Each behaviour has one row and each row a behaviour; PEFT's list of 22 is answered."""
    assert set(CAPABILITIES) == set(BEHAVIOURS)
    assert {item for row in CAPABILITIES.values() for item in row.items} >= set(range(1, 23))
    known = {*ADAPTERS, *BACKBONES, *CASES}
    assert all(set(levels) <= set(CASES) for levels in LEVELS.values())
    for name, row in CAPABILITIES.items():
        assert set(row.no) <= known, name
        assert "a" in row.on, f"{name} is not tried on every adapter"
        assert set(row.on) <= {"a", "b", "e", *LEVELS}


def test_every_level_is_tried():
    tried = {spec.case for _, spec, _ in CELLS}
    assert tried == set(CASES)
    for name, axis in AXES.items():
        assert all(f"{name}={axis.text(level)}" in tried for level in axis.levels[1:])


def test_the_documentation_shows_every_row_and_reason():
    text = markdown()
    for name, row in CAPABILITIES.items():
        assert f"| {name} |" in text
        assert all(no.why in text for no in row.no.values())


def test_the_page_on_compatibility_holds_the_table():
    page = Path(__file__).parents[3] / "docs" / "compatibility.md"
    assert page.read_text(encoding="utf-8").endswith(markdown())
