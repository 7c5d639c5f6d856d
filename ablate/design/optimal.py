"""The D-optimal design: the points that tell the declared terms best, inert combinations once."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from ablate.design.crossing import crossing
from ablate.design.fraction import pair_notes, pairs, requested
from ablate.design.naming import compact
from ablate.design.registry import Layout, register_design
from ablate.design.sameness import acting_levels, distinct
from ablate.errors import AblateError

if TYPE_CHECKING:
    from ablate.design.sameness import Same
    from ablate.study import Study

SPARE = 3
"""Points beyond the number of parameters where a study names no number (then made even)."""


@register_design(
    "d-optimal",
    help="two levels of each axis, the N distinct points that tell the declared terms best",
    settings=("points", "terms"),
    name_point=compact,
)
def d_optimal(study: Study, same: Same) -> Layout:
    """N of the distinct combinations, with the largest det X'X for the main effects and the
    interactions wanted; the reference point is always among them.

    Raises:
        AblateError: N cannot tell the terms, or there are not N distinct points.
    """
    import numpy as np

    from ablate.design.coding import Coding
    from ablate.design.exchange import d_optimal_rows

    levels = pairs(study, "d-optimal")
    every = crossing(study, levels)
    candidates = distinct(every, same)
    coding = Coding.of(acting_levels(candidates, levels, same), levels)
    wanted = requested(study, list(levels))
    interactions = [":".join(two) for two in itertools.combinations(levels, 2)]
    terms = [
        term
        for term in (*coding.mains, *(interactions if wanted is None else wanted))
        if not coding.why_not(term)
    ]
    x = np.column_stack(
        [np.ones(len(candidates)), *(coding.columns(term).columns for term in terms)]
    )
    least, most = x.shape[1], len(candidates)
    n_points = study.fraction.points or min(most, 2 * -(-(least + SPARE) // 2))
    if n_points < least:
        raise AblateError(
            f"{n_points} points cannot tell the mean and {len(terms)} effects apart",
            place="fraction.points",
            value=n_points,
            hint=f"give {least} or more, or ask for fewer terms: fraction.terms=main",
        )
    if n_points > most:
        raise AblateError(
            f"these levels make {most} distinct points, not {n_points}",
            place="fraction.points",
            value=n_points,
            hint=f"give {least} to {most}",
        )
    rows = d_optimal_rows(x, n_points, keep=(0,))
    merged = len(every) - most
    also = f" ({merged} of {len(every)} combinations are merged into others)" if merged else ""
    return Layout(
        points=tuple(candidates[row] for row in rows),
        levels=levels,
        estimates="interactions",
        crossed=n_points == len(every),
        interactions=wanted,
        own_families=True,
        notes=(
            f"d-optimal: {n_points} of {most} distinct points{also}, chosen for {len(terms)} "
            "effects",
            *pair_notes(study, levels),
        ),
    )
