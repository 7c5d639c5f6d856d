"""The tables of a factorial: effects, where they differ, and level means."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ablate.factorial.levels import sides
from ablate.factorial.text import TIMES
from stats.report.section import Table, interval, signed
from stats.wording import p_value

if TYPE_CHECKING:
    from ablate.factorial.analysis import Analysis
    from stats.factorial.gates import FactorialTerm
    from stats.factorial.heterogeneity import Heterogeneity


def all_tables(analysis: Analysis) -> tuple[Table, ...]:
    """Every table there is something for."""
    found = [
        _mains(analysis),
        _interactions(analysis),
        _places(analysis),
        _means(analysis),
        _shares(analysis),
    ]
    return tuple(table for table in found if table is not None)


def _mains(analysis: Analysis) -> Table | None:
    found = analysis.shown
    if found is None:
        return None
    rows = []
    for term in found.mains:
        axis, level, reference = sides(term.effect.name)
        rows.append((axis, f"{level} - {reference}", *_effect(analysis, term)))
    return Table.of(
        f"Main effects, averaged over cells ({found.units})",
        ("axis", "levels", "effect", "simultaneous", "p", "Holm p", "verdict"),
        rows,
        f"{_level(found.alpha_mains)} simultaneous intervals (Bonferroni)",
    )


def _interactions(analysis: Analysis) -> Table | None:
    found = analysis.shown
    if found is None or not found.interactions:
        return None
    rows = [(_pair(term.effect.name), *_effect(analysis, term)) for term in found.interactions]
    return Table.of(
        f"Interactions of two axes, averaged over cells ({found.units})",
        ("interaction", "effect", "simultaneous", "p", "Holm p", "verdict"),
        rows,
        "half the difference of differences; "
        f"{_level(found.alpha_interactions)} simultaneous intervals (Bonferroni)",
    )


def _effect(analysis: Analysis, term: FactorialTerm) -> tuple[str, ...]:
    effect = term.effect
    return (
        signed(effect.delta),
        interval(effect.simultaneous_low, effect.simultaneous_high),
        p_value(effect.p),
        p_value(effect.p_adjusted),
        str(analysis.verdicts[effect.name]),
    )


def _shares(analysis: Analysis) -> Table | None:
    found = analysis.shown
    if found is None:
        return None
    rows = []
    for term in found.terms:
        name = term.effect.name
        text = _pair(name) if term in found.interactions else name
        shares = (term.shares.eta2, term.shares.omega2)
        low, high = term.shares.omega2_low, term.shares.omega2_high
        rows.append(
            (
                text,
                *("–" if math.isnan(share) else f"{share:.3f}" for share in shares),
                "–" if math.isnan(low) else f"[{low:.3f}, {high:.3f}]",
                "–" if math.isnan(term.error_ratio) else f"{term.error_ratio:.2f}",
            )
        )
    return Table.of(
        "Shares of the variance within blocks",
        ("term", "eta²", "omega²", "90 % interval", "own/pooled"),
        rows,
        "partial shares, from the pooled error; they describe and decide nothing",
    )


def _level(alpha: float) -> str:
    return f"{100 * (1 - alpha):g} %"


def _pair(name: str) -> str:
    return name.replace(":", f" {TIMES} ", 1)


def _places(analysis: Analysis) -> Table | None:
    places = analysis.places
    if places is None or not places.tests:
        return None
    names = list(dict.fromkeys(test.contrast for test in places.tests))
    axes = [sides(name)[0] for name in names]
    rows = []
    for name, axis in zip(names, axes, strict=True):
        own = places.of(name)
        finest = own[places.over[-1]].effects.values()
        rows.append(
            (
                axis if axes.count(axis) == 1 else name,
                *(p_value(own[over].p_adjusted) if over in own else "–" for over in places.over),
                signed(min(finest)),
                signed(max(finest)),
            )
        )
    kinds = ["both" if TIMES in over else over for over in places.over]
    return Table.of(
        f"Does an effect depend on where it is measured ({places.units})",
        ("effect of", *kinds, "least", "largest"),
        rows,
        f"Holm p over all {len(places.tests)} tests, at {places.alpha:g}; least and largest: the "
        f"effects in single cells. {_how(places)}",
    )


def _how(places: Heterogeneity) -> str:
    used = {test.statistic for test in places.tests}
    texts = {
        "Welch": "Between backbones: Welch's test on the pairs' means.",
        "Hotelling": "Within pairs: Hotelling's T² on each pair's vector of benchmarks, covariance "
        "pooled within backbones.",
        "Wilks": "Both, with more than two backbones: Wilks' test on the same vectors.",
        "Bonferroni": "Where pairs are too few for the covariance: each benchmark against the mean "
        "over benchmarks, Bonferroni.",
    }
    return " ".join(text for name, text in texts.items() if name in used)


def _means(analysis: Analysis) -> Table:
    means = analysis.means
    rows = [
        (
            m.term,
            m.levels[0],
            signed(m.delta),
            interval(m.ci_low, m.ci_high),
            m.n_pairs,
        )
        for m in means.overall
        if ":" not in m.term
    ]
    return Table.of(
        f"Means of the levels minus the baseline ({means.units})",
        ("axis", "level", "difference", f"{means.confidence_level:.0%} interval", "pairs"),
        rows,
        "each interval for itself; means over all design points at which the axis acts",
    )
