"""A fitted mixed model as plain text for a terminal, at most 100 columns wide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stats.layout import columns, frame_lines, wrap

if TYPE_CHECKING:
    from stats.mixed.fit import LmmFit


def render(fit: LmmFit, ddf: str) -> str:
    """Model, variance components, fixed effects, F tests, notes."""
    fixed, anova = fit.fixed(ddf), fit.anova(3 if not fit.design.aliased else 2, ddf)
    name = "REML criterion" if fit.reml else "deviance (-2 log likelihood)"
    lines = [
        *wrap(fit.formula, hanging="  "),
        f"{fit.n} rows, {fit.method}, {name} {fit.criterion_value:.6f}"
        + (", on the boundary" if fit.boundary else ""),
        "",
        "Random effects",
    ]
    rows = [
        [
            row["group"], row["term"], row["variance"], row["sd"],
            "" if "correlation" not in row else correlations(row["correlation"]), component,
        ]
        for row, component in zip(
            fit._random_rows(),
            [c.levels for c in fit.components for _ in c.names],
            strict=True,
        )
    ]  # fmt: skip
    rows.append(["Residual", "", fit.sigma**2, fit.sigma, "", fit.n])
    lines += columns(["group", "term", "variance", "SD", "corr", "levels"], rows)
    lines += ["", "Fixed effects"]
    table = fixed.table().rename(columns={"statistic": "t", "ci_low": "low", "ci_high": "high"})
    lines += frame_lines(table)
    if anova.tests:
        lines += ["", f"Terms (type {'I' * anova.type})"]
        short = anova.table()[["term", "num_df", "den_df", "F", "p", "eta2", "omega2"]]
        lines += frame_lines(
            short.rename(columns={"eta2": "partial eta2", "omega2": "partial omega2"})
        )
    lines += ["", *wrap(f"Degrees of freedom: {fixed.method.split(', ', 1)[1]}.")]
    for note in fit.notes:
        lines += wrap("Note: " + note, hanging="  ")
    return "\n".join(lines) + "\n"


def correlations(value: float | list[float]) -> str:
    """Correlations with the terms before, to two decimals."""
    values = value if isinstance(value, list) else [value]
    return " ".join(f"{v:.2f}" for v in values)
