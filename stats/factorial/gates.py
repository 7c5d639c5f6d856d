"""Main effects and two-factor interactions of a factorial: two families, each with its own alpha.

Which error term decides. Each effect is a contrast of arms, computed within the pair, and its t has
the pairs' own variation of that very contrast as its error (contrast x pair within the group). The
pooled error of an analysis of variance has many more degrees of freedom, but it is right only where
all contrasts vary alike (sphericity). They do not where the luck of a pair acts on all its arms at
one level of an axis alike: a seed that suits late insertion suits it in sixteen arms at once. The
pooled F of that axis then counts one piece of luck sixteen times (simulated: see the method page).
So the pooled error describes (shares of variance), and decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stats.compare import as_family
from stats.contrast import Contrast
from stats.errors import StatsError
from stats.factorial.blocks import PooledError, blocks, pooled_error
from stats.factorial.effect_sizes import EffectSizes, effect_sizes
from stats.paired import check_level
from stats.prepare import (
    Limits,
    Room,
    averaged,
    broken_runs,
    cell_indices,
    check_contrasts,
    check_limits,
)
from stats.record import Record, seed_of, versions
from stats.result import Broken, Effect
from stats.signflip import N_RESAMPLES, check_resolution
from stats.table import Key, PairedTable

if TYPE_CHECKING:
    import pandas as pd

ALPHA_MAINS, ALPHA_INTERACTIONS = 0.04, 0.01
_DESCRIBED = 0.90  # the level of intervals of shares that goes with a test at .05


@dataclass(frozen=True)
class FactorialTerm:
    """One main effect or interaction.

    ``effect`` holds the test that decides: own error, Holm within its gate, simultaneous interval.
    ``shares`` describe, from the pooled error; ``error_ratio`` is the contrast's own standard error
    over the pooled one: far from 1, the pooled error does not speak for this contrast.
    """

    effect: Effect
    shares: EffectSizes
    pooled_se: float
    error_ratio: float


@dataclass(frozen=True)
class FactorialEffects(Record):
    """Two gates: main effects at ``alpha_mains``, interactions at ``alpha_interactions``.

    Differences are in ``units``. ``pooled`` is the error of the analysis of variance.
    ``rng_seed`` is that of the sign-flip and bootstrap columns; None when a generator was given.
    """

    estimand: str
    method: str
    mains: tuple[FactorialTerm, ...]
    interactions: tuple[FactorialTerm, ...]
    alpha_mains: float
    alpha_interactions: float
    pooled: PooledError
    sesoi: float | None
    confidence_level: float
    n_resamples: int
    rng_seed: int | None
    broken: tuple[Broken, ...]
    versions: dict[str, str]
    units: str

    @property
    def terms(self) -> tuple[FactorialTerm, ...]:
        """Mains, then interactions."""
        return self.mains + self.interactions

    def settled(self, gate: str) -> tuple[FactorialTerm, ...]:
        """The terms of "mains" or "interactions" whose null is rejected in their gate."""
        terms, alpha = {
            "mains": (self.mains, self.alpha_mains),
            "interactions": (self.interactions, self.alpha_interactions),
        }[gate]
        return tuple(term for term in terms if term.effect.p_adjusted <= alpha)

    def table(self) -> pd.DataFrame:
        """One row per term; nothing is rounded."""
        import pandas as pd

        rows = []
        for gate, terms in (("mains", self.mains), ("interactions", self.interactions)):
            for term in terms:
                row = {k: v for k, v in vars(term.effect).items() if k not in ("cell", "verdict")}
                rows.append(
                    {
                        "gate": gate,
                        **row,
                        "verdict": str(term.effect.verdict),
                        "F_pooled": term.shares.F,
                        "df_pooled": term.shares.den_df,
                        "eta2": term.shares.eta2,
                        "omega2": term.shares.omega2,
                        "share_low": term.shares.omega2_low,
                        "share_high": term.shares.omega2_high,
                        "pooled_se": term.pooled_se,
                        "error_ratio": term.error_ratio,
                    }
                )
        return pd.DataFrame(rows)

    def summary(self) -> str:
        """The two gates as text for a terminal, at most 100 columns wide."""
        from stats.layout import columns, wrap

        lines = []
        for title, terms, alpha in (
            ("Main effects", self.mains, self.alpha_mains),
            ("Two-factor interactions", self.interactions, self.alpha_interactions),
        ):
            if not terms:
                continue
            lines.append(f"{title} ({len(terms)} tests, Holm at {alpha:g}, {self.units})")
            rows = [
                (
                    term.effect.name,
                    term.effect.delta,
                    term.effect.simultaneous_low,
                    term.effect.simultaneous_high,
                    term.effect.p,
                    term.effect.p_adjusted,
                    term.shares.omega2,
                    str(term.effect.verdict),
                )
                for term in terms
            ]
            head = ("term", "effect", "low", "high", "p", "p adjusted", "omega2", "verdict")
            lines += columns(head, rows, indent="  ")
        lines += wrap(self.method)
        return "\n".join(lines) + "\n"


def two_gates(
    table: PairedTable,
    mains: Sequence[Contrast],
    interactions: Sequence[Contrast] = (),
    *,
    alpha_mains: float = ALPHA_MAINS,
    alpha_interactions: float = ALPHA_INTERACTIONS,
    average_over: Sequence[Key] | None = None,
    limits: Limits | None = None,
    sesoi: float | None = None,
    confidence_level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    rng: int | np.random.Generator = 0,
) -> FactorialEffects:
    """Test main effects at ``alpha_mains`` and interactions at ``alpha_interactions``, Holm each.

    The unit is the run, averaged over the cells in ``average_over`` (None: all), and the pair is
    the block: each contrast is taken within the pair, averaged over its cells, then over pairs and
    over groups with equal weights; its t has that contrast's own standard error and Satterthwaite's
    degrees of freedom (``stats.sample.estimate``). Items of one run and benchmarks of one run are
    never counted as independent. By Bonferroni between the gates, the chance of any false claim is
    at most alpha_mains + alpha_interactions. Holm on t rather than max-T: contrasts of an
    orthogonal fraction hardly correlate, so that there is little to gain, and joint flips of n
    pairs cannot reach alpha / K below n = 1 + log2(K / alpha) (15 interactions at .01: 12 pairs).
    Simultaneous intervals are Bonferroni's; one may hold 0 where Holm, which is stronger, rejects.

    A pair in which one arm of a contrast failed is broken for that contrast. In a factorial every
    contrast weighs every design point, so that one failed run costs the pair.

    Raises StatsError for what ``compare`` refuses, no main effect, a name used in both gates, and a
    table in which no contrast has two complete pairs.
    """
    for place, alpha in (("alpha_mains", alpha_mains), ("alpha_interactions", alpha_interactions)):
        check_level(alpha, place)
        check_resolution(n_resamples, alpha)
    check_level(confidence_level)
    if sesoi is not None and not (0 < sesoi < math.inf):
        raise StatsError(f"{sesoi} is not a positive number", place="sesoi", value=sesoi)
    if not mains:
        raise StatsError("there is no main effect to test", place="mains", value=[])
    scores = table.scores()
    check_limits(limits or {}, table)
    every = (*mains, *interactions)
    check_contrasts(every, scores, "mains and interactions")
    chosen = cell_indices(average_over, scores, table, "average_over")
    room = Room(limits or {}, sesoi)
    prepared = [averaged(contrast, chosen, table, scores, room) for contrast in every]
    if not any(min((g.size for g in t.sample.values), default=0) > 1 for t in prepared):
        raise StatsError(
            "no contrast has two pairs with all its arms in every group, so no inference is "
            "possible",
            place="table",
            value=sum(t.n_broken for t in prepared[:1]),
            hint="run again what failed, or score failed runs at the unadapted backbone",
        )
    arms = list(dict.fromkeys(arm for contrast in every for arm in contrast.weights))
    pooled = pooled_error(blocks(table, scores, arms, chosen))
    gates = []
    for tests, alpha, stream in zip(
        (prepared[: len(mains)], prepared[len(mains) :]),
        (alpha_mains, alpha_interactions),
        np.random.default_rng(rng).spawn(2),
        strict=True,
    ):
        effects, _ = as_family(
            tests,
            table,
            sesoi=sesoi,
            alpha=alpha,
            confidence_level=confidence_level,
            n_resamples=n_resamples,
            rng=stream,
            holm_only=True,
        )
        gates.append(
            tuple(
                _term(effect, test.contrast, pooled)
                for effect, test in zip(effects, tests, strict=True)
            )
        )
    groups = ", ".join(table.groups)
    then = f", then over {groups} with equal weights" if groups else ""
    return FactorialEffects(
        estimand="Each term: the contrast of design points, averaged over these cells within the "
        f"pair ({', '.join(table.pair)}), then over pairs{then}.",
        method=f"Paired t on each contrast with its own error (contrast x pair), Satterthwaite "
        f"degrees of freedom; Holm over {len(mains)} main effects at {alpha_mains:g} and over "
        f"{len(interactions)} interactions at {alpha_interactions:g}; Bonferroni intervals. Shares "
        f"of variance from the pooled pair x arm error ({pooled.df} degrees of freedom) describe.",
        mains=gates[0],
        interactions=gates[1],
        alpha_mains=alpha_mains,
        alpha_interactions=alpha_interactions,
        pooled=pooled,
        sesoi=sesoi,
        confidence_level=confidence_level,
        n_resamples=n_resamples,
        rng_seed=seed_of(rng),
        broken=broken_runs(scores, table, set(arms)),
        versions=versions(),
        units=table.units,
    )


def _term(effect: Effect, contrast: Contrast, pooled: PooledError) -> FactorialTerm:
    se = pooled.standard_error(contrast)
    f = (effect.delta / se) ** 2 if se > 0 else math.nan
    own = effect.delta / effect.t if effect.t else math.nan
    return FactorialTerm(
        effect,
        effect_sizes(
            f, 1, max(pooled.df, 1), max(pooled.observations, 1), confidence_level=_DESCRIBED
        ),
        se,
        own / se if se > 0 else math.nan,
    )
