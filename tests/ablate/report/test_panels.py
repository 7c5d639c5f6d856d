"""Panels reach terminal, page, LaTeX and JSON alike."""

import dataclasses
import json

import pytest

from ablate.report import Findings, write_report
from ablate.report.files import json_bytes
from ablate.report.latex import tables_tex
from ablate.report.page import render
from ablate.report.panel import SECTIONS, Panel
from ablate.report.picture import make_picture
from ablate.report.write import report_dict
from stats.report.section import Table
from tests.ablate.report.reading import Outline, printed
from tests.ablate.simulated import simulate


def make(section: str, **more) -> Panel:
    table = Table.of(
        f"Table of {section}",
        ("source", "estimate", "p"),
        [(f"row of {section} [x]", 1.234567, 0.0004), ("other", float("nan"), 0.5)],
        f"Note below {section}.",
    )
    return Panel(
        section,
        f"Panel of {section}",
        sentences=(f"What {section} says.",),
        tables=(table,),
        notes=(f"What {section} does not say.",),
        data={"section": section, "value": float("nan")},
        **more,
    )


@pytest.fixture(scope="module")
def panelled(clean: Findings) -> Findings:
    return dataclasses.replace(clean, panels=tuple(make(key) for key in reversed(SECTIONS)))


def test_a_panel_stands_in_its_section_after_what_is_there(panelled: Findings):
    html = render(panelled, ())
    assert Outline(html).open == []
    for key in SECTIONS:
        section = html.split(f'<section id="{key}"')[1].split("</section>")[0]
        before, panel = section.split('<div class="panel">')
        assert "</h2>" in before
        assert "Panel of" not in before
        order = [
            f"Panel of {key}", f"What {key} says.", f"Table of {key}</h4>", f"row of {key} [x]",
            "&lt;.001", f"Note below {key}.", f"What {key} does not say.",
        ]  # fmt: skip
        at = [panel.index(text) for text in order]
        assert at == sorted(at)


def test_a_panel_is_printed_in_its_section(panelled: Findings):
    text = printed(panelled)
    titles = [*SECTIONS.values(), "Notes"]
    for key, title, following in zip(SECTIONS, titles[:-1], titles[1:], strict=True):
        begin = text.index(f"\n{title} ─")
        inside = text[begin : text.index(f"\n{following} ─", begin)]
        assert f"row of {key} [x]" in inside
        assert f"What {key} does not say." in inside
        assert "1.23 <.001" in " ".join(inside.split())
    assert max(map(len, text.splitlines())) <= 100


def test_a_long_table_is_cut_on_the_terminal_and_folded_on_the_page(clean: Findings):
    table = Table.of("Long", ("a", "b"), [(f"row {i}", i) for i in range(60)])
    findings = dataclasses.replace(clean, panels=(Panel("axes", "P", tables=(table,)),))
    text, html = printed(findings), render(findings, ())
    assert "And 36 more rows" in text
    assert "row 23" in text
    assert "row 24" not in text
    assert "<summary>Long (60 rows)</summary>" in html
    assert "row 59" in html
    assert "row 59" in tables_tex(findings)


def test_wide_words_wrap_and_are_not_cut(clean: Findings):
    table = Table.of("Wide", ("what", "x"), [("a " * 90 + "end", 1)])
    text = printed(dataclasses.replace(clean, panels=(Panel("cost", "P", tables=(table,)),)))
    assert "end" in text
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 100


def test_json_keeps_data_in_the_section(panelled: Findings):
    data = json.loads(json_bytes(report_dict(panelled)))
    assert data["version"] == 3
    assert list(data["sections"]) == list(SECTIONS)
    for key, part in data["sections"].items():
        (panel,) = part["panels"]
        assert panel["data"] == {"section": key, "value": None}
        assert panel["sentences"] == [f"What {key} says."]
    assert [answer["section"] for answer in data["answers"]] == [
        key for key in SECTIONS if key != "inside"
    ]


def test_pictures_are_embedded_and_written(tmp_path):
    from matplotlib.figure import Figure

    tiny = simulate(axes={"memory": ("16",)}, benchmarks=("code",), retention=(), n_items=20)
    figure = Figure(figsize=(1, 1))
    panel = dataclasses.replace(
        make("axes"), pictures=(make_picture("interplay", figure, "two lines", "They cross."),)
    )
    files = write_report(dataclasses.replace(tiny, panels=(panel,)), tmp_path)
    assert (tmp_path / "interplay.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in files.all()} == {path.name for path in tmp_path.iterdir()}
    html = files.html.read_text(encoding="utf-8")
    section = html.split('<section id="axes"')[1].split("</section>")[0]
    assert 'id="figure-interplay"' in section
    assert 'alt="two lines"' in section
