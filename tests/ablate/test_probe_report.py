"""What the probes say: closed forms, sentences against planted truths, and the page."""

import csv
import dataclasses
import io
import json
import math

import numpy as np
import pytest
from rich.console import Console
from scipy import stats as scipy_stats

from ablate.probing.answer import QUESTIONS, number, sentences, text
from ablate.probing.figures import direction_plot, growth_plot
from ablate.probing.summary import Mean, over_seeds, ratio_over_seeds, summarise
from ablate.report import terminal_report, write_report
from ablate.report.answer import NO_PROBES
from ablate.report.page import render
from ablate.report.probes import inside, metrics, stability, substitutions
from ablate.report.write import report_dict
from talan.probe import MEASURES
from tests.ablate.simulated import simulate
from tests.ablate.simulated_probes import GROWTH, simulate_probes, simulate_rows


def answers(**given):
    return dict(sentences(summarise(simulate_rows(**given), "16")))


def test_a_mean_over_seeds_has_the_interval_of_students_t():
    values = [0.3, 0.7, 0.4, 0.9]
    found = over_seeds([*values, math.nan])
    low, high = scipy_stats.t.interval(0.95, 3, np.mean(values), scipy_stats.sem(values))
    assert found.n == 4
    assert (found.mean, found.low, found.high) == pytest.approx((np.mean(values), low, high))


def test_ratios_are_averaged_as_logarithms():
    values = [0.5, 2.0, 4.0]
    found, logs = ratio_over_seeds(values), over_seeds(np.log(values))
    assert found.mean == pytest.approx(4 ** (1 / 3))
    assert (found.low, found.high) == pytest.approx((math.exp(logs.low), math.exp(logs.high)))
    assert found.low > 0
    assert ratio_over_seeds([0.0, 0.0]).mean == 0


def test_nothing_and_one_seed_have_no_interval():
    assert over_seeds([math.nan]).n == 0
    assert not over_seeds([1.0]).has_interval
    assert not over_seeds([1.0, 1.0]).has_interval


def test_curves_average_draws_then_benchmarks_then_seeds():
    frame = simulate_rows(noise=0.1)
    rel = frame[(frame["measure"] == "rel_diff") & (frame["variant"] == "random")]
    at = rel[rel["layer"] == 3].groupby(["seed", "benchmark"])["value"].mean()
    logs = np.log(at).groupby("seed").mean()
    found = summarise(frame, "16").curve("rel_diff", "random")[3]
    assert found.mean == pytest.approx(math.exp(logs.mean()))
    half = scipy_stats.t.ppf(0.975, 5) * logs.std() / math.sqrt(6)
    assert found.high / found.mean == pytest.approx(math.exp(half))
    assert found.n == 6


def test_the_planted_growth_is_found_and_paired():
    summary = summarise(simulate_rows(), "16")
    assert summary.number("amplification", "static").mean == pytest.approx(1.5**3)
    assert summary.compared["growth over random"].mean == pytest.approx(1.25**3, rel=0.1)
    assert summary.compared["height of shuffled"].mean == pytest.approx(1.0, rel=0.1)
    assert summary.compared["height of static"].mean == pytest.approx(0.4, rel=0.1)
    assert summary.growth.monotone == summary.growth.curves == 12
    assert summary.silent_before
    assert summary.starts


def test_the_seeds_own_size_does_not_enter_a_paired_comparison():
    quiet = summarise(simulate_rows(noise=0.02), "16").compared["shape to static"]
    rows = simulate_rows(noise=0.02)
    scaled = rows["measure"] == "rel_diff"
    rows.loc[scaled, "value"] *= 10.0 ** rows.loc[scaled, "seed"].to_numpy()
    assert summarise(rows, "16").compared["shape to static"].mean == pytest.approx(quiet.mean)


def test_shape_distance_is_that_of_curves_made_equally_high():
    bent = summarise(simulate_rows(noise=0.0, bend={"code": 0.5}), "16")
    logs = np.array([0, math.log(1.5), 0, 0])
    expected = math.expm1(np.abs(logs - logs.mean()).max())
    assert bent.compared["shape between benchmarks"].mean == pytest.approx(expected)


@pytest.mark.parametrize(
    ("planted", "question", "answer"),
    [
        ({}, 0, "Yes. rel_diff is exactly 0 before state 1 of 4"),
        ({"site": 0}, 0, "Yes. Its site is state 0 of 4, with nothing before it"),
        ({"heights": dict.fromkeys(GROWTH, 0.0)}, 0, "Not everywhere."),
        ({}, 1, "Yes. From the site to the last state"),
        ({"growth": GROWTH | {"block": 0.7}}, 1, "No, it shrinks."),
        ({"growth": dict.fromkeys(GROWTH, 1.0)}, 1, "Not shown."),
        ({}, 2, "Yes. It grows"),
        ({"growth": GROWTH | {"random": 2.0}}, 2, "No, less."),
        ({"growth": dict.fromkeys(GROWTH, 1.5)}, 2, "Not shown."),
        (
            {"bend": {"code": 0.5}},
            3,
            "Less than on the benchmark: a static memory changes the shape less",
        ),
        (
            {"bend": {"code": 0.02}, "growth": GROWTH | {"static": 3.0}},
            3,
            "More than on the benchmark: a static memory changes the shape more",
        ),
        (
            {"benchmarks": ("code",), "noise": 0.0},
            3,
            "With a static memory (the mean slots) the curve is 0.400",
        ),
        ({"benchmarks": ("code",)}, 4, "Not measured. It takes two benchmarks"),
        ({"bend": {"code": 0.5}}, 4, "so stability is no sign of conditioning"),
        ({}, 5, "The adapter's update is 80.0 to 80.0 times as large"),
        ({"adapter": False}, 5, "Not measured. There is no adapter to switch off."),
    ],
)
def test_sentences_follow_the_planted_truth(planted, question, answer):
    assert answer in answers(**planted)[QUESTIONS[question]]


