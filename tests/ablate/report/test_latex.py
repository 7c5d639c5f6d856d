"""tables.tex: every table of the page, balanced, escaped."""

import dataclasses
import re

from ablate.report import Findings
from ablate.report.latex import escape, latex_table, line, tables_tex
from ablate.report.page import render
from ablate.report.panel import Panel
from ablate.report.tables import all_tables
from stats.report.section import Table
from tests.ablate.report.reading import Outline
from tests.ablate.simulated_probes import simulate_probes

EVIL = r"50 % of_a#b & c$d {e} ~f ^g \h <i> |j|"


def stack(tex: str) -> int:
    """The number of environments; each must be closed by its own \\end."""
    opened: list[str] = []
    count = 0
    for what, name in re.findall(r"\\(begin|end)\{(\w+)\}", tex):
        if what == "begin":
            opened.append(name)
            count += 1
        else:
            assert opened.pop() == name
    assert opened == []
    return count


def bare(tex: str) -> str:
    """The text without comments, commands, escaped characters and mathematics."""
    text = re.sub(r"(?m)^%.*$", "", tex)
    text = re.sub(r"\\textasciitilde\{\}|\\textasciicircum\{\}|\\textbackslash\{\}", "", text)
    text = re.sub(r"\\[&%$#_{}]", "", text)
    return re.sub(r"\$[^$]*\$", "", text)


def test_every_table_of_the_page_is_there(controlled: Findings):
    panel = Panel("axes", "Factorial", tables=(Table.of("Interactions", ("a", "F"), [("x", 1.5)]),))
    findings = dataclasses.replace(controlled, probes=simulate_probes(), panels=(panel,))
    tex, html = tables_tex(findings), render(findings, ())
    shown = Outline(html).tags.count("table")
    assert tex.count(r"\toprule") == shown
    assert shown == sum(map(len, all_tables(findings).values()))
    assert tex.count(r"\caption{") == tex.count(r"\label{tab:") == shown
    assert len(set(re.findall(r"\\label\{(.*?)\}", tex))) == shown
    assert "Interactions" in tex


def test_environments_are_balanced_and_rows_have_their_columns(controlled: Findings):
    tex = tables_tex(controlled)
    assert stack(tex) > 20
    for form, body in re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", tex, re.S):
        rows = [row for row in body.splitlines() if row.endswith(r" \\")]
        assert len(rows) > 1
        for row in rows:
            assert len(re.findall(r"(?<!\\)&", row)) == len(form) - 1


def test_nothing_special_is_left(controlled: Findings):
    arms = tuple(dataclasses.replace(a, label=f"{a.label} {EVIL}") for a in controlled.arms)
    tex = tables_tex(dataclasses.replace(controlled, arms=arms, title=f"x\n{EVIL}"))
    text = bare(tex)
    assert not re.search(r"[%#^~$<>|]", text)
    assert "_" not in text
    assert text.count("{") == text.count("}")
    assert text.isascii()


def test_the_numbers_are_those_of_the_effects(controlled: Findings):
    tex = tables_tex(controlled)
    for effect in (*controlled.main.primary, *controlled.main.cells):
        assert f"& {effect.delta:+.2f} &".replace("+0.00", "0.00").replace("-0.00", "0.00") in tex


def test_symbols_and_special_characters():
    assert escape("a × b ± 1 ≤ 2") == r"a $\times$ b $\pm$ 1 $\leq$ 2"
    assert escape("50 %\n_x_") == r"50 \% \_x\_"
    assert line(("[1, 2]", "*", "x")) == r"{}[1, 2] & {}* & x \\"


def test_a_long_table_breaks_over_pages():
    table = Table.of("Long", ("a", "b"), [(f"r{i}", i) for i in range(41)], "A note.")
    lines = latex_table(table, "x-1")
    assert lines[0] == r"\begin{longtable}{lr}"
    assert lines[-1] == r"\end{longtable}"
    assert r"\endhead" in lines
    assert r"\begin{table}" not in lines
    assert latex_table(dataclasses.replace(table, rows=table.rows[:40]), "x")[0] == r"\begin{table}"
