"""What a design confounds and what merging did to it, as text and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stats.factorial.fraction import resolution_text
from stats.report.section import Table

if TYPE_CHECKING:
    from ablate.design.build import Design
    from ablate.design.factorial import Factorial

IN_LINES, IN_ROWS = 5, 2
"""Biases that a line of text, or a row of a table, lists; the others are counted."""

NOTED = 3
"""Terms that a note lists by name; more are counted."""


def factorial_notes(factorial: Factorial) -> tuple[str, ...]:
    """What cannot be estimated, and which axes do nothing at some points."""
    notes = []
    missing = factorial.not_estimable
    if len(missing) <= NOTED:
        notes += [f"{term} cannot be estimated: {why}" for term, why in missing]
    else:
        term, why = missing[0]
        notes.append(
            f"{len(missing)} terms cannot be estimated and are left out of their family, such as "
            f"{term} ({why})"
        )
    for fact in factorial.facts:
        if ":" not in fact.term and fact.acts_at < factorial.n_points:
            notes.append(
                f"{fact.term} does something at {fact.acts_at} of {factorial.n_points} points: its "
                f"effects are averaged over those, with {fact.variance:.2g} times the variance of "
                "an axis that acts everywhere"
            )
    if factorial.alias is not None and factorial.pairs:
        biased = {
            alias.term: alias.alias
            for alias in factorial.alias.aliases
            if ":" not in alias.term and alias.alias.count(":") == 1
        }
        if biased:
            notes.append(
                "main effects that an interaction of two axes would bias: "
                + ", ".join(f"{term} (by {other})" for term, other in biased.items())
            )
    if factorial.design in ("l18", "l27"):
        notes.append(
            f"{factorial.design} screens: main effects only, each biased by interactions (see the "
            "alias table); confirm what it finds"
        )
    return tuple(notes)


def structure_text(design: Design) -> list[str]:
    """Lines for ``ablate plan``: points, resolution, defining relation, rank check, aliases.

    Empty for a design of simple effects.
    """
    factorial = design.factorial
    if factorial is None:
        return []
    lines = [_points(factorial)]
    if factorial.pairs:
        pairs = (f"{axis} {a}/{b}" for axis, (a, b) in factorial.pairs.items())
        lines.append(f"levels (reference/other): {', '.join(pairs)}")
    if factorial.generators:
        lines.append(f"generators: {', '.join(factorial.generators)}")
        lines.append(f"defining relation: I = {' = '.join(factorial.relation)}")
    lines += [_rank(factorial), *_terms(factorial)]
    lines += [f"not estimable: {term}: {why}" for term, why in factorial.not_estimable]
    lines += alias_lines(factorial)
    return lines


def structure_tables(design: Design) -> tuple[Table, ...]:
    """The same for a report: how well each term is told, and what would bias it."""
    factorial = design.factorial
    if factorial is None:
        return ()
    tables = [
        Table.of(
            "What the design can tell",
            ("term", "acts at", "inflation", "variance"),
            [
                (
                    f.term,
                    f"{f.acts_at} of {factorial.n_points}",
                    "–" if f.inflation is None else f"{f.inflation:.2f}",
                    f"{f.variance:.2f}",
                )
                for f in factorial.facts
            ],
            " ".join(
                (
                    f"{_points(factorial)}. {_rank(factorial)}.",
                    "Inflation: of the variance, by correlation with other terms (1: none).",
                    "Variance: over that of an orthogonal design of as many points in which all "
                    "axes act everywhere.",
                )
            ),
        )
    ]
    rows = [
        (term, f"left out: {why.removeprefix('it is ').split(': ')[0]}")
        for term, why in factorial.not_estimable
    ]
    rows += [(term, ", ".join(names)) for term, names in _biases(factorial, IN_ROWS).items()]
    if rows:
        tables.append(
            Table.of(
                "What the design confounds",
                ("term", "biased by, or why it is left out"),
                rows,
                "0.5 x: the estimate holds half of that effect too, if there is one (largest entry "
                "of the alias matrix).",
            )
        )
    return tuple(tables)


def alias_lines(factorial: Factorial) -> list[str]:
    """One line per estimated term that terms left out would bias, and one for the clear ones."""
    found = _biases(factorial, IN_LINES)
    lines = [f"bias: {term} + {', '.join(names)}" for term, names in found.items()]
    if factorial.alias is not None:
        clear = [term for term in factorial.terms if term not in found]
        what = (
            "interactions of two or three axes" if factorial.pairs else "interactions of two axes"
        )
        if clear:
            which = "all terms" if len(clear) == len(factorial.terms) else ", ".join(clear)
            lines.append(f"clear of {what} that are left out: {which}")
    return lines


def _points(factorial: Factorial) -> str:
    text = f"{factorial.n_points} points"
    if factorial.n_points < factorial.n_declared:
        text += f" ({factorial.n_declared} declared, {factorial.n_declared - factorial.n_points} "
        text += "merged into others)"
    if factorial.n_declared < factorial.n_crossed:
        text += f" of {factorial.n_crossed} combinations"
    if factorial.generators:
        text += f", {resolution_text(factorial.resolution)}"
    elif factorial.alias is None:
        text += ", full factorial"
    if factorial.efficiency is not None and factorial.efficiency < 1 - 1e-9:
        text += f", D-efficiency {factorial.efficiency:.3f}"
    return text


def _rank(factorial: Factorial) -> str:
    rank, columns = factorial.rank
    text = f"rank check: {rank} of {columns} columns are independent"
    if rank < columns:
        text += " (the others vanish where an axis does nothing)"
    if factorial.correlated:
        a, b, r = factorial.correlated[0]
        return f"{text}; strongest correlation {r:+.2f} ({a} and {b})"
    return f"{text}, and all terms are uncorrelated" if factorial.pairs else text


def _terms(factorial: Factorial) -> list[str]:
    weak = [
        f"{f.term} x {f.variance:.2f}"
        for f in factorial.facts
        if factorial.pairs and f.variance > 1 + 1e-9
    ]
    if not weak:
        return []
    if len(weak) == len(factorial.facts):
        worst = max(factorial.facts, key=lambda fact: fact.variance)
        least = min(fact.variance for fact in factorial.facts)
        return [f"variance: x {least:.2f} to x {worst.variance:.2f} ({worst.term})"]
    return [f"larger variance: {', '.join(weak)}"]


def _biases(factorial: Factorial, listed: int) -> dict[str, list[str]]:
    """For each estimated term what left-out terms add to it, the largest first."""
    found: dict[str, list[tuple[float, str]]] = {}
    for alias in factorial.alias.aliases if factorial.alias else ():
        found.setdefault(alias.term, []).append((alias.bias, alias.alias))
    return {
        term: [f"{bias:.2g} x {name}" for bias, name in sorted(each, key=lambda x: -x[0])[:listed]]
        + [f"and {len(each) - listed} more"] * (len(each) > listed)
        for term, each in found.items()
    }