def test_without_an_interval_nothing_is_shown():
    found = answers(seeds=(3,))
    assert found[QUESTIONS[1]].startswith("Not shown.")
    assert found[QUESTIONS[2]].startswith("Not shown.")


def test_a_perturbation_before_its_site_is_told():
    rows = simulate_rows()
    where = (rows["measure"] == "rel_diff") & (rows["variant"] == "block") & (rows["layer"] == 0)
    rows.loc[rows[where].index[:1], "value"] = 1e-9
    summary = summarise(rows, "16")
    assert dict(sentences(summary))[QUESTIONS[0]].startswith("No. rel_diff is not 0 before")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (0.0123456, "0.0123"), (-1.5, "-1.50"), (123.4, "123"), (1234567.0, "1.23e+06"),
     (math.nan, "–"), (0.00001234, "1.23e-05"), (9.999, "10.00")],
)  # fmt: skip
def test_numbers_have_three_digits(value, shown):
    assert number(value) == shown


def test_text_shows_an_interval_where_there_is_one():
    assert text(Mean(1.0, 0.5, 2.0, 3)) == "1.00 [0.500, 2.00]"
    assert text(Mean(1.0, math.nan, math.nan, 1)) == "1.00"
    assert text(Mean(math.nan, math.nan, math.nan, 0)) == "–"


def test_tables_have_a_row_per_variant_or_benchmark():
    summary = summarise(simulate_rows(), "16")
    assert len(substitutions(summary).rows) == 4
    assert len(stability(summary).rows) == 4
    assert [row[0] for row in inside(summary).rows][:2] == ["arithmetic", "code"]
    assert inside(summary).rows[-1][0].startswith("gate: 0.5")
    alone = summarise(simulate_rows(benchmarks=("code",)), "16")
    assert stability(alone).rows == ()


def test_a_variant_that_was_not_measured_has_no_row():
    rows = simulate_rows()
    summary = summarise(rows[rows["variant"] != "shuffled"], "16")
    assert summary.variants == ("block", "static", "random")
    assert "another sequence" not in dict(sentences(summary))[QUESTIONS[3]]


def test_metrics_are_numbers_by_backbone():
    found = metrics(summarise(simulate_rows(), "16"))
    assert found["probe.qwen3-tiny/amplification"] == pytest.approx(1.5**3, rel=0.1)
    low, high = (found[f"probe.qwen3-tiny/amplification{end}"] for end in ("_low", "_high"))
    assert low < found["probe.qwen3-tiny/amplification"] < high


def test_figures_have_two_panels_per_backbone():
    summaries = simulate_probes().summaries
    for plot in (growth_plot, direction_plot):
        figure = plot(summaries, title="16")
        assert len(figure.axes) == 4
        assert len(figure.legends) == 2


@pytest.fixture(scope="module")
def findings():
    bare = simulate(seeds=3, n_items=50, retention=(), benchmarks=("arithmetic", "code"))
    return dataclasses.replace(bare, probes=simulate_probes())


@pytest.fixture(scope="module")
def written(findings, tmp_path_factory):
    return write_report(findings, tmp_path_factory.mktemp("report"))


def test_the_page_answers_every_question_and_shows_every_formula(written, findings):
    page = written.html.read_text(encoding="utf-8")
    for question, answer in sentences(findings.probes.summaries[0]):
        assert question in page
        assert answer.replace("'", "&#39;").replace(">", "&gt;") in page
    for measure in MEASURES.values():
        assert f"<dt>{measure.name}</dt>" in page
    assert 'id="figure-probe-growth"' in page
    assert findings.probes.notes[0] in page


def test_the_folder_has_table_and_pictures(written, findings):
    names = {path.name for path in written.all()}
    assert {"probes.csv", "probe-growth.png", "probe-direction.png"} <= names
    rows = list(csv.DictReader(io.StringIO(written.probes.read_text(encoding="utf-8"))))
    assert len(rows) == len(findings.probes.table)
    assert {row["backbone"] for row in rows} == {"llama-tiny", "qwen3-tiny"}
    exact = {float(row["value"]) for row in rows if row["value"]}
    assert exact == set(findings.probes.table["value"].dropna())


def test_the_json_has_summaries_and_answers(written):
    probes = json.loads(written.json.read_text(encoding="utf-8"))["sections"]["inside"]["probes"]
    assert [each["backbone"] for each in probes["summaries"]] == ["llama-tiny", "qwen3-tiny"]
    assert [each["question"] for each in probes["summaries"][0]["answers"]] == list(QUESTIONS)
    assert set(MEASURES) <= set(probes["measures"])


def test_the_terminal_shows_the_answers_in_100_columns(findings):
    console = Console(file=io.StringIO(), width=100)
    console.print(terminal_report(findings))
    shown = console.file.getvalue()
    assert "Does the mechanism do what it says" in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_a_report_without_probes_says_how_to_get_them(findings):
    bare = dataclasses.replace(findings, probes=None)
    page = render(bare, ())
    section = page.split('<section id="inside"')[1].split("</section>")[0]
    assert NO_PROBES in section
    assert "<table" not in section
    assert "<dl" not in section
    assert report_dict(bare)["sections"]["inside"]["probes"] is None
