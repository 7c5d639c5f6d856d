"""``matched_draws``: from a paired table whose pairs lie in draws to everything said about them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from stats.contrast import Contrast
from stats.errors import StatsError, nearest
from stats.matched_draws.layout import Layout, Values, layout
from stats.matched_draws.moderators import moderators
from stats.matched_draws.outcome import DrawEffect, MatchedDraws, Reading
from stats.matched_draws.sign import sign_share
from stats.matched_draws.spread import METHOD, spread_over_draws
from stats.paired import check_level, paired_t, t_quantile
from stats.prepare import Prepared, Room, averaged, cell_indices, check_contrasts, in_cell
from stats.replication.average import Average
from stats.sample import Sample
from stats.signflip import N_RESAMPLES, sign_flip
from stats.table import Key, PairedTable, Scores, natural, show

ENOUGH = 20
"""Draws below which a warning says that few were taken."""

_ROOM = Room({}, None)  # limits play no part here


def matched_draws(
    table: PairedTable,
    contrast: Contrast,
    *,
    draw: str = "hp",
    cells: Sequence[Key] | None = None,
    settings: Mapping[str, Mapping[str, float]] | None = None,
    log: Collection[str] = (),
    independent: bool = True,
    own_seeds: bool = False,
    confidence_level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    rng: int = 0,
) -> MatchedDraws:
    """Compare an arm with its baseline over hyperparameter draws that both share.

    ``draw`` is the column of the draw, one of ``table.pair``; the pair's other columns, less those
    it shares with cells (a backbone), name replicate seeds. Backbones of one draw have its
    hyperparameters in common, so that the draw is the unit: its effect is the mean over benchmarks
    within the pair, over seeds within the backbone and then over backbones, and the mean over draws
    is tested by t with draws - 1 degrees of freedom, whatever the noise of seeds and backbones.
    Runs pooled over draws would treat seeds of one draw as independent, and reject too often
    wherever the effect depends on hyperparameters.

    ``cells`` are keys in the order of ``table.cell`` (None: all). ``settings`` gives each draw's
    hyperparameters by the draw's label, and ``log`` those whose logarithm is the natural scale.
    ``independent`` is False for draws of a space-filling sequence. ``own_seeds`` says that seeds of
    the same label in two draws are different random streams; where they may be the same, a warning
    says so, for what a seed does to the difference would then be shared by draws.

    Raises StatsError for unknown columns, arms, cells and draws, for fewer than two draws, and for
    a draw with fewer than two planned seeds: the interplay would be confounded with seed noise.
    """
    check_level(confidence_level)
    _check_columns(table, draw)
    scores = table.scores()
    check_contrasts([contrast], scores, "contrast")
    chosen = cell_indices(cells, scores, table, "cells")
    place = table.pair.index(draw)
    order = list(dict.fromkeys(key[place] for key in sorted(scores.pairs, key=natural)))
    _check_replicates(table, scores, contrast, chosen, place)
    known = _check_settings(settings, order)
    random = np.random.default_rng(rng)

    def read(prepared: Prepared, columns: Sequence[int], flips: bool) -> Reading:
        return _read(
            table, scores, contrast, prepared, columns, place, order, known, confidence_level,
            n_resamples if flips else 0, rng, random,
        )  # fmt: skip

    overall = read(averaged(contrast, chosen, table, scores, _ROOM), chosen, True)
    each = [(in_cell(contrast, c, scores, _ROOM), [c]) for c in chosen] if len(chosen) > 1 else []
    by_cell = tuple(read(one, at, False) for one, at in each if one is not None)
    effects = np.array([d.effect for d in overall.draws])
    names = list(dict.fromkeys(name for values in known.values() for name in values))
    found = moderators(
        effects,
        {name: [d.settings.get(name, math.nan) for d in overall.draws] for name in names},
        log=log, confidence_level=confidence_level, n_resamples=n_resamples, rng=random,
    )  # fmt: skip
    return MatchedDraws(
        name=contrast.name,
        arm=" + ".join(contrast.arms),
        baseline=" + ".join(contrast.baselines),
        overall=overall,
        cells=by_cell,
        moderators=found,
        units=table.units,
        estimand="effect averaged over the space that the draws were taken from, in these cells",
        method=f"t over draw means, sign flips of draws beside; interplay: {METHOD}",
        notes=_notes(independent, bool(by_cell), bool(found)),
        warnings=_warnings(table, scores, overall, place, own_seeds),
        confidence_level=confidence_level,
        rng_seed=rng,
    )


def _read(
    table: PairedTable,
    scores: Scores,
    contrast: Contrast,
    prepared: Prepared,
    columns: Sequence[int],
    place: int,
    order: Sequence[str],
    settings: Mapping[str, Mapping[str, float]],
    level: float,
    n_flips: int,
    seed: int,
    rng: np.random.Generator,
) -> Reading:
    sample = prepared.sample
    where = sample.all_pairs
    difference = np.concatenate(sample.values) if sample.values else np.empty(0)
    keys = [scores.pairs[int(i)] for i in where]
    labels = tuple(key[place] for key in keys)
    groups = tuple(table.group_of(key, table.pair) for key in keys)
    differences = Values(difference, labels, groups, sample.magnitude)
    data = layout(differences, order)
    base = dataclasses.replace(
        differences, values=_baseline(scores, contrast, where, columns, groups, table)
    )
    below = layout(base, order)
    interplay = spread_over_draws(data, "mechanism x hp", level)
    return Reading(
        cell=None
        if prepared.cell is None
        else dict(zip(table.cell, prepared.cell, strict=True)),
        mean=_mean(data, sample.magnitude, level, n_flips, seed, table.units),
        interplay=interplay,
        hp=spread_over_draws(below, "hp", level),
        sign=sign_share(data, interplay.variance, level, rng=rng),
        draws=_draws(data, below, settings, level),
        n_broken=prepared.n_broken,
        left_out=data.left_out,
    )  # fmt: skip


def _baseline(
    scores: Scores,
    contrast: Contrast,
    where: np.ndarray,
    columns: Sequence[int],
    groups: Sequence[Key],
    table: PairedTable,
) -> np.ndarray:
    """The baseline's score of each pair, averaged over the cells that its difference is over."""
    weights = {arm: -w for arm, w in contrast.weights.items() if w < 0}
    total = math.fsum(weights.values())
    mean = sum(
        weight / total * scores.values[scores.arms.index(arm)] for arm, weight in weights.items()
    )
    of_group: dict[Key, list[int]] = {}
    for c in columns:
        of_group.setdefault(table.group_of(scores.cells[c], table.cell), []).append(c)
    return np.array(
        [
            float(np.asarray(mean)[int(pair), of_group[group]].mean())
            for pair, group in zip(where, groups, strict=True)
        ]
    )


