"""Sections of repeated single runs: the noise floor, ranking, shifts, which entries repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stats.figures.repeatability import difference_plot, ranking_plot, residual_map, shift_plot
from stats.repeatability import text
from stats.report.section import Answer, Picture, Section, Table, interval, signed
from stats.wording import number, p_value

if TYPE_CHECKING:
    from stats.repeatability.result import NoiseFloor
    from stats.report.study import RepeatedStudy

MOST_ROWS = 80
"""Entries that a list or a map shows."""


def noise_floor(study: RepeatedStudy) -> Section:
    """The two critical differences, sigma, and the check that assumes no distribution."""
    f = study.floor
    rows = [
        ["one comparison chosen beforehand", f.floor, interval(f.floor_low, f.floor_high),
         "t(df) √2 sigma"],
        [f"all pairs of {f.n_entries} {text.plural(f.entry)}", f.floor_all,
         interval(f.floor_all * f.sigma_low / f.sigma, f.floor_all * f.sigma_high / f.sigma),
         "studentised range q × sigma"],
        ["SD of one run (sigma)", f.sigma, interval(f.sigma_low, f.sigma_high),
         f"REML; within entries alone {number(f.sigma_within)}"],
        [f"SD between {text.plural(f.entry)}", f.entry_sd, "–", "REML"],
        [f"{1 - f.check.expected:.0%} of differences seen are below", f.check.quantile,
         interval(f.check.quantile_low, f.check.quantile_high), "no distribution assumed"],
    ]  # fmt: skip
    tables = (
        Table.of(
            "What two single runs must differ by",
            ["", f.units, f"{f.confidence_level:.0%} interval", "how"],
            rows,
            f"{f.df} degrees of freedom (runs − {text.plural(f.entry)} − {text.plural(f.occasion)} "
            "+ 1). Intervals of the floors carry over that of sigma.",
        ),
        _sensitivity(study, f),
    )
    figures: tuple[Picture, ...] = ()
    if study.options.figures and f.check.pairs:
        figures = (
            Picture.of(
                "differences",
                difference_plot(f, label=study.label),
                "Share of pairs of runs of one entry that differ by more than a given amount, "
                "beside that of normal noise; the floor is marked.",
                f"Pairs of runs of one {f.entry}, shifts of {text.plural(f.occasion)} taken off as "
                f"the other {text.plural(f.entry)} show them. Right of the dashed line lies what "
                f"the floor would call a difference; dotted: {f.check.expected:.0%}.",
            ),
        )
    return Section(
        "Noise floor",
        _answers(text.floor_sentence(f), text.scatter_sentence(f), text.check_sentence(f),
                 text.seeds_sentence(f)),
        tables,
        figures,
        (
            f"Model, in lme4's syntax: {f.formula}",
            f.method[0].upper() + f.method[1:] + ".",
            f"With one run per {f.entry} and {f.occasion}, what a {f.entry} gains or loses of its "
            f"own on a {f.occasion} cannot be told from noise and is in sigma.",
            f"A difference below the floor is not shown to be real; it is not shown to be absent. "
            f"A {f.entry} measured k times is known √k times better: repeats, or pairs of seeds, "
            "lower the floor.",
            *f.notes,
        ),
        f.to_dict(),
    )  # fmt: skip


def ranking(study: RepeatedStudy) -> Section:
    """What the floor leaves of each occasion's ranking."""
    f = study.floor
    rows = [
        [r.occasion, r.runs, f"{r.close} of {r.neighbours}", study.label(r.best), r.leaders,
         f"{r.apart / r.pairs:.0%}", f"{r.apart_all / r.pairs:.0%}"]
        for r in f.rankings
    ]  # fmt: skip
    figures: tuple[Picture, ...] = ()
    if study.options.figures and f.rankings:
        top = max(f.rankings, key=lambda r: r.runs)
        if top.runs <= MOST_ROWS:
            figures = (
                Picture.of(
                    "ranking",
                    ranking_plot(f, top.occasion, label=study.label),
                    f"Scores on {top.occasion}, the best first, each with half the floor on either "
                    f"side; {top.leaders} entries are within the floor of the best.",
                    "Bars that do not overlap are told apart: thick ones in one comparison chosen "
                    "beforehand, thin ones among all pairs. Grey: within the floor of the best.",
                ),
            )
    return Section(
        "The ranking",
        _answers(text.ranking_sentence(f)),
        (
            Table.of(
                f"The ranking of each {f.occasion}",
                [f.occasion, "runs", "neighbours closer than the floor", "first",
                 "not told apart from the first", "pairs apart, chosen", "pairs apart, all"],
                rows,
                "Chosen: differ by the floor of one comparison; all: by that of all pairs.",
            ),
        ),
        figures,
        (
            f"Reliability of a single run (ICC): {f.reliability:.3f} [{f.reliability_low:.3f}, "
            f"{f.reliability_high:.3f}], the share of the variance of runs on one {f.occasion} "
            f"that lies between {text.plural(f.entry)}. It speaks for the whole range of scores, "
            "from the worst to the best, and not for neighbours.",
        ),
        {"rankings": [vars(r) for r in f.rankings]},
    )  # fmt: skip


