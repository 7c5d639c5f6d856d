"""Every statement of replicability on a table of paired runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from stats.contrast import Contrast
from stats.errors import StatsError
from stats.family import holm
from stats.paired import check_alternative, check_level
from stats.prepare import (
    Prepared,
    Room,
    averaged,
    broken_runs,
    cell_indices,
    check_contrasts,
    in_cell,
)
from stats.record import seed_of, versions
from stats.replication.average import new_cell, population, these_cells
from stats.replication.conjunction import count_effects
from stats.replication.exploratory import discoveries
from stats.replication.intersection import DIRECTIONS, intersection_unions
from stats.replication.outcome import Claim, Replicated, Replication
from stats.replication.rows import ContrastTest, contrast_tests, correction
from stats.signflip import N_RESAMPLES, check_resolution
from stats.table import Key, PairedTable, Scores
from stats.wording import plural

_ROOM = Room({}, None)  # limits play no part here


def replicate(
    table: PairedTable,
    contrasts: Sequence[Contrast],
    *,
    cells: Sequence[Key] | None = None,
    alternative: str = "two-sided",
    alpha: float = 0.05,
    confidence_level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    rng: int | np.random.Generator = 0,
) -> Replication:
    """Test every contrast in every cell, and say how far the effects replicate.

    One family, over all contrasts and ``cells`` (keys in the order of ``table.cell``; None: all),
    corrected by step-down max-T or Holm (``family.correct``) for ``alternative``. Beside it, per
    contrast: in how many cells it improves and harms at least, its average over these cells and
    over a population of the groups (the columns that pairs and cells share, such as the backbone),
    a prediction for a cell of a further group, and an exploratory false discovery rate.

    Contrasts with the same arms on their positive side (``contrast.against`` makes them) are also
    joined in a claim: better than all of their baselines, by intersection-union, in each cell and
    on average; worse than all of them where ``alternative`` is "less"; both, each at level alpha,
    where it is "two-sided". A contrast skips a cell in which one of its arms has no row at all, and
    its claim with it.

    Raises StatsError for unknown arms and cells, two contrasts of one name, a contrast that was run
    in no cell, values out of range, a table in which no contrast has two pairs, and pairs that lack
    a cell of an average (unless the table allows failed runs: then they are broken pairs).
    """
    check_alternative(alternative)
    check_level(alpha, "alpha")
    check_level(confidence_level)
    check_resolution(n_resamples, alpha)
    if not contrasts:
        raise StatsError("there is no contrast", place="contrasts", value=[])
    scores = table.scores()
    check_contrasts(contrasts, scores, "contrasts")
    chosen = cell_indices(cells, scores, table, "cells")
    prepared = [_in_cells(contrast, chosen, scores) for contrast in contrasts]
    tests = [test for by_cell in prepared for test in by_cell.values()]
    if not any(max((g.size for g in t.sample.values), default=0) > 1 for t in tests):
        raise StatsError(
            "no contrast has two complete pairs, so no inference is possible",
            place="table",
            hint="add pairs (6 or more let an exact test reach .05)",
        )
    flips, averages, claims = np.random.default_rng(rng).spawn(3)
    rows, family = contrast_tests(
        tests,
        table,
        alternative,
        alpha=alpha,
        confidence_level=confidence_level,
        n_resamples=n_resamples,
        rng=flips,
    )
    done, start = [], 0
    for contrast, by_cell in zip(contrasts, prepared, strict=True):
        its_rows = rows[start : start + len(by_cell)]
        start += len(by_cell)
        done.append(
            _replicated(
                contrast, by_cell, its_rows, table, scores,
                alternative=alternative, alpha=alpha, confidence_level=confidence_level,
                n_resamples=n_resamples, rng=averages,
            )
        )  # fmt: skip
    where = "their cells" if len({len(by_cell) for by_cell in prepared}) > 1 else "cells"
    return Replication(
        contrasts=tuple(done),
        claims=tuple(
            _claim(
                [contrasts[i] for i in members], [prepared[i] for i in members], direction, table,
                scores, alpha=alpha, n_resamples=n_resamples, rng=claims,
            )
            for members in _several_baselines(contrasts)
            for direction in DIRECTIONS
            if alternative in ("two-sided", direction)
        ),
        estimand=(
            f"mean over pairs ({', '.join(table.pair)}) of each contrast in each cell, at its "
            "fixed items and hyperparameters"
        ),
        method=(
            f"paired t in {len(tests)} tests of {len(contrasts)} "
            f"{plural('contrast', len(contrasts))} in {where}, adjusted "
            f"over {family.n_tests} by {correction(family)}"
        ),
        alternative=alternative,
        alpha=alpha,
        confidence_level=confidence_level,
        n_tests=family.n_tests,
        n_flips=family.n_flips,
        exact=family.exact,
        n_resamples=n_resamples,
        rng_seed=seed_of(rng),
        broken=broken_runs(scores, table, {arm for c in contrasts for arm in c.weights}),
        versions=versions(),
        units=table.units,
    )  # fmt: skip


def _in_cells(contrast: Contrast, chosen: list[int], scores: Scores) -> dict[int, Prepared]:
    """The contrast in each of the ``chosen`` cells in which it was run."""
    found = ((c, in_cell(contrast, c, scores, _ROOM)) for c in chosen)
    by_cell = {c: test for c, test in found if test is not None}
    if not by_cell:
        raise StatsError(
            "its arms were run together in no cell",
            place=f"contrast '{contrast.name}'",
            value=contrast.name,
        )
    return by_cell


def _replicated(
    contrast: Contrast,
    by_cell: dict[int, Prepared],
    rows: Sequence[ContrastTest],
    table: PairedTable,
    scores: Scores,
    *,
    alternative: str,
    alpha: float,
    confidence_level: float,
    n_resamples: int,
    rng: np.random.Generator,
) -> Replicated:
    """The statements on one contrast from its cells' tests."""
    unit, units = _unit(table), table.units
    whole = averaged(contrast, list(by_cell), table, scores, _ROOM)
    means: dict[Key, list[float]] = {}
    for c, row in zip(by_cell, rows, strict=True):
        means.setdefault(table.group_of(scores.cells[c], table.cell), []).append(row.delta)
    forms = ("bonferroni", "fisher") if _apart(by_cell) else ("bonferroni",)
    counts = {
        (direction, form): count_effects(
            [row.p_greater if direction == "greater" else row.p_less for row in rows],
            alpha=alpha,
            form=form,
            alternative=direction,
            observed=sum(
                row.delta > 0 if direction == "greater" else row.delta < 0 for row in rows
            ),
            what="cells",
        )
        for direction in DIRECTIONS
        for form in forms
    }
    side = {"two-sided": "p", "greater": "p_greater", "less": "p_less"}[alternative]
    one, two = (
        read(
            whole.sample,
            alternative,
            confidence_level=confidence_level,
            n_resamples=n_resamples,
            rng=rng,
            unit=unit,
            units=units,
        )
        for read in (these_cells, population)
    )
    return Replicated(
        contrast=contrast.name,
        arm=", ".join(contrast.arms),
        baseline=", ".join(contrast.baselines),
        estimand=f"{contrast.name} in {len(rows)} cells, and what they say together",
        method="paired t per cell; counts, averages and prediction as each of them says",
        cells=tuple(rows),
        improved=counts["greater", "bonferroni"],
        harmed=counts["less", "bonferroni"],
        improved_fisher=counts.get(("greater", "fisher")),
        harmed_fisher=counts.get(("less", "fisher")),
        average=one,
        population=two,
        prediction=new_cell(
            list(means.values()), confidence_level=confidence_level, unit=unit, units=units
        ),
        exploratory=discoveries(
            [getattr(row, side) for row in rows],
            ["/".join((row.cell or {}).values()) for row in rows],
            alpha=alpha,
        ),
    )


