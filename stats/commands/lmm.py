"""``python -m stats lmm``: fit a linear mixed model."""

from __future__ import annotations

import argparse

from stats.commands.options import add_json, add_model, fitted, to_json

LINE = "fit a linear mixed model, with Kenward-Roger or Satterthwaite degrees of freedom"
EXAMPLES = """\
examples:
  python -m stats lmm results.csv "score ~ arm + (1 | backbone) + (1 | backbone:seed)"
  python -m stats lmm results.csv "score ~ arm * hp + (1 + arm | draw)" --factor draw --json
  python -m stats lmm results.csv "log(loss) ~ steps + (steps || run)" --ddf satterthwaite

The formula is lme4's: (1 | g) a random intercept, (1 + x | g) with a correlated slope, (x || g)
with an uncorrelated one, (1 | a:b) one per combination, (1 | a/b) for (1 | a) + (1 | a:b). Text
columns are factors, numeric ones are not unless named by --factor. Effects of factors are against
their first level (--contrasts treatment) or against the mean (--contrasts sum).
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_model(parser)
    parser.add_argument(
        "--intervals", action="store_true", help="profile intervals of standard deviations, too"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> str:
    """The fit as text, or as JSON."""
    from stats.layout import frame_lines

    fit = fitted(args)
    if args.json:
        out = fit.to_dict(args.ddf)
        if args.intervals:
            out["intervals"] = fit.intervals().to_dict()["rows"]
        return to_json(out)
    text = fit.summary(args.ddf)
    if args.intervals:
        lines = frame_lines(fit.intervals().table())
        text += "\nProfile intervals of standard deviations\n" + "\n".join(lines) + "\n"
    return text
