import csv
import dataclasses
import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from ablate.errors import AblateError
from ablate.report import Findings, ReportFiles, terminal_report, write_report
from ablate.report.answer import meanings, primary_sentences, readable, retention_sentences
from ablate.report.figures import heatmap
from ablate.report.files import json_bytes, tidy_csv, write_bytes
from ablate.report.page import render
from ablate.report.picture import Picture
from ablate.report.rows import (
    by_cell,
    cell_tables,
    interval,
    make_row,
    p_value,
    plain,
    primary_rows,
    signed,
)
from stats.figures.comparison import MARKS
from stats.verdict import Verdict
from tests.ablate.simulated import simulate

GAIN = {("memory=16", "recall"): 6.0, ("middle", "code"): -6.0}
LOST = {
    ("embedding/memory=4", "qwen3-tiny", 2): "diverged",
    ("early/memory=4", "llama-tiny", 0): "failed",
}


@pytest.fixture(scope="module")
def clean() -> Findings:
    return simulate(gain=GAIN, n_items=200)


@pytest.fixture(scope="module")
def troubled() -> Findings:
    return simulate(
        gain=GAIN, lost=LOST, n_items=200, exploratory=("seeds were added after a look",)
    )


@pytest.fixture(scope="module")
def written(clean: Findings, tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    return write_report(clean, tmp_path_factory.mktemp("report") / "new" / "folder")


@pytest.fixture(scope="module")
def page(written: ReportFiles) -> str:
    return written.html.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def troubled_page(troubled: Findings) -> str:
    return render(troubled, ())


def printed(findings: Findings, *, colour: bool = False, width: int = 100) -> str:
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=colour,
        color_system="truecolor" if colour else None,
    )
    console.print(terminal_report(findings))
    return console.file.getvalue()  # type: ignore[attr-defined]