def _claim(
    contrasts: Sequence[Contrast],
    prepared: Sequence[dict[int, Prepared]],
    direction: str,
    table: PairedTable,
    scores: Scores,
    *,
    alpha: float,
    n_resamples: int,
    rng: np.random.Generator,
) -> Claim:
    """One arm against all its baselines, in the cells in which all contrasts were run."""
    shared = [c for c in prepared[0] if all(c in by_cell for by_cell in prepared)]
    arm = ", ".join(contrasts[0].arms)
    if not shared:
        raise StatsError(
            f"the baselines of '{arm}' were run together in no cell",
            place="contrasts",
            value=[contrast.name for contrast in contrasts],
            hint="ask for them one by one",
        )

    whole = [averaged(contrast, shared, table, scores, _ROOM) for contrast in contrasts]
    places = [dict(zip(table.cell, scores.cells[c], strict=True)) for c in shared]
    *cells, average = intersection_unions(
        [
            {part.contrast.name: part.sample for part in parts}
            for parts in [*([by_cell[c] for by_cell in prepared] for c in shared), whole]
        ],
        direction,
        subject=arm,
        cells=[*places, None],
        alpha=alpha,
        n_resamples=n_resamples,
        rng=rng,
        units=table.units,
    )
    p = [item.p for item in cells]
    baselines = tuple(", ".join(contrast.baselines) for contrast in contrasts)
    word, sign = ("better", 1) if direction == "greater" else ("worse", -1)
    return Claim(
        arm=arm,
        baselines=baselines,
        alternative=direction,
        estimand=f"{arm} is {word} than each of {', '.join(baselines)}: in each cell, on average",
        method=(
            f"intersection-union of one-sided paired t tests; Holm over {len(shared)} cells; the "
            "average apart"
        ),
        cells=tuple(cells),
        p_adjusted=tuple(holm(p).tolist()),
        average=average,
        count=count_effects(
            p,
            alpha=alpha,
            alternative=direction,
            observed=sum(all(sign * part.delta > 0 for part in item.parts) for item in cells),
            what="cells",
        ),
    )


def _several_baselines(contrasts: Sequence[Contrast]) -> Iterator[list[int]]:
    """The positions of contrasts that share their positive side, where there are several."""
    by_arms: dict[tuple[tuple[str, float], ...], list[int]] = {}
    for i, contrast in enumerate(contrasts):
        positive = sorted((arm, w) for arm, w in contrast.weights.items() if w > 0)
        by_arms.setdefault(tuple(positive), []).append(i)
    return (members for members in by_arms.values() if len(members) > 1)


def _apart(by_cell: dict[int, Prepared]) -> bool:
    """Whether no pair serves two cells, so that the cells' tests are independent."""
    pairs = [int(p) for test in by_cell.values() for p in test.sample.all_pairs]
    return len(pairs) == len(set(pairs))


def _unit(table: PairedTable) -> str:
    """The name of a group in sentences."""
    return "/".join(table.groups) or "group"
