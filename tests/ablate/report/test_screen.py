"""The first screen: five sentences, each from a verdict, panels before the study's own families."""

import dataclasses

import pytest

from ablate.report import Findings
from ablate.report.answer import NO_AXES, NO_CONTROLS, NO_RETENTION
from ablate.report.costs import overhead
from ablate.report.page import render
from ablate.report.panel import Panel
from ablate.report.screen import (
    COST,
    FAVOUR,
    REAL,
    axes_line,
    cost_line,
    first_screen,
    mechanism_line,
    real_line,
)
from stats.verdict import Verdict
from tests.ablate.report.reading import Outline, printed
from tests.ablate.simulated import simulate

ORDER = ["real", "mechanism", "axes", "cost", "settle"]


def with_primary(findings: Findings, verdict: Verdict, place: int = 0, **more) -> Findings:
    effects = list(findings.main.primary)
    effects[place] = dataclasses.replace(effects[place], verdict=verdict, **more)
    main = dataclasses.replace(findings.main, primary=tuple(effects))
    return dataclasses.replace(findings, main=main)


def with_controls(findings: Findings, verdicts: list[Verdict]) -> Findings:
    assert findings.controls is not None
    effects = [
        dataclasses.replace(effect, verdict=verdict)
        for effect, verdict in zip(findings.controls.primary, verdicts, strict=True)
    ]
    controls = dataclasses.replace(findings.controls, primary=tuple(effects))
    return dataclasses.replace(findings, controls=controls)


def test_five_answers_in_the_order_of_the_sections(clean: Findings, troubled: Findings):
    for findings in (clean, troubled):
        assert [line.section for line in first_screen(findings)] == ORDER


def test_a_headline_that_qualifies_follows_the_answer_and_does_not_replace_it(clean: Findings):
    plain = first_screen(clean)[0]
    qualifying = Panel("real", "Failed runs", headline="Two runs diverged.", qualifies=True)
    told = first_screen(dataclasses.replace(clean, panels=(qualifying,)))[0]
    assert told == dataclasses.replace(plain, text=f"{plain.text} Two runs diverged.")
    own = Panel("real", "Settled", headline="It is settled.", verdict=Verdict.SUPERIOR, word="Yes")
    both = first_screen(dataclasses.replace(clean, panels=(qualifying, own)))[0]
    assert (both.word, both.text) == ("Yes", "It is settled. Two runs diverged.")


def test_every_verdict_has_its_word():
    assert set(REAL) == set(COST) == set(FAVOUR) == set(Verdict)
    assert len(FAVOUR) == len(Verdict)
    positive = {v for v, word in REAL.items() if word.startswith("Yes")}
    assert positive == {Verdict.SUPERIOR, Verdict.SUPERIOR_AND_MEANINGFUL}


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_answer_is_that_of_the_verdict(clean: Findings, verdict: Verdict):
    line = real_line(with_primary(clean, verdict))
    assert (line.word, line.verdict) == (REAL[verdict], verdict)
    assert line.text.startswith("The mechanism against lora, averaged over cells: ")


def test_numbers_and_intervals_are_those_of_the_effect(clean: Findings):
    effect = clean.main.primary[0]
    text = real_line(clean).text
    assert f"{effect.simultaneous_low:.2f}" in text
    assert f"{effect.simultaneous_high:.2f}" in text
    assert "12 pairs" in text


def test_of_several_adapters_the_worst_speaks_and_all_are_told(clean: Findings):
    first = clean.main.primary[0]
    two = (
        dataclasses.replace(first, verdict=Verdict.SUPERIOR, name="mechanism present (lora)"),
        dataclasses.replace(
            first, verdict=Verdict.INCONCLUSIVE, baseline="dora", name="mechanism present (dora)"
        ),
    )
    main = dataclasses.replace(clean.main, primary=(*two, *clean.main.primary[1:]))
    line = real_line(dataclasses.replace(clean, main=main))
    assert (line.word, line.verdict) == ("Not settled", Verdict.INCONCLUSIVE)
    assert "against lora" in line.text
    assert "against dora" in line.text


def test_without_controls_the_command_is_named(clean: Findings):
    line = mechanism_line(clean)
    assert (line.word, line.text, line.verdict) == ("Not tested", NO_CONTROLS, None)


def test_the_mechanism_is_shown_only_against_all_controls(controlled: Findings):
    superior = [Verdict.SUPERIOR] * 5
    assert mechanism_line(with_controls(controlled, superior)).word.startswith("Yes")
    for weak in (Verdict.INCONCLUSIVE, Verdict.EQUIVALENT, Verdict.INFERIOR):
        line = mechanism_line(with_controls(controlled, [*superior[:3], weak, superior[4]]))
        assert (line.word, line.verdict) == ("Not shown", weak)
        assert line.text.startswith("Better than 3 of 4 controls; ")
        assert "the control matched" in line.text


