"""``python -m stats anova``: F tests, effect sizes and marginal means of a factorial."""

from __future__ import annotations

import argparse
from typing import Any

from stats.commands.options import add_json, add_model, fitted, to_json

LINE = "F tests of factors (type II or III), effect sizes, marginal means and contrasts"
EXAMPLES = """\
examples:
  python -m stats anova results.csv "score ~ insertion * memory + (1 | seed)"
  python -m stats anova results.csv "score ~ arm * hp" --type 2
  python -m stats anova results.csv "score ~ arm + (1 | seed)" --emm arm --reference lora --json

Type III tests a factor's effects averaged equally over the levels of the others, type II adjusted
for everything that does not contain it. --emm prints marginal means, and with --reference every
level against one, adjusted for their number (Dunnett). A formula without a random term is ordinary
least squares.
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_model(parser)
    parser.add_argument("--type", type=int, default=3, choices=(2, 3), help="(%(default)s)")
    parser.add_argument("--emm", default="", help="factors whose marginal means to print: a or a,b")
    parser.add_argument("--reference", default="", help="the level that others are compared with")
    add_json(parser)


def run(args: argparse.Namespace) -> str:
    """The table as text, or as JSON."""
    from stats.commands.options import names
    from stats.errors import StatsError
    from stats.layout import frame_lines, wrap
    from stats.record import plain

    if args.reference and not args.emm:
        raise StatsError(
            "a reference needs marginal means", place="--reference", value=args.reference,
            hint="name the factor by --emm",
        )  # fmt: skip
    fit = fitted(args)
    table = fit.anova(args.type, args.ddf)
    means = fit.emm(names(args.emm), ddf=args.ddf) if args.emm else None
    many = means.dunnett(args.reference) if means is not None and args.reference else None
    if args.json:
        out: dict[str, Any] = {
            "formula": fit.formula,
            "n": fit.n,
            "type": table.type,
            "ddf": table.ddf,
            "anova": table.rows_as_dicts(),
            "boundary": fit.boundary,
            "notes": list(fit.notes),
        }
        if means is not None:
            out["emm"] = means.to_dict()
        if many is not None:
            out["versus_reference"] = plain(many)
        return to_json(out)
    lines = [*wrap(fit.formula, hanging="  "), *wrap(table.method + f", {fit.n} rows"), ""]
    frame = table.table()
    frame["partial eta2"] = _with_interval(frame, "eta2")
    frame["partial omega2"] = _with_interval(frame, "omega2")
    shown = ["term", "num_df", "den_df", "F", "p", "partial eta2", "partial omega2"]
    lines += frame_lines(frame[shown])
    if means is not None:
        lines += ["", *wrap(means.tests.estimand), *frame_lines(means.table())]
    if many is not None:
        lines += ["", f"Against {args.reference}, adjusted for {len(many)} comparisons (Dunnett)"]
        many = many[
            ["term", "estimate", "se", "df", "p", "p_adjusted", "simultaneous_low",
             "simultaneous_high"]
        ].rename(columns={"p_adjusted": "p_adj", "simultaneous_low": "low",
                          "simultaneous_high": "high"})  # fmt: skip
        lines += frame_lines(many)
    lines += [line for note in fit.notes for line in wrap("Note: " + note, hanging="  ")]
    return "\n".join(lines) + "\n"


def _with_interval(frame: Any, name: str) -> list[str]:
    return [
        f"{value:.3f} [{low:.3f}, {high:.3f}]"
        for value, low, high in zip(
            frame[name], frame[f"{name}_low"], frame[f"{name}_high"], strict=True
        )
    ]
