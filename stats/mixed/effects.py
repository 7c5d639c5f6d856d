"""Predicted random effects and residuals of a fit, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from stats.mixed.criterion import lambda_times
from stats.mixed.fit import LmmFit

if TYPE_CHECKING:
    import pandas as pd


def predicted(fit: LmmFit) -> pd.DataFrame:
    """Conditional means of the random effects with their conditional standard deviations.

    Columns group, level, term, value, sd, in units of the response. ``sd`` is the root of the
    diagonal of sigma^2 Lambda (Lambda'Z'Z Lambda + I)^-1 Lambda' (Bates, Maechler, Bolker and
    Walker 2015, section 5.4).
    """
    import pandas as pd

    values, variances = conditional_means(fit), _conditional_variances(fit)
    rows = []
    for block, b, v in zip(fit.design.blocks, values, variances, strict=True):
        for j, level in enumerate(block.levels):
            for c, name in enumerate(block.names):
                rows.append((block.term.label, level, name, b[j, c], float(np.sqrt(v[j, c]))))
    return pd.DataFrame(rows, columns=["group", "level", "term", "value", "sd"])


def residual_table(fit: LmmFit) -> pd.DataFrame:
    """One row per row of the table used: what was fitted and what is left.

    ``row`` counts from 0 in the table handed in. ``fitted_fixed`` is X beta, ``fitted`` adds the
    predicted random effects, ``residual`` is the response less ``fitted``, ``scaled`` the residual
    in units of sigma, ``quantile`` the normal quantile of its rank ((i - 1/2) / n).
    """
    import pandas as pd

    design = fit.design
    fixed = design.x @ fit.beta
    fitted = fixed.copy()
    for block, b in zip(design.blocks, conditional_means(fit), strict=True):
        fitted += np.einsum("nk,nk->n", block.z, b[block.index])
    residual = design.y - fitted
    rank = np.empty(residual.size)
    rank[np.argsort(residual, kind="stable")] = np.arange(residual.size)
    return pd.DataFrame(
        {
            "row": design.kept,
            "fitted": fitted,
            "fitted_fixed": fixed,
            "residual": residual,
            "scaled": residual / fit.sigma,
            "quantile": ndtri((rank + 0.5) / residual.size),
        }
    )


def conditional_means(fit: LmmFit) -> tuple[np.ndarray, ...]:
    """Conditional means of b by term, (m, k) each, in units of the response; formula's order."""
    m, state = fit.criterion.moments, fit.criterion.state(fit.optimum.theta, inverse=False)
    u = state.yy - state.yx @ state.beta
    b_rest = lambda_times(u[:, None], m, state.lam)[:, 0]
    out: list[np.ndarray] = [np.empty((0, 0))] * len(m.shapes)
    found: list[np.ndarray] = []
    if m.first is not None:
        vector = np.concatenate([-b_rest, -state.beta, [1.0]])
        found.append(
            np.einsum("jab,jbw,w->ja", state.weight[m.first.members], m.first.cross, vector)
        )
    for (levels, k), start in zip(m.shapes[1:], m.starts, strict=True):
        found.append(b_rest[start : start + levels * k].reshape(levels, k))
    for place, b, basis in zip(m.order, found, m.bases, strict=True):
        out[place] = m.scale * b @ basis.T
    return tuple(out)


def _conditional_variances(fit: LmmFit) -> list[np.ndarray]:
    """Diagonals by term, (m, k) each, in the formula's order and squared units of the response."""
    state, m = fit.state, fit.criterion.moments
    k_rest = state.k
    found: list[np.ndarray] = []
    if m.first is not None:
        weight = state.weight[m.first.members]
        cross = weight @ m.first.cross[:, :, : m.width]
        found.append(weight + np.einsum("jaw,jbw->jab", cross @ k_rest, cross))
    for (levels, k), start in zip(m.shapes[1:], m.starts, strict=True):
        at = slice(start, start + levels * k)
        found.append(np.einsum("jajb->jab", k_rest[at, at].reshape(levels, k, levels, k)))
    out: list[np.ndarray] = [np.empty((0, 0))] * len(found)
    for place, v, basis in zip(m.order, found, m.bases, strict=True):
        own = np.einsum("ca,jab,cb->jc", basis, v, basis)
        out[place] = np.maximum(own, 0.0) * fit.sigma**2
    return out
