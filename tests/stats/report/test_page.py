"""The page: complete, self-contained, escaped; sections that cannot be computed say so."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from stats.errors import StatsError
from stats.report.build import Report, report
from stats.report.registry import PAIRED, REPEATED
from stats.report.roles import Given
from stats.report.section import Answer, Section, Table, interval
from stats.report.study import Options
from stats.wording import number
from tests.stats.tables import frame

EVIL = '<script>alert("x")</script>'
FAST = Options(n_resamples=500, sesoi=1.0)


def outcomes() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs of two arms on two benchmarks, and the items behind their scores."""
    g = np.random.default_rng(0)
    rows = [
        (arm, seed, bench, item, int(g.random() < 0.4 + 0.2 * (arm != "lora")))
        for arm in ("lora", EVIL)
        for seed in range(6)
        for bench in ("x", "y")
        for item in range(30)
    ]
    items = pd.DataFrame(rows, columns=["arm", "seed", "benchmark", "item", "correct"])
    runs = items.groupby(["arm", "seed", "benchmark"], as_index=False)["correct"].mean()
    return runs.rename(columns={"correct": "score"}), items


def campaigns() -> pd.DataFrame:
    g = np.random.default_rng(1)
    rows = [
        (f"{name}--shared-part-{i}", f"c{j}", 50 + i + (j == 2) * 3 + g.normal(0, 0.5))
        for i, name in enumerate(["lora", "vera", "oft", EVIL, "dora", "ia3"])
        for j in range(3)
    ]
    return pd.DataFrame([*rows, ("new", "late", 60.0)], columns=["config", "campaign", "score"])


@pytest.fixture(scope="module")
def of_pairs() -> Report:
    runs, items = outcomes()
    return report(
        runs, Given(percent=True, sesoi=1.0), FAST, items=items, source="runs.csv", command="cmd"
    )


@pytest.fixture(scope="module")
def of_campaigns() -> Report:
    return report(campaigns(), options=Options(), source=f"{EVIL}.csv")