def shifts(study: RepeatedStudy) -> Section:
    """How far occasions are shifted, and what hangs together."""
    f = study.floor
    tables = [
        Table.of(
            f"Mean shift against {f.reference}",
            [f.occasion, "runs", f"shared with {f.reference}", "shift", "simultaneous", "se", "df",
             "p adjusted"],
            [
                [o.occasion + (" (reference)" if o is f.occasions[0] else ""), o.runs, o.shared,
                 "–" if o is f.occasions[0] else signed(o.shift),
                 interval(o.low, o.high), number(o.se), number(o.df), p_value(o.p_adjusted)]
                for o in f.occasions
            ],
            f"{f.units[0].upper()}{f.units[1:]}. Intervals and adjusted p hold together over all "
            f"{text.plural(f.occasion)} (Dunnett). Shared: {text.plural(f.entry)} that ran on "
            "both; where there are none, the comparison goes by a chain of others.",
        ),
        Table.of(
            f"{f.occasion.capitalize()} by {f.occasion}, entry by entry",
            ["earlier", "later", "shared", "mean difference", "repeat SD",
             "repeat SD without the worst", "rank correlation"],
            [
                [o.first, o.second, o.shared, signed(o.difference), o.repeat_sd, o.repeat_sd_kept,
                 f"{o.rank_correlation:.3f}"]
                for o in sorted(f.overlaps, key=lambda o: -o.shared)
            ],
            f"Pairs of {text.plural(f.occasion)} that share three {text.plural(f.entry)} or more. "
            "Repeat SD: that of the differences over √2, comparable with sigma. Unadjusted.",
        ),
    ]  # fmt: skip
    figures: tuple[Picture, ...] = ()
    if study.options.figures:
        figures = (
            Picture.of(
                "shifts",
                shift_plot(f),
                f"Mean shift of each {f.occasion} against {f.reference} with simultaneous "
                "intervals; the numbers are in the table above.",
                f"Mean shift against {f.reference}; at the right the number of "
                f"{text.plural(f.entry)} shared with it.",
            ),
        )
    return Section(
        f"Shifts between {text.plural(f.occasion)}",
        _answers(text.shift_sentence(f), *text.apart_sentences(f)),
        tuple(tables),
        figures,
        (),
        {"occasions": [vars(o) for o in f.occasions], "apart": [vars(a) for a in f.apart]},
    )


def entries(study: RepeatedStudy) -> Section:
    """Which entries repeat worse than the others; the map of residuals."""
    f = study.floor
    figures: tuple[Picture, ...] = ()
    if study.options.figures and len(f.entries) <= MOST_ROWS:
        figures = (
            Picture.of(
                "residuals-map",
                residual_map(f, label=study.label),
                "What is left of each run when its entry's mean and its occasion's shift are taken "
                "off, as colours; the entry that repeats worst on top.",
                f"Residuals: white as expected, blue above, orange below, grey no run. A row of "
                f"strong colours is a {f.entry} that repeats badly, a column of one colour would "
                "be a shift that the model missed. Numbers: beyond two sigma.",
            ),
        )
    shown = f.entries[:MOST_ROWS]
    return Section(
        f"Which {text.plural(f.entry)} repeat badly",
        _answers(text.worst_sentence(f), text.interplay_sentence(f)),
        (
            Table.of(
                f"Repeats of each {f.entry}, the worst first",
                [f.entry, "runs", f"score as in {f.reference}", "SD of its runs", "F", "df",
                 "p", "p adjusted"],
                [
                    [study.label(e.entry), e.runs, number(e.adjusted), number(e.sd), number(e.f),
                     f"{e.df}, {e.df_rest}", p_value(e.p), p_value(e.p_adjusted)]
                    for e in shown
                ],
                "F: the variance of its runs against that of all others, shifts taken off "
                "(deletion of a block); p adjusted by Holm.",
            ),
        ),
        figures,
        (f"{len(f.entries) - len(shown)} more are not listed.",) if len(f.entries) > len(shown)
        else (),
        {"entries": [vars(e) for e in f.entries]},
    )  # fmt: skip


def _sensitivity(study: RepeatedStudy, f: NoiseFloor) -> Table:
    rows = [
        [_short(s.name, study), s.entries, s.runs, s.sigma, s.floor, f"{s.reliability:.3f}"]
        for s in f.sensitivity
    ]
    return Table.of(
        "The floor on a choice of entries (exploratory)",
        [text.plural(f.entry), "number", "runs", "sigma", "floor", "reliability"],
        rows,
        "Chosen after seeing the data: it shows what the floor hangs on, not a better floor.",
    )


def _short(name: str, study: RepeatedStudy) -> str:
    part = study.shared_part
    return name.replace(part, " ") if part else name


def _answers(*sentences: str) -> tuple[Answer, ...]:
    return tuple(Answer(sentence) for sentence in sentences if sentence)
