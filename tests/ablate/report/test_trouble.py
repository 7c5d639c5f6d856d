import dataclasses
import re
from pathlib import Path

import pytest

from ablate.errors import AblateError
from ablate.report import Findings, write_report
from ablate.report.page import render
from ablate.report.rows import (
    make_row,
)
from stats.verdict import Verdict
from tests.ablate.report.reading import Outline, printed
from tests.ablate.simulated import simulate


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
    assert "Retention was not scored: add retention to benchmarks=." in text
    assert text.count("Retention") == 2, "on the first screen and in the section on costs"
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
