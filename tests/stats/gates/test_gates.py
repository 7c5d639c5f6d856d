"""Every gate at its short size, and the machinery of gates."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from tests.stats.gates import __main__ as command
from tests.stats.gates.exact import scaled_chi2
from tests.stats.gates.gate import GATES, KINDS, Gate, Outcome, Runs, Simulation, every_gate, run
from tests.stats.gates.intervals import SKEWED_T
from tests.stats.gates.report import BEGIN, END, HEADING, markdown, text_table, write


@pytest.mark.parametrize("gate", every_gate().values(), ids=lambda gate: gate.name)
def test_gate(gate: Gate) -> None:
    outcome = run(gate, gate.short)
    assert outcome.holds, outcome.sentence
    assert outcome.bites, f"the mutant stays in the band: {outcome.sentence}"


def a_gate(rate: float, mutant: float, *, kind: str = "equal", **settings: int) -> Gate:
    def simulate(replicates: int, rng: np.random.Generator) -> Runs:
        u = rng.uniform(size=replicates)
        return Runs(u < rate, u < mutant)

    return Gate("a", "a claim", kind, "none", "a mutant", simulate, lambda: 0.05, **settings)


def test_a_wrong_rate_is_seen_and_a_mutant_that_does_nothing_too() -> None:
    assert run(a_gate(0.05, 0.15), 2000).holds
    assert not run(a_gate(0.10, 0.15), 2000).holds
    assert not run(a_gate(0.02, 0.15), 2000).holds
    assert not run(a_gate(0.05, 0.05), 2000).bites
    assert run(a_gate(0.05, 0.15), 2000).bites


def test_one_sided_gates_have_one_side() -> None:
    assert run(a_gate(0.01, 0.15, kind="at most"), 2000).holds
    assert not run(a_gate(0.01, 0.02, kind="at most"), 2000).bites
    assert run(a_gate(0.15, 0.01, kind="at least"), 2000).holds
    assert not run(a_gate(0.15, 0.20, kind="at least"), 2000).bites


def test_the_band_is_left_once_in_a_thousand_true_claims() -> None:
    gate = a_gate(0.05, 0.15)
    low, high = gate.band(2000)
    k = np.random.default_rng(0).binomial(2000, 0.05, 400_000) / 2000
    assert 0.0005 <= ((k < low) | (k > high)).mean() <= 0.0011


def test_a_documented_rate_brings_its_own_error() -> None:
    exact, known = a_gate(0.05, 0.15).band(100_000), a_gate(0.05, 0.15, known=1000).band(100_000)
    assert known[1] - known[0] > 5 * (exact[1] - exact[0])


def test_a_short_run_begins_the_long_one_and_seeds_tell_apart() -> None:
    gate = a_gate(0.05, 0.15, short=500)
    short, long = Simulation(gate, 500), Simulation(gate, 1200)
    short.step()
    while long.done < 1200:
        long.step()
    assert [part.ours.size for part in long.parts] == [500, 500, 200]
    assert np.array_equal(short.parts[0].ours, long.parts[0].ours)
    assert not np.array_equal(long.parts[0].ours, long.parts[1].ours)
    other = Simulation(gate, 500, seed=1)
    other.step()
    assert not np.array_equal(short.parts[0].ours, other.parts[0].ours)


def test_gates_are_told_apart_and_fit_their_table() -> None:
    gates = list(GATES.values())
    claims = [gate.claim for gate in gates]
    assert len(set(claims)) == len(claims)
    assert {gate.kind for gate in gates} <= set(KINDS)
    assert all(gate.mutant and gate.source for gate in gates)
    assert all(0 < gate.short <= gate.long for gate in gates)
    assert not any("|" in gate.claim + gate.mutant for gate in gates)


def test_documented_coverage_of_skewed_data_by_formula() -> None:
    """The constants that rest on 4,000,000 studies, again with a tenth of them."""
    rng = np.random.default_rng(1)
    for n, rate in SKEWED_T.items():
        d = rng.exponential(size=(400_000, n)) - 1
        t = d.mean(axis=1) / (d.std(axis=1, ddof=1) / math.sqrt(n))
        found = (np.abs(t) <= -special.stdtrit(n - 1, 0.025)).mean()
        assert abs(found - rate) < 3.3 * math.sqrt(rate * (1 - rate) * 1.1 / 400_000)


def test_equally_likely_values_have_the_moments_of_their_law() -> None:
    values = scaled_chi2(9, 2000)
    assert values.mean() == pytest.approx(1, abs=1e-3)
    assert values.var() == pytest.approx(2 / 9, rel=5e-3)


def outcomes() -> list[Outcome]:
    return [run(a_gate(0.05, 0.15), 2000), run(a_gate(0.05, 0.05, kind="at most"), 2000)]


def test_tables_mark_what_fails_and_keep_their_width() -> None:
    text = text_table(outcomes())
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "CANNOT FAIL" in text
    assert "1 of 2 gates hold." in text
    rows = [line for line in markdown(outcomes()).splitlines() if line.startswith("| a claim")]
    assert rows[0].count("|") == 7
    assert "≤ .0500" in rows[1]


def test_a_page_gets_the_table_once_and_keeps_the_rest(tmp_path: Path) -> None:
    page = tmp_path / "method.md"
    page.write_text("# Method\ntext\n", encoding="utf-8")
    write(page, "first")
    assert page.read_text(encoding="utf-8") == (
        f"# Method\ntext\n\n{HEADING}\n{BEGIN}\nfirst\n{END}\n"
    )
    page.write_text(page.read_text(encoding="utf-8") + "\nafter\n", encoding="utf-8")
    write(page, "second")
    text = page.read_text(encoding="utf-8")
    assert "first" not in text
    assert text.endswith(f"{BEGIN}\nsecond\n{END}\n\nafter\n")
    page.write_text(f"{END}\n{BEGIN}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="once, in order"):
        write(page, "third")


def test_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command.main(["--only", "Holm, independent", "--replicates", "2500"]) == 0
    out = capsys.readouterr()
    assert "2,500" in out.out
    assert "1 of 1 gates hold." in out.out
    assert "Holm, independent tests" in out.err
    assert command.main(["--list", "--only", "TOST"]) == 0
    assert "TOST at the margin, n = 5, margin 1" in capsys.readouterr().out
    for wrong in (
        ["--only", "nothing like it"],
        ["--write", str(tmp_path), "--only", "TOST"],
        ["--write", str(tmp_path / "none.md")],
        ["--replicates", "0"],
    ):
        with pytest.raises(SystemExit) as stop:
            command.main(wrong)
        assert stop.value.code == 2