def _mean(
    data: Layout, magnitude: float, level: float, n_flips: int, seed: int, units: str
) -> Average:
    """The t test over draws; sign flips of draws beside it unless ``n_flips`` is 0."""
    sample = Sample.of([data.means], magnitude=magnitude)
    t = paired_t(sample, confidence_level=level)
    count, single, warning = len(data.draws), math.nan, ""
    if math.isnan(t.p):
        warning = "no test is possible: the means of the draws do not vary"
    elif count < ENOUGH:
        warning = f"{count} draws are few for a whole space: take {ENOUGH}"
    if n_flips and not math.isnan(t.p):
        single = sign_flip(sample, n_resamples=n_flips, rng=seed).p
    return Average(
        estimand="mean effect over the hyperparameter space of the draws, in these cells",
        method="t over draw means, degrees of freedom draws - 1; sign flips of draws beside",
        n=t.n,
        n_pairs=int(data.pairs.sum()),
        mean=t.mean,
        sd=t.sd,
        se=t.se,
        df=t.df,
        t=t.t,
        p=t.p,
        p_signflip=single,
        ci_low=t.ci_low,
        ci_high=t.ci_high,
        alternative=t.alternative,
        confidence_level=level,
        rng_seed=seed if n_flips else None,
        warning=warning,
        units=units,
    )


def _draws(
    data: Layout, below: Layout, settings: Mapping[str, Mapping[str, float]], level: float
) -> tuple[DrawEffect, ...]:
    half = t_quantile(0.5 + level / 2, data.df) * np.sqrt(data.noise)
    return tuple(
        DrawEffect(
            draw, float(data.means[i]), float(data.means[i] - half[i]),
            float(data.means[i] + half[i]), float(below.means[i]), int(data.pairs[i]),
            settings.get(draw, {}),
        )
        for i, draw in enumerate(data.draws)
    )  # fmt: skip