def test_the_noisy_null_need_not_be_beaten(controlled: Findings):
    verdicts = [*[Verdict.SUPERIOR] * 4, Verdict.INCONCLUSIVE]
    assert controlled.controls is not None
    assert controlled.controls.primary[-1].name.endswith("reseed")
    line = mechanism_line(with_controls(controlled, verdicts))
    assert line.verdict is Verdict.SUPERIOR
    assert "each of its 4 controls" in line.text


def test_axes_name_the_largest_and_count_the_others(clean: Findings):
    line = axes_line(clean)
    loud = [e for e in clean.main.primary[1:] if str(e.verdict).startswith(("super", "infer"))]
    largest = max(loud, key=lambda e: abs(e.delta))
    assert line.verdict is largest.verdict
    assert f"{largest.delta:+.2f}" in line.text
    assert "The other level contrasts: " in line.text
    assert line.word == "Insertion, memory"


def test_axes_that_say_nothing_are_not_called_equal(clean: Findings):
    quiet = clean
    for place in range(1, 5):
        quiet = with_primary(quiet, Verdict.INCONCLUSIVE, place)
    line = axes_line(quiet)
    assert (line.word, line.verdict) == ("None stands out", Verdict.INCONCLUSIVE)
    assert "4 inconclusive" in line.text
    for place in range(1, 5):
        quiet = with_primary(quiet, Verdict.EQUIVALENT, place)
    assert axes_line(quiet).verdict is Verdict.EQUIVALENT


def test_cost_tells_retention_parameters_and_time(clean: Findings):
    line = cost_line(clean)
    assert clean.retention_comparison is not None
    assert line.verdict is clean.retention_comparison.primary[0].verdict
    assert line.text.startswith("Retention: ")
    assert "2,560 trainable parameters, 62 % of its adapter's" in line.text
    assert "times as long as without it" in line.text


def test_time_is_not_told_of_arms_with_settings_of_their_own(clean: Findings):
    own = clean.costs["arm"].map(lambda arm: "rank 16" if "talan" in arm else "rank 8")
    tuned = dataclasses.replace(clean, costs=clean.costs.assign(settings=own))
    assert "times as long as without" in overhead(clean)
    assert "times as long" not in overhead(tuned)
    assert "trainable parameters" in overhead(tuned)


def test_what_was_not_run_is_named_with_its_key():
    bare = simulate(axes={"memory": ("16",)}, benchmarks=("code",), retention=(), n_items=20)
    assert axes_line(bare).text == NO_AXES
    assert cost_line(bare).text.startswith(NO_RETENTION)


def test_the_first_headline_takes_the_place_of_the_own_sentence(clean: Findings):
    panels = (
        Panel("real", "silent", sentences=("not on the first screen",)),
        Panel("real", "settled", headline="It was settled.", verdict=Verdict.SUPERIOR, word="Yes"),
        Panel("real", "draws", headline="It was drawn."),
        Panel("settle", "after", headline="Nothing is left to settle."),
    )
    findings = dataclasses.replace(clean, panels=panels)
    lines = {line.section: line for line in first_screen(findings)}
    real = lines["real"]
    assert (real.word, real.text, real.verdict) == ("Yes", "It was settled.", Verdict.SUPERIOR)
    assert lines["settle"].text == "Nothing is left to settle."
    assert lines["axes"] == axes_line(clean)
    for text in (" ".join(Outline(render(findings, ())).text), printed(findings)):
        assert text.index("It was settled.") < text.index("It was drawn.")


def test_of_several_headlines_with_a_verdict_the_worst_speaks_first(clean: Findings):
    panels = (
        Panel("mechanism", "draws", headline="Over draws better.", verdict=Verdict.SUPERIOR),
        Panel("mechanism", "controls", headline="Not better than all.", word="Not shown",
              verdict=Verdict.INCONCLUSIVE),
    )  # fmt: skip
    lines = first_screen(dataclasses.replace(clean, panels=panels))
    (line,) = (line for line in lines if line.section == "mechanism")
    assert (line.word, line.verdict) == ("Not shown", Verdict.INCONCLUSIVE)
    assert line.text == "Not better than all. Over draws better."


def test_each_answer_links_to_its_section(page: str):
    screen = page.split('<ol class="screen">')[1].split("</ol>")[0]
    assert [part.split('"')[0] for part in screen.split('href="#')[1:]] == ORDER


def test_a_headline_is_escaped(clean: Findings):
    panel = Panel("real", "<b>t</b>", headline="a < b & c", notes=("<i>",), sentences=("<u>",))
    html = render(dataclasses.replace(clean, panels=(panel,)), ())
    assert "a &lt; b &amp; c" in html
    assert not {"b", "i", "u"} & set(Outline(html).tags)
