"""Quick intervals of variance components, for tables too large to profile."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from stats.mixed.fit import LmmFit


def component_intervals(fit: LmmFit, confidence_level: float = 0.95) -> list[tuple[float, float]]:
    """Intervals of the SDs of intercept-only terms, in the formula's order, the residual last.

    v nu / chi^2_nu with Satterthwaite's nu = 2 v^2 / Var(v) from the expected information
    (Satterthwaite 1946). A component at zero has the lower limit 0 and no upper one (infinity).
    """
    info = fit.info
    d = len(info.directions)
    expected = np.empty((d + 1, d + 1))
    expected[:d, :d] = info.traces
    expected[:d, d] = expected[d, :d] = info.trace
    expected[d, d] = info.rank
    covariance = 2 * np.linalg.pinv(expected, hermitian=True)
    # V = residual + sum of components: the residual's own direction is V less all the others.
    order = fit.criterion.moments.order
    tail = (1 - confidence_level) / 2
    out: list[tuple[float, float]] = [(math.nan, math.nan)] * (len(order) + 1)
    relative = np.array(
        [float(fit.criterion.unpack(fit.optimum.theta)[t][0, 0]) ** 2 for t in range(d)]
    )
    # d gamma_i = (component i) + relative_i (V): parameters (e_i, s) to natural ones.
    change = np.eye(d + 1)
    change[:d, d] = relative
    natural = change @ covariance @ change.T
    values = np.append(relative, 1.0)
    for i in range(d + 1):
        place = order[info.directions[i][0]] if i < d else len(order)
        unit = fit.sigma
        if i < d:
            z = fit.criterion.moments.z_scales[info.directions[i][0]][0]
            unit = fit.sigma / float(z)
        if values[i] <= 0 or natural[i, i] <= 0:
            out[place] = (0.0, math.inf)
            continue
        nu = 2 * values[i] ** 2 / natural[i, i]
        low = values[i] * nu / float(special.chdtri(nu, tail))
        high = values[i] * nu / float(special.chdtri(nu, 1 - tail))
        out[place] = (math.sqrt(low) * unit, math.sqrt(high) * unit)
    return out
