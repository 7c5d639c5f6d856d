"""Better than every one of several baselines: intersection-union tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stats.errors import StatsError
from stats.paired import check_level, paired_t
from stats.record import Record, seed_of
from stats.sample import Sample
from stats.signflip import N_RESAMPLES, sign_flips
from stats.wording import number, p_value

if TYPE_CHECKING:
    import pandas as pd

DIRECTIONS = ("greater", "less")


@dataclass(frozen=True)
class Part:
    """One contrast of a claim: its one-sided t test, sign-flip test and bound (level 1 - alpha).

    ``delta``, ``se`` and ``bound`` are in score units. NaN where no test is possible.
    """

    contrast: str
    n_pairs: int
    delta: float
    se: float
    df: float
    p: float
    p_signflip: float
    bound: float


@dataclass(frozen=True)
class Intersection(Record):
    """The claim that ``subject`` is better (``alternative`` "less": worse) than every baseline.

    ``p`` and ``p_signflip`` are the largest of the parts' one-sided p-values. ``deciding`` is the
    contrast with the largest ``p`` (the weakest link) and ``delta`` its difference. ``bound`` is a
    1 - ``alpha`` confidence bound for the smallest of the true differences ("less": the largest);
    it is beyond zero exactly where ``p`` < ``alpha``. ``shown`` tells that ``p`` <= ``alpha``.
    Where one part has no test, the claim has none: NaN, and ``deciding`` names that part.
    ``n_pairs`` is the smallest of the parts'. ``cell`` is None for an average or for bare samples.
    """

    subject: str
    cell: dict[str, str] | None
    alternative: str
    estimand: str
    method: str
    parts: tuple[Part, ...]
    n_pairs: int
    p: float
    p_signflip: float
    deciding: str
    delta: float
    bound: float
    shown: bool
    alpha: float
    rng_seed: int | None
    units: str

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        where = ""
        if self.cell is not None:
            where = f" in {'/'.join(self.cell.values())}" if self.cell else ""
        word = "better" if self.alternative == "greater" else "worse"
        many = {1: "its baseline", 2: "both baselines"}.get(
            len(self.parts), f"all {len(self.parts)} baselines"
        )
        claim = f"{self.subject} is {word} than {many}{where}"
        if math.isnan(self.p):
            return f"No test is possible of whether {claim}: {self.deciding} has none."
        weakest = f"{self.deciding} {number(self.delta, sign=True)} {self.units}"
        side = "at least" if self.alternative == "greater" else "at most"
        if self.shown:
            return (
                f"{claim}: the weakest is {weakest}, p {p_value(self.p, equals=True)}; every "
                f"difference is {side} {number(self.bound, sign=True)} with "
                f"{1 - self.alpha:.0%} confidence."
            )
        return (
            f"It is not shown that {claim}: the weakest is {weakest}, "
            f"p {p_value(self.p, equals=True)}."
        )

    def table(self) -> pd.DataFrame:
        """One row per contrast, the cell's columns first."""
        import dataclasses

        import pandas as pd

        rows = [(self.cell or {}) | dataclasses.asdict(part) for part in self.parts]
        return pd.DataFrame([row | {"deciding": row["contrast"] == self.deciding} for row in rows])

    def summary(self) -> str:
        """The parts and the verdict as text."""
        from stats.layout import columns, wrap

        head = ("contrast", "n", "delta", "bound", "p", "p flip", "")
        rows = [
            (
                part.contrast, part.n_pairs, part.delta, part.bound, part.p, part.p_signflip,
                "deciding" if part.contrast == self.deciding else "",
            )
            for part in self.parts
        ]  # fmt: skip
        return "\n".join([*columns(head, rows), "", *wrap(self.sentence)]) + "\n"


