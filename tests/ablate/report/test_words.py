import dataclasses
import math

import numpy as np
import pytest

from ablate.report import Findings
from ablate.report.answer import meanings, primary_sentences, readable, retention_sentences
from ablate.report.picture import Picture
from ablate.report.rows import (
    by_cell,
    cell_tables,
    interval,
    make_row,
    p_value,
    plain,
    signed,
)
from stats.figures.comparison import MARKS
from stats.verdict import Verdict
from tests.ablate.report.reading import Outline


def test_numbers_are_said_plainly():
    assert [signed(x) for x in (1.425, -0.314, 0.001, -0.001, math.nan, math.inf)] == [
        "+1.43" if f"{1.425:.2f}" == "1.43" else "+1.42", "-0.31", "0.00", "0.00", "–", "–",
    ]  # fmt: skip
    assert [plain(x) for x in (63.24, -0.04, math.nan)] == ["63.2", "0.0", "–"]
    assert interval(-0.5, 1.25) == "[-0.50, +1.25]"
    assert interval(math.nan, 1.0) == "–"


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0, "<.001"),
        (0.00099, "<.001"),
        (0.001, ".001"),
        (0.03125, ".031"),
        (0.0496, ".050"),
        (0.0504, ".0504"),
        (0.9999, ">.999"),
        (1.0, "1"),
        (math.nan, "–"),
    ],
)
def test_p_values(p: float, text: str):
    assert p_value(p, 0.05) == text


def test_p_values_never_hide_the_side_of_alpha():
    for p in np.linspace(0.0451, 0.0549, 197):
        assert (float("0" + p_value(p, 0.05)) <= 0.05) == (p <= 0.05)


def test_every_verdict_has_a_meaning_and_a_mark(clean: Findings, page: str):
    assert [verdict for verdict, _ in meanings(clean)] == list(Verdict)
    assert all(text for _, text in meanings(clean))
    text = " ".join(Outline(page).text)
    for verdict, meaning in meanings(clean):
        assert meaning in text
        assert str(verdict) in text
        row = make_row(dataclasses.replace(clean.main.cells[0], verdict=verdict), "arm", 0.05)
        assert row.mark == MARKS[verdict]
        assert row.verdict.startswith(str(verdict))


def test_flags_stand_beside_the_verdict(clean: Findings):
    effect = dataclasses.replace(
        clean.main.cells[0], verdict=Verdict.EQUIVALENT, also="superior", no_room=False
    )
    assert make_row(effect, "arm", 0.05).verdict == "equivalent, also superior"
    effect = dataclasses.replace(effect, verdict=Verdict.INCONCLUSIVE, also="", no_room=True)
    assert make_row(effect, "arm", 0.05).verdict == "inconclusive (no room)"


def test_sides_of_a_level_contrast_are_called_by_their_level(clean: Findings):
    names = {e.name: readable(e, clean) for e in clean.main.primary}
    contrast = names["insertion: middle vs early"]
    assert (contrast.name, contrast.baseline) == ("insertion=middle", "insertion=early")
    assert names["mechanism present"].name == "mechanism present"
    assert names["mechanism present"].baseline == "lora"


def test_tables_follow_the_design(clean: Findings):
    tables = cell_tables(clean.main, clean)
    assert [t.title for t in tables] == [
        f"{backbone} × {bench}" for backbone in clean.backbones for bench in clean.benchmarks
    ]
    for table in tables:
        assert [row.label for row in table.rows] == [arm.label for arm in clean.arms[1:]]
    assert sum(len(effects) for effects in by_cell(clean.main, clean).values()) == 72


def test_many_contrasts_are_counted_not_spelled(clean: Findings):
    silent = [
        dataclasses.replace(clean.main.primary[1], name=f"level {i}", verdict=Verdict.INCONCLUSIVE)
        for i in range(12)
    ]
    main = dataclasses.replace(clean.main, primary=(clean.main.primary[0], *silent))
    sentences = primary_sentences(dataclasses.replace(clean, main=main))
    assert len(sentences) == 2
    assert sentences[-1] == (None, "Of the other 12 level contrasts: 12 inconclusive.")


def test_retention_counts_what_it_does_not_spell(clean: Findings):
    retention = clean.retention_comparison
    assert retention is not None
    worse = dataclasses.replace(retention.primary[2], verdict=Verdict.INFERIOR)
    same = [
        dataclasses.replace(effect, verdict=Verdict.EQUIVALENT)
        for i, effect in enumerate(retention.primary)
        if i not in (0, 2)
    ]
    changed = dataclasses.replace(retention, primary=(retention.primary[0], worse, *same))
    lines = retention_sentences(dataclasses.replace(clean, retention_comparison=changed))
    assert lines[0].startswith("Retention. Mechanism present against lora")
    assert lines[1].startswith("Retention. insertion=middle against insertion=early")
    assert "worse" in lines[1]
    assert lines[2] == "Retention. Of the other 3 level contrasts: 3 equivalent."
    assert lines[3].startswith("Retention. Of 18 comparisons: ")
    assert retention_sentences(dataclasses.replace(clean, retention_comparison=None)) == []


def test_only_pictures_that_a_page_would_shrink_too_far_scroll():
    assert [Picture("x", "", "", b"", width).is_wide for width in (900, 1400, 2100)] == [
        False, False, True,
    ]  # fmt: skip
