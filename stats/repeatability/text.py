"""A noise floor in words: the sentences, and the text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scipy import special

from stats.layout import columns, wrap
from stats.wording import number, p_value, plural

if TYPE_CHECKING:
    from stats.repeatability.result import NoiseFloor, OccasionShift

MIN_COMPARED = 10
"""Shared entries from which the repeat SD of two occasions is worth a sentence."""
MOST_NAMES = 6


def answers(f: NoiseFloor) -> tuple[str, ...]:
    """The noise floor, what it does to the ranking, the shifts, and what weakens it all."""
    found = (
        floor_sentence(f),
        scatter_sentence(f),
        ranking_sentence(f),
        shift_sentence(f),
        *apart_sentences(f),
        check_sentence(f),
        interplay_sentence(f),
        worst_sentence(f),
        seeds_sentence(f),
    )
    return tuple(text for text in found if text)


def floor_sentence(f: NoiseFloor) -> str:
    """The headline: the two critical differences."""
    return (
        f"Two single runs of one {f.occasion} must differ by at least {number(f.floor)} {f.units} "
        f"[{number(f.floor_low)}, {number(f.floor_high)}] before a comparison of two "
        f"{plural(f.entry)} chosen beforehand says anything ({f.confidence_level:.0%}); among all "
        f"{f.n_entries} {plural(f.entry)}, where any difference may catch the eye, by "
        f"{number(f.floor_all)}."
    )


def scatter_sentence(f: NoiseFloor) -> str:
    """Sigma, and what it rests on."""
    return (
        f"Repeated runs of one {f.entry} scatter with an SD of {number(f.sigma)} {f.units} "
        f"[{number(f.sigma_low)}, {number(f.sigma_high)}], the common shift of each {f.occasion} "
        f"taken off ({f.n_repeated} {plural(f.entry, f.n_repeated)} with two runs or more, {f.df} "
        "degrees of freedom)."
    )


def ranking_sentence(f: NoiseFloor) -> str:
    """What the floor does to the ranking of the occasion with most runs; "" without one."""
    if not f.rankings:
        return ""
    r = max(f.rankings, key=lambda ranking: ranking.runs)
    return (
        f"In the ranking of {r.occasion}, {r.close} of {r.neighbours} neighbours are closer than "
        f"{number(f.floor)} {f.units}: their order is not told. {r.leaders} of its {r.runs} "
        f"{plural(f.entry)}, the first ({r.best}) included, are within {number(f.floor_all)} "
        f"{f.units} of the first."
    )


def shift_sentence(f: NoiseFloor) -> str:
    """Which occasions are shifted against the first, by how much."""
    alpha = 1 - f.confidence_level
    test = (
        f"F({f.shift_num_df}, {f.shift_den_df:.1f}) = {number(f.shift_f)}, p "
        f"{p_value(f.shift_p, equals=True)}"
    )
    moved = [o for o in f.occasions[1:] if o.p_adjusted <= alpha]
    others = [o for o in f.occasions[1:] if o.p_adjusted > alpha]
    if not moved:
        return (
            f"No shift between {plural(f.occasion)} is shown against {f.reference} ({test}), "
            "which does not show that there is none."
        )
    shown = "; ".join(_shift(o, f.units) for o in moved)
    whole = (
        f"Whole {plural(f.occasion)} are shifted ({test}): against {f.reference}, {shown}. Scores "
        f"of different {plural(f.occasion)} must not be compared as they stand."
    )
    if others:
        names = ", ".join(o.occasion for o in others)
        whole += f" For {names} no shift is shown, which does not show that there is none."
    return whole


def apart_sentences(f: NoiseFloor) -> tuple[str, ...]:
    """What is not connected with the rest, a sentence for each part."""
    out = []
    for part in f.apart:
        several = len(part.occasions) > 1
        out.append(
            f"{plural(f.occasion, len(part.occasions)).capitalize()} {_named(part.occasions)} "
            f"share{'' if several else 's'} no {f.entry} with the rest ({part.runs} "
            f"run{'s' if part.runs > 1 else ''}: {_named(part.entries)}): whether a score there is "
            f"due to the {f.occasion} or to the {f.entry} cannot be told. It is left out of shifts "
            "and noise."
        )
    return tuple(out)


def check_sentence(f: NoiseFloor) -> str:
    """How the floor fares against the repeats themselves; "" where none can be held against it."""
    c = f.check
    if not c.pairs:
        return ""
    tails = (
        "the tails are heavier than normal ones, so that the floor of all pairs may be too low"
        if c.kurtosis > 1
        else "the tails are about normal"
    )
    seen = (
        f", and {1 - c.expected:.0%} of them by at most {number(c.quantile)} {f.units} "
        f"[{number(c.quantile_low)}, {number(c.quantile_high)}]"
        if c.quantile == c.quantile
        else ""
    )
    return (
        f"Without assuming a distribution: {c.share:.1%} [{c.share_low:.1%}, {c.share_high:.1%}] "
        f"of {c.pairs} pairs of runs of the same {f.entry} differ by more than the floor that the "
        f"other {plural(f.entry)} give ({c.expected:.0%} expected){seen}; {tails} (excess kurtosis "
        f"{number(c.kurtosis, sign=True)})."
    )


def interplay_sentence(f: NoiseFloor) -> str:
    """Whether entries react each on its own to a change of occasion; "" where nothing shows it.

    The largest and the smallest repeat SD of two occasions are compared by an F test, Bonferroni
    over all ways to choose them.
    """
    compared = sorted(
        (o for o in f.overlaps if o.shared >= MIN_COMPARED and o.repeat_sd_kept > 0),
        key=lambda o: o.repeat_sd_kept,
    )
    if len(compared) < 2:
        return ""
    least, most = compared[0], compared[-1]
    ratio = (most.repeat_sd_kept / least.repeat_sd_kept) ** 2
    kept = len(f.worst)  # at most so many of the shared entries were left out
    p = float(special.fdtrc(most.shared - kept - 1, least.shared - kept - 1, ratio))
    p = min(1.0, p * len(compared) * (len(compared) - 1))
    if p > 1 - f.confidence_level:
        return ""
    but = f", {_named(f.worst)} left out" if f.worst else ""
    return (
        f"From {least.first} to {least.second} {plural(f.entry)} repeat with an SD of "
        f"{number(least.repeat_sd_kept)}, from {most.first} to {most.second} with "
        f"{number(most.repeat_sd_kept)} {f.units}{but} (p {p_value(p, equals=True)}, adjusted): "
        f"{plural(f.entry)} gain and lose by some changes of {f.occasion} each on its own. The "
        f"floor counts this as noise, as a claim must that is to outlast its {f.occasion}; mere "
        "re-running strays less."
    )


def worst_sentence(f: NoiseFloor) -> str:
    """Which entries repeat worse than the others, and the floor without them."""
    if not f.worst:
        return f"No single {f.entry} is shown to repeat worse than the others."
    rows = {e.entry: e for e in f.entries}
    named = ", ".join(f"{name} (SD {number(rows[name].sd)})" for name in f.worst[:MOST_NAMES])
    named += ", ..." if len(f.worst) > MOST_NAMES else ""
    without = next((s for s in f.sensitivity if s.name.startswith("without")), None)
    then = (
        f" Without {'it' if len(f.worst) == 1 else 'them'} the floor would be "
        f"{number(without.floor)} {f.units} (exploratory: chosen after seeing the data)."
        if without
        else ""
    )
    verb = "repeats" if len(f.worst) == 1 else "repeat"
    return f"{named} {verb} worse than the others (adjusted by Holm).{then}"


def seeds_sentence(f: NoiseFloor) -> str:
    """What a table without seeds cannot tell."""
    return (
        "The table has no seeds. If all runs used the same one, what another seed would change is "
        f"not in the floor, and the difference that two {plural(f.entry)} must show is larger."
    )


def _shift(o: OccasionShift, units: str) -> str:
    chain = "" if o.shared else ", by a chain of others: they share none"
    return (
        f"{o.occasion} by {number(o.shift, sign=True)} {units} [{number(o.low)}, "
        f"{number(o.high)}]{chain}"
    )


def _named(names: tuple[str, ...]) -> str:
    return ", ".join(names[:MOST_NAMES]) + (", ..." if len(names) > MOST_NAMES else "")


def render(f: NoiseFloor) -> str:
    """The answers, the shifts, the entries that repeat worst, and how it was done."""
    lines = [
        f"Noise floor of single runs ({f.units}; {f.n} runs, {f.n_fitted} {plural(f.entry)}, "
        f"{f.n_occasions} {plural(f.occasion)})",
        "",
    ]
    for text in answers(f):
        lines += wrap("- " + text, hanging="  ")
    lines += ["", f"Shift against {f.reference}"]
    lines += columns(
        [f.occasion, "runs", "shared", "shift", "low", "high", "p adj"],
        [
            [o.occasion, o.runs, o.shared, number(o.shift, sign=True), number(o.low),
             number(o.high), p_value(o.p_adjusted)]
            for o in f.occasions[1:]
        ],
    )  # fmt: skip
    lines += ["", f"How single {plural(f.entry)} repeat, the worst first"]
    lines += columns(
        [f.entry, "runs", "score", "SD", "F", "p adj"],
        [
            [e.entry, e.runs, number(e.adjusted), number(e.sd), number(e.f),
             p_value(e.p_adjusted)]
            for e in f.entries[:10]
        ],
    )  # fmt: skip
    lines += ["", *wrap(f"Model: {f.formula}", hanging="  ")]
    lines += wrap(
        f"{f.method[0].upper()}{f.method[1:]}. shared: {plural(f.entry)} that ran on both. low and "
        "high hold together over all shifts."
    )
    for note in f.notes:
        lines += wrap("Note: " + note, hanging="  ")
    return "\n".join(lines) + "\n"
