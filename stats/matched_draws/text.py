"""Matched draws in words: sentences for reports, and text of at most 100 columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stats.layout import cell, columns, wrap
from stats.wording import number, p_value

if TYPE_CHECKING:
    from stats.matched_draws.outcome import MatchedDraws, Reading
    from stats.matched_draws.spread import DrawSpread


def sentences(result: MatchedDraws) -> tuple[str, ...]:
    """Mechanism, interplay, sign and what varies beside it; from the average over cells."""
    return (
        mean_sentence(result),
        interplay_sentence(result),
        *([sign_sentence(result)] if not math.isnan(result.overall.sign.share) else []),
        beside_sentence(result),
    )


def mean_sentence(result: MatchedDraws) -> str:
    """The effect averaged over the space."""
    mean = result.overall.mean
    text = f"Averaged over the hyperparameter space, {number(mean.mean, sign=True)} {result.units}"
    if math.isnan(mean.p):
        return f"{text}; {mean.warning}."
    flips = "" if math.isnan(mean.p_signflip) else f", sign flips {p_value(mean.p_signflip)}"
    return (
        f"{text} [{number(mean.ci_low)}, {number(mean.ci_high)}] (t over {mean.n} draws, p "
        f"{p_value(mean.p, equals=True)}{flips})."
    )


def interplay_sentence(result: MatchedDraws) -> str:
    """How much the effect depends on hyperparameters."""
    spread = result.overall.interplay
    if math.isnan(spread.low):
        return "Effects do not vary over draws or seeds."
    size = f"an SD of {sd_text(spread)} {result.units} over the space"
    f = f"F({spread.num_df:g}, {spread.den_df:.3g}) = {number(spread.F)}, p "
    test = "" if math.isnan(spread.p) else f" ({f}{p_value(spread.p, equals=True)})"
    if spread.low > 0:
        return f"The effect depends on hyperparameters: true effects have {size}{test}."
    return (
        "That the effect depends on hyperparameters is not shown beyond seed noise: true effects "
        f"have {size}{test}."
    )


def sign_sentence(result: MatchedDraws) -> str:
    """Where the sign turns: the model's share, and the count that draws showed."""
    sign = result.overall.sign
    showed = f"{sign.opposite} of {sign.n} draws showed the other sign, seed noise included."
    if sign.high > 0.5:
        return (
            "In how much of the space the effect has the other sign is not settled, for its mean "
            f"is not far enough from zero ([{percent(sign.low)}, {percent(sign.high)}]); {showed}"
        )
    return (
        f"The sign of the true effect turns in {percent(sign.share)} [{percent(sign.low)}, "
        f"{percent(sign.high)}] of the space if effects are normal over it; {showed}"
    )


def beside_sentence(result: MatchedDraws) -> str:
    """What hyperparameters and seeds do, for comparison."""
    reading = result.overall
    return (
        f"Beside it: hyperparameters move the baseline's score with an SD of {sd_text(reading.hp)} "
        f"{result.units}; the seed moves a single pair's difference with an SD of "
        f"{number(reading.interplay.sd_seed)}, and the baseline's score within a draw with one of "
        f"{number(reading.hp.sd_seed)}."
    )


def sd_text(spread: DrawSpread) -> str:
    """An SD with its interval."""
    if math.isnan(spread.low):
        return cell(spread.sd)
    return f"{cell(spread.sd)} [{cell(spread.low)}, {cell(spread.high)}]"


def percent(share: float) -> str:
    """A share in percent; "-" for NaN."""
    if math.isnan(share):
        return "-"
    if 0 < share < 0.005:
        return "<1 %"
    return f"{round(100 * share)} %"


def cell_name(reading: Reading) -> str:
    """The cell for tables."""
    return "average over cells" if reading.cell is None else " × ".join(reading.cell.values())


def render(result: MatchedDraws) -> str:
    """Sentences, a row for the average and each cell, moderators, warnings and notes."""
    lines = [f"{result.name}: {result.arm} minus {result.baseline} ({result.units})"]
    for sentence in result.sentences():
        lines += wrap("- " + sentence, hanging="  ")
    lines.append("")
    rows = [
        [
            cell_name(r), r.mean.n, number(r.mean.mean, sign=True),
            f"[{number(r.mean.ci_low)}, {number(r.mean.ci_high)}]", r.mean.p,
            sd_text(r.interplay), percent(r.sign.share), sd_text(r.hp),
        ]
        for r in result.readings
    ]  # fmt: skip
    head = ["cell", "draws", "effect", "interval", "p", "interplay SD", "turns", "hp SD"]
    lines += columns(head, rows)
    if result.moderators:
        lines += ["", "Hyperparameters that the effect goes along with (exploratory)"]
        lines += columns(
            ["hp", "rank corr.", "p", "p adj", "from", "to", "change", "interval"],
            [
                [
                    m.name, m.rho, m.p, p_value(m.p_adjusted), m.quartile_low, m.quartile_high,
                    number(m.change, sign=True),
                    f"[{number(m.change_low)}, {number(m.change_high)}]",
                ]
                for m in result.moderators
            ],
        )  # fmt: skip
    lines.append("")
    for warning in result.warnings:
        lines += wrap("Warning: " + warning, hanging="  ")
    for note in result.notes:
        lines += wrap("Note: " + note, hanging="  ")
    lines += wrap(f"Method: {result.method}.", hanging="  ")
    return "\n".join(lines) + "\n"
