import re

import pytest

from ablate.report import Findings
from ablate.report.rows import (
    cell_tables,
    primary_rows,
)
from tests.ablate.report.reading import printed


@pytest.mark.parametrize("which", ["clean", "troubled"])
def test_the_terminal_report_fits(which: str, request: pytest.FixtureRequest):
    text = printed(request.getfixturevalue(which))
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "…" not in text
    for word in re.findall(r"(?:superior|inferior)-and-[a-z]*", text):
        assert word.endswith("meaningful"), "no verdict is cut"


def test_the_terminal_puts_the_primary_family_first(clean: Findings):
    text = printed(clean)
    found = re.search(r"^mechanism present +[-+\d]", text, re.MULTILINE)
    assert found is not None
    assert found.start() < text.index("llama-tiny × arithmetic\n")
    for row in primary_rows(clean.main, clean):
        assert re.search(rf"{re.escape(row.label)} +{re.escape(row.delta)}", text)


def test_the_terminal_has_a_line_per_arm_and_cell(clean: Findings):
    lines = [line.split() for line in printed(clean).splitlines()]
    rows = [row for table in cell_tables(clean.main, clean) for row in table.rows]
    for row in rows:
        wanted = f"{row.label} {row.baseline} {row.arm} {row.delta} {row.interval}".split()
        assert any(line[: len(wanted)] == wanted for line in lines)


def test_colour_adds_nothing_that_words_do_not_say(clean: Findings):
    coloured = printed(clean, colour=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == printed(clean)


def test_holm_is_named_where_it_was_used(troubled: Findings):
    text = printed(troubled)
    used = {effect.p_adjusted_method for effect in troubled.main.cells}
    assert used == {"max-T", "Holm"}, "five pairs cannot reach .05 by flips"
    assert "H: Holm" in text
    holm = next(e for e in troubled.main.cells if e.p_adjusted_method == "Holm")
    label = troubled.label(holm.name)
    assert any(
        line.startswith(label) and re.search(r" (1|>?\.\d+) H ", line) for line in text.splitlines()
    )
