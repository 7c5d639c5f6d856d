"""A decomposition as plain text for a terminal, at most 100 columns wide."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stats.layout import columns, wrap
from stats.wording import number, p_value

if TYPE_CHECKING:
    from stats.decompose.analysis import Decomposition, MechanismEffect


def render(d: Decomposition) -> str:
    """Components, items, effects, the model, notes."""
    lines = [f"Where the variation of scores comes from ({d.units}, {d.n} scores)"]
    rows = [
        [
            c.name, c.kind, c.levels, c.sd, f"[{number(c.low)}, {number(c.high)}]",
            "-" if math.isnan(c.share) else f"{100 * c.share:.1f} %",
        ]
        for c in d.components
    ]  # fmt: skip
    lines += columns(["source", "kind", "levels", "SD", "interval", "share within cells"], rows)
    if d.items:
        lines += ["", "Within a benchmark's score"]
        lines += columns(
            ["source", "SD of an item", "SD of a score", "interval", "part of"],
            [
                [i.name, i.sd, i.on_score, f"[{number(i.low)}, {number(i.high)}]", i.inside]
                for i in d.items
            ],
        )
    lines += [""]
    for effect in d.effects:
        lines += wrap("- " + sentence(effect, d.units), hanging="  ")
    lines += ["", *wrap(f"Model: {d.formula}", hanging="  ")]
    lines += wrap(
        f"SDs are in {d.units}, with {d.confidence_level:.0%} intervals by {d.interval_method}. "
        "fixed: the spread of these very levels, corrected for estimation error; random: of a "
        "population of levels. A share may be negative where the estimate of a variance is."
    )
    if d.boundary:
        lines += wrap(
            "A variance is estimated as zero, so that the model's degrees of freedom are in doubt: "
            "the effect to quote is that of the paired test."
        )
    for note in d.notes:
        lines += wrap("Note: " + note, hanging="  ")
    return "\n".join(lines) + "\n"


def sentence(effect: MechanismEffect, units: str) -> str:
    """An effect in words, the headline first."""
    model = (
        f"{number(effect.estimate, sign=True)} {units} [{number(effect.low)}, "
        f"{number(effect.high)}], p {p_value(effect.p, equals=True)}, df {number(effect.df)}"
    )
    model = f"mixed model, {effect.scope}: {model}"
    if effect.pairs is None:
        return f"{effect.name}: {model}."
    t = effect.pairs
    paired = (
        f"paired test, for these cells: {number(t.mean, sign=True)} {units} [{number(t.ci_low)}, "
        f"{number(t.ci_high)}], p {p_value(t.p, equals=True)}, {t.n} {effect.unit}"
    )
    first, second = (paired, model) if effect.headline == "pairs" else (model, paired)
    return f"{effect.name}: {first} ({second})."
