"""What ``noise_floor`` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stats.errors import StatsError, nearest
from stats.record import Record, plain

if TYPE_CHECKING:
    import pandas as pd

    from stats.mixed.fit import LmmFit

WHICH = ("entries", "occasions", "rankings", "overlaps", "sensitivity")


@dataclass(frozen=True)
class EntryRepeat:
    """How one entry with several runs repeats: SD of its runs, shifts of occasions taken off.

    ``adjusted`` is its mean score as on the first occasion. ``f`` on ``df`` and ``df_rest`` tests
    its variance against that of all others (see ``within.deletions``); ``p_adjusted`` is Holm's
    over all entries tested. NaN where the others say nothing about its occasions.
    """

    entry: str
    runs: int
    adjusted: float
    sd: float
    f: float
    df: int
    df_rest: int
    p: float
    p_adjusted: float


@dataclass(frozen=True)
class OccasionShift:
    """An occasion's marginal mean minus the first occasion's (0 for the first itself).

    ``runs`` on it, ``shared`` entries that ran on both it and the first. ``low`` and ``high`` hold
    together over all occasions, as ``p_adjusted`` does (Dunnett).
    """

    occasion: str
    runs: int
    shared: int
    shift: float
    se: float
    df: float
    p: float
    p_adjusted: float
    low: float
    high: float


@dataclass(frozen=True)
class Overlap:
    """Two occasions compared by the entries they share, entry by entry.

    ``difference`` is the mean of later minus earlier, ``repeat_sd`` the SD of the differences over
    the root of 2: that of one run where each entry moves by the common shift and noise alone;
    ``repeat_sd_kept`` is the same without the entries that repeat worst. ``rank_correlation`` is
    Spearman's.
    """

    first: str
    second: str
    shared: int
    difference: float
    repeat_sd: float
    repeat_sd_kept: float
    rank_correlation: float


@dataclass(frozen=True)
class Ranking:
    """The ranking on one occasion: how many neighbours, and pairs, are told apart.

    ``close`` neighbours differ by less than the floor of a comparison chosen beforehand; of all
    ``pairs``, ``apart`` differ by at least that and ``apart_all`` by the floor of all comparisons
    at once. ``leaders`` counts the entries, the best included, that are not told apart from the
    best by the latter.
    """

    occasion: str
    runs: int
    neighbours: int
    close: int
    pairs: int
    apart: int
    apart_all: int
    best: str
    leaders: int


@dataclass(frozen=True)
class Check:
    """The floor held against what was seen, without a distribution.

    Each two runs of an entry differ by nothing but the shift of their occasions and noise. A
    ``share`` of these pairs exceeds the floor computed without that entry; ``expected`` would,
    under normal noise of one size. ``quantile`` is the 1 - ``expected`` quantile of their absolute
    differences, which ``differences`` lists with the entry of each.
    Entries weigh by their runs less one. ``kurtosis`` (excess) and
    ``skewness`` are those of the model's residuals.
    """

    pairs: int
    entries: int
    expected: float
    share: float
    share_low: float
    share_high: float
    quantile: float
    quantile_low: float
    quantile_high: float
    kurtosis: float
    skewness: float
    differences: tuple[tuple[str, float], ...] = field(repr=False)


@dataclass(frozen=True)
class Sensitivity:
    """The floor again, on a choice of entries made after seeing the data: exploratory."""

    name: str
    entries: int
    runs: int
    sigma: float
    floor: float
    reliability: float


@dataclass(frozen=True)
class Apart:
    """Runs that no chain of shared entries and occasions connects with the rest."""

    entries: tuple[str, ...]
    occasions: tuple[str, ...]
    runs: int


@dataclass(frozen=True)
class NoiseFloor(Record):
    """By how much single runs must differ, and how far occasions are shifted.

    ``sigma`` is the residual SD of ``formula``, with its profile interval, on ``df`` degrees of
    freedom, ``sigma_within`` that of least squares with entries as fixed. ``floor`` and
    ``floor_all`` are the differences that two single runs of one occasion must reach: for one
    comparison chosen beforehand, and for all pairs of ``n_entries`` at once. ``floor_low`` and
    ``floor_high`` carry sigma's interval over. ``n`` runs of ``n_fitted`` entries on
    ``n_occasions`` occasions were fitted, ``n_repeated`` of the entries with two runs or more; the
    others, in ``apart``, are not connected with them. ``reliability`` is the share of the variance
    of single runs on one occasion that lies between entries. ``worst`` names the entries whose
    ``p_adjusted`` is at most 1 - ``confidence_level``. ``residuals`` are the runs fitted, each with
    its residual. Scores are in ``units``.
    """

    estimand: str
    method: str
    entry: str
    occasion: str
    score: str
    units: str
    formula: str
    n: int
    n_entries: int
    n_fitted: int
    n_repeated: int
    n_occasions: int
    sigma: float
    sigma_low: float
    sigma_high: float
    sigma_within: float
    df: int
    floor: float
    floor_low: float
    floor_high: float
    floor_all: float
    entry_sd: float
    reliability: float
    reliability_low: float
    reliability_high: float
    shift_f: float
    shift_num_df: int
    shift_den_df: float
    shift_p: float
    reference: str
    occasions: tuple[OccasionShift, ...]
    entries: tuple[EntryRepeat, ...]
    worst: tuple[str, ...]
    rankings: tuple[Ranking, ...]
    overlaps: tuple[Overlap, ...]
    check: Check
    sensitivity: tuple[Sensitivity, ...]
    apart: tuple[Apart, ...]
    notes: tuple[str, ...]
    confidence_level: float
    rng_seed: int | None
    versions: dict[str, str]
    residuals: pd.DataFrame = field(repr=False)
    fit: LmmFit = field(repr=False)

    def table(self, which: str = "entries") -> pd.DataFrame:
        """One row per entry, occasion, ranking, overlap or sensitivity; nothing is rounded.

        StatsError for another name.
        """
        import pandas as pd

        if which not in WHICH:
            raise StatsError(
                f"'{which}' is not a table", place="which", value=which, hint=nearest(which, WHICH)
            )
        return pd.DataFrame([vars(row) for row in getattr(self, which)])

    def answers(self) -> tuple[str, ...]:
        """What the numbers say, in sentences."""
        from stats.repeatability.text import answers

        return answers(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; residuals and the fit itself are left out."""
        out = {
            name: plain(getattr(self, name))
            for name in self.__dataclass_fields__
            if name not in ("fit", "residuals")
        }
        return out | {"answers": list(self.answers())}

    def summary(self) -> str:
        """The result as text for a terminal, at most 100 columns wide."""
        from stats.repeatability.text import render

        return render(self)
