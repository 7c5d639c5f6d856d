"""Section "In how many cells?": counts, averages over cells and backbones, a further cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stats.figures.comparison import cell_title
from stats.report.section import Answer, Section, Table, interval, signed
from stats.wording import number, p_value

if TYPE_CHECKING:
    from stats.replication.outcome import Claim, Replicated, Replication
    from stats.report.study import PairedStudy

MOST_ANSWERS = 8
TITLE = "In how many cells?"


def in_how_many_cells(study: PairedStudy) -> Section:
    """Lower bounds on cells improved and harmed, the averages' readings, the prediction."""
    from stats.contrast import against
    from stats.replication.replicate import replicate

    o = study.options
    contrasts = [c for arm in study.arms for c in against(arm, study.roles.baselines)]
    done = replicate(
        study.table, contrasts, alpha=o.alpha, confidence_level=o.confidence_level,
        n_resamples=o.n_resamples, rng=o.seed,
    )  # fmt: skip
    answers = [Answer(_claim(claim)) for claim in done.claims if claim.count.observed]
    answers += [Answer(_sentence(item)) for item in done.contrasts[:MOST_ANSWERS]]
    if len(done.contrasts) > MOST_ANSWERS:
        answers.append(Answer(f"And {len(done.contrasts) - MOST_ANSWERS} more, in the tables."))
    return Section(
        TITLE,
        tuple(answers),
        (_counts(done), _readings(done), *([_claims(done)] if done.claims else [])),
        (),
        tuple(_notes(done)),
        done.to_dict(),
    )


def _sentence(item: Replicated) -> str:
    better, worse = item.improved, item.harmed
    text = (
        f"{item.contrast}: improved in at least {better.k} of {better.n} cells (observed "
        f"{better.observed}), harmed in at least {worse.k} (observed {worse.observed})."
    )
    if item.prediction.low == item.prediction.low:
        text += (
            f" In a cell of one more {item.prediction.unit} expect "
            f"{item.prediction.sentence.split('. ')[0]}."
        )
    return text


def _claim(claim: Claim) -> str:
    word = "better" if claim.alternative == "greater" else "worse"
    return (
        f"{claim.average.sentence} {claim.arm} is {word} than all of "
        f"{', '.join(claim.baselines)} in at least {claim.count.k} of {claim.count.n} cells."
    )


def _counts(done: Replication) -> Table:
    level = f"{1 - done.alpha:.0%}"
    return Table.of(
        "How many cells",
        ["contrast", "cells", "improved ≥", "harmed ≥", "observed better", "observed worse"],
        [
            [i.contrast, i.improved.n, i.improved.k, i.harmed.k, i.improved.observed,
             i.harmed.observed]
            for i in done.contrasts
        ],
        f"Lower bounds, each with {level} confidence (partial conjunction, Bonferroni form: valid "
        "for any dependence between cells).",
    )  # fmt: skip


def _readings(done: Replication) -> Table:
    rows = []
    for item in done.contrasts:
        for name, a in (
            ("over these cells", item.average),
            (f"over a population of {item.prediction.unit}s", item.population),
        ):
            rows.append(
                [item.contrast, name, signed(a.mean), interval(a.ci_low, a.ci_high),
                 number(a.df), p_value(a.p), p_value(a.p_signflip)]
            )  # fmt: skip
        p = item.prediction
        rows.append(
            [item.contrast, f"measured in a cell of one more {p.unit}", signed(p.mean),
             interval(p.low, p.high), "–", "–", "–"]
        )  # fmt: skip
    return Table.of(
        "Three readings of “on average”",
        ["contrast", "reading", "mean", "interval", "df", "p t", "p flip"],
        rows,
        "Unadjusted. The first is about these very cells; the second treats backbones as a sample; "
        "the third is a prediction interval for a measurement to come.",
    )


def _claims(done: Replication) -> Table:
    rows = []
    for claim in done.claims:
        for test, p in [*zip(claim.cells, claim.p_adjusted, strict=True),
                        (claim.average, claim.average.p)]:  # fmt: skip
            place = cell_title(test.cell) if test.cell is not None else "average over cells"
            rows.append(
                [f"{claim.arm} {'>' if claim.alternative == 'greater' else '<'} all", place,
                 test.deciding, signed(test.delta), number(test.bound), p_value(test.p),
                 p_value(p)]
            )  # fmt: skip
    return Table.of(
        "Against all baselines at once",
        ["claim", "cell", "deciding baseline", "difference", "bound", "p", "p adjusted"],
        rows,
        "Intersection-union test: the least favourable baseline decides; Holm over the cells.",
    )


def _notes(done: Replication) -> list[str]:
    warnings = [
        f"{name}: {text}."
        for item in done.contrasts[:1]
        for name, text in (
            ("Population", item.population.warning), ("Prediction", item.prediction.warning)
        )
        if text
    ]  # fmt: skip
    return [done.method[0].upper() + done.method[1:] + ".", *dict.fromkeys(warnings)]