def intersection_union(
    contrasts: Mapping[str, Sample | Sequence[float] | np.ndarray],
    alternative: str = "greater",
    *,
    subject: str = "the arm",
    cell: Mapping[str, str] | None = None,
    alpha: float = 0.05,
    n_resamples: int = N_RESAMPLES,
    rng: int | np.random.Generator = 0,
    units: str = "score units",
) -> Intersection:
    """Test that every contrast's mean difference is above zero ("less": below zero).

    ``contrasts`` maps a name to paired differences (1-D or a Sample, in ``units``). The union of
    the null hypotheses "this one is not above zero" is rejected at level alpha where each is, so p
    is the largest one-sided p-value and nothing is paid for the number of baselines (Berger 1982,
    Technometrics 24, 295-300). The smallest of the one-sided 1 - alpha bounds is a bound of that
    level for the smallest true difference, for the same reason. Contrasts may share runs and pairs.
    ``subject`` and ``cell`` are labels for sentences.

    Raises StatsError for a wrong alternative (two-sided included: a claim has a direction) or
    alpha, no contrasts, and differences that are not finite.
    """
    return intersection_unions(
        [contrasts], alternative, subject=subject, cells=[cell], alpha=alpha,
        n_resamples=n_resamples, rng=rng, units=units,
    )[0]  # fmt: skip


def intersection_unions(
    claims: Sequence[Mapping[str, Sample | Sequence[float] | np.ndarray]],
    alternative: str = "greater",
    *,
    subject: str = "the arm",
    cells: Sequence[Mapping[str, str] | None],
    alpha: float = 0.05,
    n_resamples: int = N_RESAMPLES,
    rng: int | np.random.Generator = 0,
    units: str = "score units",
) -> list[Intersection]:
    """``intersection_union`` of each claim, flipping samples of the same pairs together."""
    if alternative not in DIRECTIONS:
        raise StatsError(
            f"'{alternative}' is not a direction",
            place="alternative",
            value=alternative,
            hint="a claim over several baselines is 'greater' or 'less'",
        )
    check_level(alpha, "alpha")
    names, samples, greater = [], [], alternative == "greater"
    for contrasts in claims:
        if not contrasts:
            raise StatsError("there is no contrast", place="contrasts", value={})
        names.append(list(contrasts))
        samples += [d if isinstance(d, Sample) else Sample.of([d]) for d in contrasts.values()]
    ts = [paired_t(sample, alternative, 1 - alpha) for sample in samples]
    tested = [i for i, t in enumerate(ts) if not math.isnan(t.p)]
    flips = sign_flips([samples[i] for i in tested], alternative, n_resamples=n_resamples, rng=rng)
    single = np.full(len(samples), math.nan)
    single[tested] = [flip.p for flip in flips]
    parts = iter(
        [
            (t.n, t.mean, t.se, t.df, t.p, float(p), t.ci_low if greater else t.ci_high)
            for t, p in zip(ts, single, strict=True)
        ]
    )
    return [
        _joined(
            tuple(Part(name, *next(parts)) for name in inside),
            alternative, subject, cell, alpha, seed_of(rng), units,
        )
        for inside, cell in zip(names, cells, strict=True)
    ]  # fmt: skip


def _joined(
    parts: tuple[Part, ...],
    alternative: str,
    subject: str,
    cell: Mapping[str, str] | None,
    alpha: float,
    rng_seed: int | None,
    units: str,
) -> Intersection:
    """The claim that its tested parts make."""
    weakest = max(parts, key=lambda part: math.inf if math.isnan(part.p) else part.p)
    defined = not math.isnan(weakest.p)
    extreme, side, furthest = (
        ("smallest", "above", min) if alternative == "greater" else ("largest", "below", max)
    )
    return Intersection(
        subject=subject,
        cell=None if cell is None else dict(cell),
        alternative=alternative,
        estimand=(
            f"the {extreme} of the mean differences of {len(parts)} contrasts "
            f"({', '.join(part.contrast for part in parts)}); the claim is that all are {side} zero"
        ),
        method="intersection-union of one-sided paired t tests, sign flips beside them",
        parts=parts,
        n_pairs=min(part.n_pairs for part in parts),
        p=weakest.p,
        p_signflip=max(part.p_signflip for part in parts) if defined else math.nan,
        deciding=weakest.contrast,
        delta=weakest.delta,
        bound=furthest(part.bound for part in parts) if defined else math.nan,
        shown=weakest.p <= alpha,
        alpha=alpha,
        rng_seed=rng_seed,
        units=units,
    )