def _check_columns(table: PairedTable, draw: str) -> None:
    if draw not in table.pair:
        raise StatsError(
            f"'{draw}' is not a column that identifies a pair",
            place="draw", value=draw, hint=nearest(draw, table.pair),
        )  # fmt: skip
    if draw in table.cell:
        raise StatsError(
            f"'{draw}' identifies cells too, so that no cell holds several draws",
            place="draw", value=draw, hint="leave it out of the cell columns",
        )  # fmt: skip
    if not [name for name in table.pair if name != draw and name not in table.groups]:
        raise StatsError(
            "no column tells the seeds of a draw apart, so that the interplay of mechanism and "
            "hyperparameters is confounded with seed noise",
            place="pair", value=table.pair, hint="name the seed column, two seeds or more a draw",
        )  # fmt: skip


def _check_replicates(
    table: PairedTable, scores: Scores, contrast: Contrast, chosen: Sequence[int], place: int
) -> None:
    """Raise StatsError where one seed only was planned for a draw."""
    index = [scores.arms.index(arm) for arm in contrast.weights]
    present = scores.present[np.ix_(index, range(len(scores.pairs)), chosen)]
    planned: np.ndarray = np.asarray(present.any(axis=(0, 2)))
    seeds: dict[tuple[Key, str], int] = {}
    for key, is_planned in zip(scores.pairs, planned, strict=True):
        if is_planned:
            at = (table.group_of(key, table.pair), key[place])
            seeds[at] = seeds.get(at, 0) + 1
    for (group, draw), count in seeds.items():
        if count < 2:
            where = f" in {show(table.groups, group)}" if group else ""
            raise StatsError(
                f"draw {draw} has one seed{where}, so that the interplay of mechanism and "
                "hyperparameters is confounded with seed noise",
                place=f"column '{table.pair[place]}'", value=draw,
                hint="run two seeds or more for each draw",
            )  # fmt: skip


def _check_settings(
    settings: Mapping[str, Mapping[str, float]] | None, order: Sequence[str]
) -> Mapping[str, Mapping[str, float]]:
    if settings is None:
        return {}
    known = {str(draw): dict(values) for draw, values in settings.items()}
    names = list(dict.fromkeys(name for values in known.values() for name in values))
    for draw in order:
        lacking = [name for name in names if name not in known.get(draw, {})]
        if draw not in known or lacking:
            what = f"no value of '{lacking[0]}'" if draw in known else "no hyperparameters"
            raise StatsError(
                f"draw {draw} has {what}",
                place="settings", value=draw, hint=nearest(draw, known),
            )  # fmt: skip
    return known


def _notes(independent: bool, in_cells: bool, moderated: bool) -> tuple[str, ...]:
    notes = [
        "The interplay's SD and the share where the sign turns speak of true effects, seed noise "
        "taken off; both take effects over draws, and seeds, as normal."
    ]
    if in_cells:
        notes.append("Intervals and p of single cells are unadjusted.")
    if moderated:
        notes.append(
            "Which hyperparameters go along with the effect is exploratory, also where the p "
            "adjusted over them is small."
        )
    if not independent:
        notes.append(
            "The draws fill the space evenly and are not independent: the interval of the mean is "
            "wider than it need be (conservative), and the interplay is judged as if they were."
        )
    return tuple(notes)


def _warnings(
    table: PairedTable, scores: Scores, overall: Reading, place: int, own_seeds: bool
) -> tuple[str, ...]:
    out = []
    if overall.mean.warning:
        out.append(overall.mean.warning[0].upper() + overall.mean.warning[1:] + ".")
    lost = len(overall.left_out)
    if lost:
        out.append(
            f"{lost} draw{'s have' if lost > 1 else ' has'} no complete pair in some group and "
            f"{'are' if lost > 1 else 'is'} left out: where failing goes with hyperparameters, the "
            "rest is no longer a sample of the space."
        )
    if not own_seeds and _shared_seeds(table, scores, place):
        out.append(
            "Seeds of the same label occur in several draws. If they are the same random streams, "
            "what a seed does to the difference does not average out over draws, and the test of "
            "the mean rejects too often: give each draw seeds of its own."
        )
    return tuple(out)


def _shared_seeds(table: PairedTable, scores: Scores, place: int) -> bool:
    """Whether a seed's label occurs in two draws of a group."""
    columns = [i for i in range(len(table.pair)) if i != place]
    seen: dict[Key, str] = {}
    return any(
        seen.setdefault(tuple(key[i] for i in columns), key[place]) != key[place]
        for key in scores.pairs
    )