class Page(HTMLParser):
    """Tags with their attributes, ids, links, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> Iterator[dict[str, str]]:
        return (attrs for name, attrs in self.tags if name == tag)


@pytest.fixture(params=["of_pairs", "of_campaigns"])
def page(request: pytest.FixtureRequest) -> Page:
    return Page(request.getfixturevalue(request.param).html())


def test_the_page_needs_nothing_but_itself(page: Page):
    assert not page.open  # every tag is closed, in order
    assert not list(page.of("script"))
    assert not list(page.of("link"))
    for attrs in (attrs for _, attrs in page.tags):
        for name in ("src", "href", "action"):
            assert attrs.get(name, "#").startswith(("#", "data:image/png;base64,"))
    assert list(page.of("img"))
    assert all(attrs["alt"] for attrs in page.of("img"))


def test_links_lead_to_sections_and_ids_are_unique(page: Page):
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [attrs["href"][1:] for attrs in page.of("a")]
    assert set(links) <= set(ids)
    assert "answers" in links
    assert "computed" in links


def test_what_the_user_wrote_is_text(page: Page):
    assert EVIL in page.text  # as text, not as a tag: there is no script (see above)


def test_no_network_in_the_style(of_campaigns: Report):
    assert not re.search(r"@import|url\(", of_campaigns.html())


def test_all_sections_of_paired_runs(of_pairs: Report):
    assert [s.title for s in of_pairs.sections] == [part.title for part in PAIRED]
    for section in of_pairs.sections:
        assert section.answers, section.title
        assert section.tables, section.title
        assert section.results, section.title
    drawn = {p.name for s in of_pairs.sections for p in s.figures}
    assert {"forest-averaged", "pairs", "variation", "profile-1", "items-1", "residuals"} <= drawn


def test_the_answers_are_those_of_the_comparison(of_pairs: Report):
    html = Page(of_pairs.html()).text
    first = of_pairs.sections[0]
    effect = first.results["primary"][0]
    assert first.answers[0].text == effect["sentence"]
    assert effect["sentence"] in html
    assert "Model, in lme4's syntax: score ~ arm" in html
    assert "All of" not in html  # --percent was said, so that nothing was guessed of it
    assert "cmd" in html


def test_all_sections_of_repeated_runs(of_campaigns: Report):
    assert len(of_campaigns.sections) == len(REPEATED)
    titles = [s.title for s in of_campaigns.sections]
    assert titles[2:4] == ["Shifts between campaigns", "Which configs repeat badly"]
    text = Page(of_campaigns.html()).text
    floor = of_campaigns.sections[0].results["floor"]
    assert f"must differ by at least {number(floor)} score units" in text
    assert "Campaign late shares no config with the rest" in text
    assert "c2 by +" in text
    assert "score ~ campaign + (1 | config)" in text


def test_pictures_are_png_of_the_size_they_say(of_campaigns: Report):
    for picture in (p for s in of_campaigns.sections for p in s.figures):
        assert picture.png[:8] == b"\x89PNG\r\n\x1a\n"
        width = struct.unpack(">I", picture.png[16:20])[0]
        assert abs(width - picture.width) <= 1


def test_without_figures_the_page_is_whole():
    done = report(campaigns(), options=Options(figures=False))
    page = Page(done.html())
    assert not list(page.of("img"))
    assert len(list(page.of("table"))) >= 5


def test_the_summary_is_plain_and_narrow(of_pairs: Report, of_campaigns: Report):
    for done in (of_pairs, of_campaigns):
        text = done.summary()
        assert max(map(len, text.splitlines())) <= 100
        for section, answer in done.answers():
            assert section.title in text
            assert answer.text.split()[0] in text


def test_a_section_that_cannot_be_computed_says_why():
    # Each draw has one seed: the decomposition refuses, the comparison does not.
    runs = frame({"lora": 0.0, "talan": 1.0}, backbones=["a"], benchmarks=["x"], seeds=8)
    runs["hp"] = runs["seed"]
    done = report(runs.assign(seed=0), options=Options(figures=False, n_resamples=500))
    by_title = {s.title: s for s in done.sections}
    failed = by_title["Where variation comes from"]
    assert failed.notes[0].startswith("Not computed: column 'hp': no hp draw has two")
    assert not failed.answers
    assert by_title["Is it real?"].answers
    assert "Not computed: column 'hp'" in done.summary()
    assert "Not computed: column" in Page(done.html()).text


def test_the_first_section_must_be_possible():
    runs = frame({"lora": 0.0, "talan": 1.0}, seeds=1)
    with pytest.raises(StatsError, match="no contrast has two complete pairs"):
        report(runs)


def test_options_of_the_other_kind_are_refused():
    with pytest.raises(StatsError, match="--items: outcomes of items belong to paired runs"):
        report(campaigns(), items=campaigns())
    with pytest.raises(StatsError, match="--sesoi: a smallest effect of interest belongs to"):
        report(campaigns(), options=Options(sesoi=1.0))


def test_several_baselines_are_tested_together():
    runs = frame({"lora": 0.0, "dora": 0.2, "talan": 3.0}, backbones=["a", "b"], seeds=7)
    done = report(runs, Given(baselines=("lora", "dora")), Options(figures=False, n_resamples=500))
    cells = next(s for s in done.sections if s.title == "In how many cells?")
    assert "better than all of lora, dora in at least" in cells.answers[0].text
    assert any(t.title == "Against all baselines at once" for t in cells.tables)
    assert [e["name"] for e in done.sections[0].results["primary"]] == [
        "talan vs lora", "talan vs dora",
    ]  # fmt: skip


def test_tables_align_and_round():
    table = Table.of(
        "t", ["name", "x", "interval", "p", "why"],
        [["a", 1.23456, interval(0.0, 2.5), 0.0001, "text"],
         ["b", float("nan"), interval(float("nan"), 1.0), 0.5, "more"]],
    )  # fmt: skip
    assert table.rows[0] == ("a", "1.23", "[0, 2.50]", "<.001", "text")
    assert table.rows[1][1:3] == ("–", "–")
    assert table.left == (True, False, False, False, True)


def test_anchors_are_safe():
    assert Section("Is it real? <b>", (Answer("x"),)).anchor == "is-it-real-b"


def test_the_report_repeats_itself():
    options = Options(figures=False)
    assert (
        report(campaigns(), options=options).html() == report(campaigns(), options=options).html()
    )