class Outline(HTMLParser):
    """Tags that are opened and never closed, sources that are loaded, and the visible text."""

    VOID = frozenset({"meta", "img", "br", "link", "rect", "line", "circle"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.anchors: list[str] = []
        self.tags: list[str] = []
        self.alts: list[str] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "href", "data", "poster"):
                (self.anchors if (value or "").startswith("#") else self.loads).append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name == "alt":
                self.alts.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text.append(data)


# --- the files


def test_every_file_is_there_and_no_other(written: ReportFiles):
    folder = written.html.parent
    assert {path.name for path in written.all()} == {path.name for path in folder.iterdir()}
    assert {path.stem for path in written.pictures} == {
        "primary", "forest", "heatmap", "pairs", "retention",
    }  # fmt: skip
    for path in written.pictures:
        assert path.read_bytes().startswith(b"\x89PNG")


def test_the_page_loads_nothing(page: str):
    outline = Outline(page)
    assert outline.loads
    assert all(source.startswith("data:image/png;base64,") for source in outline.loads)
    assert not {"script", "link", "iframe", "object"} & set(outline.tags)
    assert not re.search(r"https?://|@import|url\(", page)


def test_the_page_is_well_formed_and_reachable(page: str):
    outline = Outline(page)
    assert outline.open == []
    assert {anchor[1:] for anchor in outline.anchors} <= set(outline.ids)
    assert len(outline.ids) == len(set(outline.ids))
    assert len(outline.alts) == outline.tags.count("img")
    assert all(outline.alts)
    assert 'lang="en"' in page
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_the_page_starts_with_the_answer(page: str, clean: Findings):
    text = " ".join(Outline(page).text)
    at = [text.index(sentence) for _, sentence in primary_sentences(clean)]
    assert at == sorted(at)
    assert at[-1] < text.index("Primary family, averaged") < text.index("llama-tiny × code")


def test_the_page_has_every_row_of_both_families(page: str, clean: Findings):
    cells = len(clean.main.cells) + len(clean.main.primary)
    assert clean.retention_comparison is not None
    cells += len(clean.retention_comparison.cells) + len(clean.retention_comparison.primary)
    assert page.count('<svg class="bar') == cells == 72 + 5 + 18 + 5


def test_json_is_strict_and_complete(written: ReportFiles, clean: Findings):
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    data = json.loads(written.json.read_text(encoding="utf-8"), parse_constant=refuse)
    assert len(data["main"]["cells"]) == 72
    assert len(data["retention"]["cells"]) == 18
    assert data["design"]["axes"] == {name: list(levels) for name, levels in clean.axes.items()}
    assert [arm["name"] for arm in data["design"]["arms"]] == [arm.name for arm in clean.arms]
    assert data["provenance"]["torch"] == "2.13.0"
    first, effect = data["main"]["cells"][0], clean.main.cells[0]
    assert (first["delta"], first["verdict"]) == (effect.delta, str(effect.verdict))


def test_json_turns_what_is_not_finite_into_null():
    data = {"a": math.nan, "b": [np.float64("inf"), np.int64(3)], "c": (True, None, "x")}
    assert json.loads(json_bytes(data)) == {"a": None, "b": [None, 3], "c": [True, None, "x"]}


def test_results_csv_reads_back_bit_for_bit(written: ReportFiles, clean: Findings):
    raw = written.results.read_bytes()
    assert b"\r" not in raw
    assert raw.endswith(b"\n")
    rows = list(csv.DictReader(io.StringIO(raw.decode())))
    assert list(rows[0]) == list(clean.results.columns)
    assert len(rows) == len(clean.results)
    key = ["backbone", "arm", "hp", "seed", "benchmark"]
    keys = [tuple(row[name] for name in key) for row in rows]
    assert keys == sorted(keys)
    scores = {(r["run_key"], r["benchmark"]): r["loglik"] for r in clean.results.to_dict("records")}
    assert all(float(row["loglik"]) == scores[row["run_key"], row["benchmark"]] for row in rows)


def test_results_csv_does_not_depend_on_the_order_of_rows(troubled: Findings):
    frame = troubled.results
    expected = tidy_csv(frame)
    for seed in range(3):
        shuffled = frame.sample(frac=1, random_state=np.random.default_rng(seed))
        assert tidy_csv(shuffled) == expected
    changed = frame.copy()
    changed.loc[0, "score"] = np.nextafter(changed.loc[0, "score"], 1)
    assert tidy_csv(changed) != expected, "the last bit counts"


def test_csv_seeds_sort_as_numbers_and_integers_stay_integers():
    frame = pd.DataFrame(
        {"backbone": "b", "arm": "a", "hp": 0, "seed": [10.0, 9.0], "benchmark": "x",
         "n_items": [500.0, np.nan], "score": [0.5, np.nan]}
    )  # fmt: skip
    assert tidy_csv(frame).decode().splitlines()[1:] == ["b,a,0,9,x,,", "b,a,0,10,x,500,0.5"]


def test_items_are_all_there(written: ReportFiles, clean: Findings):
    frame = pd.read_parquet(written.items)
    assert list(frame.columns) == ["run_key", "benchmark", "item", "correct", "loglik"]
    assert (frame["correct"].to_numpy() == clean.items["correct"].to_numpy()).all()
    assert (frame["loglik"].to_numpy() == clean.items["loglik"].to_numpy()).all()
    assert str(frame["loglik"].dtype) == "float32"
    one = clean.results.iloc[0]
    mine = frame[(frame["run_key"] == one["run_key"]) & (frame["benchmark"] == one["benchmark"])]
    assert mine["correct"].mean() == one["score"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "report.json"
    write_bytes(path, b"old")

    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("ablate.report.files.os.replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path):
    (tmp_path / "taken").write_text("a file")
    tiny = simulate(axes={"memory": ("16",)}, benchmarks=("code",), retention=(), n_items=20)
    with pytest.raises(AblateError, match="cannot write the report"):
        write_report(tiny, tmp_path / "taken")


# --- the words


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


# --- the terminal


@pytest.mark.parametrize("which", ["clean", "troubled"])
def test_the_terminal_report_fits(which: str, request: pytest.FixtureRequest):
    text = printed(request.getfixturevalue(which))
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "…" not in text
    for word in re.findall(r"(?:superior|inferior)-and-[a-z]*", text):
        assert word.endswith("meaningful"), "no verdict is cut"


def test_the_terminal_puts_the_primary_family_first(clean: Findings):
    text = printed(clean)
    first = text.index("mechanism present  ")
    assert first < text.index("llama-tiny × arithmetic\n")
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


# --- trouble


def test_zero_failures_are_said(clean: Findings, page: str):
    assert "All 120 runs gave scores; no pair is broken." in page
    assert "All 120 runs gave scores; no pair is broken." in printed(clean)
    assert "Runs that broke a pair" not in page


def test_failures_and_broken_pairs_are_shown(troubled: Findings, troubled_page: str):
    sentence = (
        "2 of 120 runs gave no score (1 diverged, 1 failed); 10 of 90 comparisons lost pairs."
    )
    text = printed(troubled)
    assert sentence in " ".join(text.split())
    assert sentence in troubled_page
    assert "embedding · 4 (backbone qwen3-tiny, hp 0, seed 2), diverged" in troubled_page
    assert "early · 4 (backbone llama-tiny, hp 0, seed 0), failed" in troubled_page
    assert "diverged: loss was NaN at step 3" in troubled_page
    assert "5 (-1)" in troubled_page
    assert "Broken pairs left out: 1 of embedding · 4." in text


def test_the_exploratory_banner(clean: Findings, troubled: Findings, troubled_page: str, page: str):
    assert "seeds were added after a look" in troubled_page
    assert "<strong>Exploratory.</strong>" in troubled_page
    assert "! Exploratory: seeds were added after a look" in printed(troubled)
    assert "Exploratory" not in page
    assert "Exploratory" not in printed(clean)


def test_undefined_effects_are_a_dash_never_nan(tmp_path: Path):
    findings = simulate(
        axes={"memory": ("16", "1")},
        benchmarks=("code", "recall"),
        retention=(),
        flat="code",
        gain={("memory=16", "code"): 5.0},
        n_items=200,
    )
    verdicts = {effect.verdict for effect in findings.main.cells}
    assert {Verdict.UNDEFINED, Verdict.IDENTICAL} <= verdicts
    files = write_report(findings, tmp_path)
    for text in (" ".join(Outline(files.html.read_text()).text), printed(findings)):
        assert not re.search(r"\bnan\b", text, re.IGNORECASE)
        assert "–" in text
    undefined = next(e for e in findings.main.cells if e.verdict == Verdict.UNDEFINED)
    row = make_row(undefined, "arm", 0.05)
    assert (row.interval, row.p, row.p_adjusted) == ("–", "–", "1")


def test_an_arm_that_lost_every_run(tmp_path: Path):
    lost = {("middle/memory=4", b, s): "diverged" for b in ("one", "two") for s in range(6)}
    findings = simulate(lost=lost, backbones=("one", "two"), benchmarks=("code",), n_items=50)
    files = write_report(findings, tmp_path)
    text = files.html.read_text()
    assert "0 (-6)" in text
    assert not re.search(r"\bnan\b", " ".join(Outline(text).text))
    assert max(len(line) for line in printed(findings).splitlines()) <= 100


def test_the_smallest_study(tmp_path: Path):
    findings = simulate(
        axes={"memory": ("16",)},
        backbones=("one",),
        benchmarks=("code",),
        retention=(),
        seeds=3,
        n_items=50,
    )
    files = write_report(findings, tmp_path)
    assert {path.stem for path in files.pictures} == {"primary", "forest", "heatmap", "pairs"}
    text = files.html.read_text()
    assert "Retention" not in text
    assert "1 backbone × 1 benchmark ·" in text
    assert "one × code" in printed(findings)


def test_names_are_escaped(clean: Findings):
    evil = "<script>alert('x')</script>&"
    arms = tuple(dataclasses.replace(arm, label=arm.label + evil) for arm in clean.arms)
    text = render(
        dataclasses.replace(
            clean, title=evil, question=evil, command=evil, notes=(evil,), exploratory=(evil,),
            arms=arms, provenance={evil: evil},
            failures=clean.failures.assign(reasons=evil),
        ),
        (),
    )  # fmt: skip
    assert "<script" not in text
    assert "&lt;script&gt;alert(" in text
    assert Outline(text).open == []


def test_square_brackets_in_names_are_no_markup(clean: Findings):
    text = printed(dataclasses.replace(clean, title="study [bold]", notes=("see [red]",)))
    assert "study [bold]" in text
    assert "see [red]" in text


def test_a_frame_without_a_column_is_one_sentence(clean: Findings):
    with pytest.raises(AblateError, match=r"findings\.results: the frame lacks the column 'hp'"):
        dataclasses.replace(clean, results=clean.results.drop(columns="hp"))


# --- the heat map


def test_the_heat_map_shows_levels_above_arms(clean: Findings):
    axis = heatmap(clean).axes[0]
    labels = [t.get_text() for t in axis.get_yticklabels()]
    assert labels[:6] == [
        f"{axis_name} {level}, mean" for axis_name, levels in clean.axes.items() for level in levels
    ]
    assert labels[6:] == [arm.label for arm in clean.arms[1:]]
    numbers = np.array([float(t.get_text().split()[0]) for t in axis.texts]).reshape(15, 8)
    early = [i for i, arm in enumerate(clean.arms[1:]) if arm.levels["insertion"] == "early"]
    assert np.allclose(numbers[0], numbers[6:][early].mean(axis=0), atol=0.11)


def test_one_axis_needs_no_means_of_levels():
    findings = simulate(axes={"memory": ("16", "1")}, benchmarks=("code",), n_items=50)
    labels = [t.get_text() for t in heatmap(findings).axes[0].get_yticklabels()]
    assert labels == ["16", "1"]
