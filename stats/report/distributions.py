"""Section "Distributions": interquartile means, P(improvement), performance profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stats.report.section import Answer, Picture, Section, Table, interval, signed
from stats.wording import number

if TYPE_CHECKING:
    from stats.report.study import PairedStudy

MOST_PROFILES = 4
RESAMPLES = 4000


def distributions(study: PairedStudy) -> Section:
    """The arms' scores as distributions over runs, each against the (first) baseline."""
    from stats.describe.improvement import probability_of_improvement
    from stats.describe.iqm import iqm
    from stats.describe.profiles import performance_profile
    from stats.figures.describe import profile_plot

    o, base = study.options, study.roles.baselines[0]
    given: dict[str, Any] = {
        "confidence_level": o.confidence_level, "n_resamples": RESAMPLES, "rng": o.seed,
    }  # fmt: skip
    means = [iqm(study.table, arm, base, **given) for arm in study.arms]
    wins = [probability_of_improvement(study.table, arm, base, **given) for arm in study.arms]
    best = max(wins, key=lambda w: w.probability)
    answers = [
        Answer(
            f"{best.arm} beats {base} in {best.wins} of {best.wins + best.ties + best.losses} "
            f"pairs x cells: P(improvement) {best.probability:.2f} [{best.ci_low:.2f}, "
            f"{best.ci_high:.2f}], {best.decision}."
        )
    ]
    tables = (
        Table.of(
            "Interquartile means and P(improvement)",
            ["arm", "IQM", "baseline's", "difference", "interval", "P(improvement)",
             "interval of P", "wins / ties / losses", "decision"],
            [
                [m.arm, number(m.iqm_arm), number(m.iqm_baseline), signed(m.delta),
                 interval(m.ci_low, m.ci_high), f"{w.probability:.2f}",
                 f"[{w.ci_low:.2f}, {w.ci_high:.2f}]", f"{w.wins} / {w.ties} / {w.losses}",
                 w.decision]
                for m, w in zip(means, wins, strict=True)
            ],
            f"{study.table.units[0].upper()}{study.table.units[1:]}; unadjusted descriptions, the "
            "test is that of the mean difference. The interquartile mean pools the scores of all "
            "cells, so that they should be on one scale.",
        ),
    )  # fmt: skip
    figures: tuple[Picture, ...] = ()
    if o.figures:
        figures = tuple(
            Picture.of(
                f"profile-{i + 1}",
                profile_plot(performance_profile(study.table, arm, base, **given)),
                f"Share of runs above each threshold for {arm} and {base}, and their difference.",
                f"Performance profiles of {arm} and {base}; bands are pointwise.",
            )
            for i, arm in enumerate(study.arms[:MOST_PROFILES])
        )
    notes = []
    if o.figures and len(study.arms) > MOST_PROFILES:
        notes.append(f"Profiles are drawn for the first {MOST_PROFILES} arms.")
    return Section(
        "Distributions", tuple(answers), tables, figures, tuple(notes),
        {"iqm": [m.to_dict() for m in means], "improvement": [w.to_dict() for w in wins]},
    )  # fmt: skip
