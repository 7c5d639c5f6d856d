"""Correction over a family of tests: step-down max-T by joint sign flips, and Holm."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from stats.flips import MAX_ENUMERATED, FlipModel, enumerated_signs, random_signs, reached
from stats.paired import check_alternative, t_quantile
from stats.sample import Sample
from stats.signflip import N_RESAMPLES

MAX_T = "max-T"
HOLM = "Holm"


@dataclass(frozen=True)
class MaxT:
    """Step-down max-T over K samples.

    ``p_adjusted`` (K,) control the family-wise error rate; mean +- ``critical`` x se are intervals
    that hold simultaneously at the level asked for (one-sided: the bounds mean - ``critical`` x se
    of "greater", mean + ``critical`` x se of "less"). ``t`` (K,) are the statistics compared: |t|,
    t or -t. ``exact`` tells that flips were enumerated, ``n_flips`` how many (of the largest
    component).
    """

    p_adjusted: np.ndarray
    t: np.ndarray
    critical: float
    n_flips: int
    exact: bool


def max_t(
    samples: Sequence[Sample],
    alternative: str = "two-sided",
    *,
    alpha: float = 0.05,
    n_resamples: int = N_RESAMPLES,
    max_enumerated: int = MAX_ENUMERATED,
    rng: int | np.random.Generator = 0,
) -> MaxT:
    """Step-down max-T (Westfall and Young 1993, algorithm 4.1) by joint sign flips of pairs.

    A pair has one sign, which covers all its benchmarks, arms and contrasts; the signs of
    different pairs are independent. Samples that share no pair, even through others, are
    therefore independent under flips: such components are enumerated apart and combined by the
    product of their distributions, which equals enumerating them together. All flips are
    enumerated when the components have at most 2^``max_enumerated`` in all; else ``n_resamples``
    random joint flips with the +1 rule.

    ``critical`` is the single-step quantile of the maximum under flips of the *centred*
    differences: those of the data themselves carry the effects, which inflates intervals up to
    several times at n = 6. An interval and its p-value may therefore disagree near the border.
    Every group of every sample needs two pairs. Raises StatsError for a wrong alternative.
    """
    check_alternative(alternative)
    generator = np.random.default_rng(rng)
    parts = _components(samples)
    sizes = [len({int(p) for i in part for p in samples[i].all_pairs}) for part in parts]
    exact = sum(1 << n for n in sizes) <= 1 << max_enumerated
    if not exact:
        parts = [list(range(len(samples)))]
    models = [FlipModel.of([samples[i] for i in part]) for part in parts]
    observed = np.empty(len(samples))
    for part, model in zip(parts, models, strict=True):
        observed[part] = _size(model.t(np.ones((1, model.pairs.size))), alternative)[0]
    order = np.argsort(-observed, kind="stable")
    below = np.ones(len(samples))  # by rank: P(the maximum over what is left stays below)
    maxima = []
    for part, model in zip(parts, models, strict=True):
        signs = (
            enumerated_signs(model.pairs.size, model.rows)
            if exact
            else random_signs(model.pairs.size, n_resamples, generator, model.rows)
        )
        centred = FlipModel.of([_centred(samples[i]) for i in part])
        # Enumerated signs are one half; the other half's t are the negatives.
        mirrored = exact and alternative != "two-sided"
        reaching, highest = _flip_component(
            part, model, centred, signs, observed, order, alternative, mirrored
        )
        below *= 1.0 - reaching
        maxima.append(highest)
    p = np.empty(len(samples))
    p[order] = np.maximum.accumulate(1.0 - below)
    n_flips = 1 << max(sizes) if exact else n_resamples + 1
    return MaxT(p, observed, _critical(maxima, alpha), n_flips, exact)


def _flip_component(
    part: list[int],
    model: FlipModel,
    centred: FlipModel,
    signs: Iterator[np.ndarray],
    observed: np.ndarray,
    order: np.ndarray,
    alternative: str,
    mirrored: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Flip one component (samples ``part``) through all steps of the step-down.

    Returns, by rank (K,), the share of flips in which the maximum over the component's samples
    still in the step reaches that rank's statistic, and the sorted maxima of the centred model.
    """
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    members = np.array(part)
    local = np.argsort(rank[members])  # the component's samples, largest statistic first
    first = np.searchsorted(rank[members][local], np.arange(order.size))
    asked = first < len(part)  # later steps have lost all samples of this component
    count, rows = np.zeros(int(asked.sum())), 0
    highest: list[np.ndarray] = []
    threshold: np.ndarray | None = None
    for chunk in signs:
        t = _size(model.t(chunk), alternative, mirrored)[:, local]
        if threshold is None:
            # Own statistics in this chunk's own arithmetic, so that the data reach themselves.
            values = observed.copy()
            values[members[local]] = t[0]
            threshold = reached(values[order])[asked]
        suffix = np.maximum.accumulate(t[:, ::-1], axis=1)[:, ::-1]
        count += (suffix[:, first[asked]] >= threshold).sum(axis=0)
        rows += t.shape[0]
        highest.append(_size(centred.t(chunk), alternative, mirrored).max(axis=1))
    share = np.zeros(order.size)
    share[asked] = count / rows
    return share, np.sort(np.concatenate(highest))


def _centred(sample: Sample) -> Sample:
    groups = [group - group.mean() for group in sample.values]
    return Sample.of(groups, sample.pairs, sample.magnitude)


def _size(t: np.ndarray, alternative: str, mirrored: bool = False) -> np.ndarray:
    """|t|, t or -t, as asked, and 0 where differences do not vary, in data and flips alike.

    ``mirrored`` appends the rows of the negated sign vectors. A test without spread is undefined
    and has p = 1. Left infinite, it would bar every other test of its family from small p-values;
    any statistic that treats all flips alike is exact.
    """
    size = {"two-sided": np.abs, "greater": np.positive, "less": np.negative}[alternative](t)
    size[np.isinf(size)] = 0.0
    return np.concatenate([size, -size]) if mirrored else size


def _components(samples: Sequence[Sample]) -> list[list[int]]:
    """The samples in groups that share pairs, directly or through others."""
    parts: list[tuple[set[int], list[int]]] = []
    for i, sample in enumerate(samples):
        pairs, members = {int(p) for p in sample.all_pairs}, [i]
        apart = []
        for other_pairs, other_members in parts:
            if pairs & other_pairs:
                pairs |= other_pairs
                members = other_members + members
            else:
                apart.append((other_pairs, other_members))
        parts = [*apart, (pairs, members)]
    return [sorted(members) for _, members in parts]


def _critical(maxima: Sequence[np.ndarray], alpha: float) -> float:
    """The largest value that the overall maximum reaches with probability above alpha."""
    atoms = np.unique(np.concatenate(maxima))
    low, high = 0, atoms.size - 1  # the smallest atom is reached always
    while low < high:
        middle = (low + high + 1) // 2
        below = math.prod(
            float(np.searchsorted(part, atoms[middle], side="left")) / part.size for part in maxima
        )
        if 1.0 - below > alpha:
            low = middle
        else:
            high = middle - 1
    return float(atoms[low])


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's step-down adjusted p-values (Holm 1979, Scandinavian Journal of Statistics 6, 65-70).

    Any dependence is allowed. A NaN counts as a test that cannot be rejected: p = 1.
    """
    values = np.where(np.isnan(np.asarray(p, dtype=float)), 1.0, np.asarray(p, dtype=float))
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(values.size, 0, -1)
    out = np.empty_like(values)
    out[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return out


@dataclass(frozen=True)
class Correction:
    """A corrected family of K tests.

    ``p_adjusted`` and ``critical`` are (K,): mean +- critical x se are intervals (one-sided: the
    bounds on the side of the alternative) that hold simultaneously over the family at level
    1 - alpha. ``method`` says for each test which procedure gave them. ``n_flips`` and ``exact``
    describe the flips, where there were any.
    """

    p_adjusted: np.ndarray
    critical: np.ndarray
    method: tuple[str, ...]
    n_flips: int = 0
    exact: bool = True


def correct(
    samples: Sequence[Sample],
    p: Sequence[float],
    df: Sequence[float],
    alternative: str = "two-sided",
    *,
    alpha: float = 0.05,
    n_resamples: int = N_RESAMPLES,
    max_enumerated: int = MAX_ENUMERATED,
    rng: int | np.random.Generator = 0,
    holm_only: bool = False,
) -> Correction:
    """Correct a family: max-T where it can reach alpha, Holm on the t tests' p-values elsewhere.

    Max-T cannot give a test of n pairs less than 2 / 2^n, one-sided 1 / 2^n. ``p`` (of the same
    ``alternative``) and ``df`` are the t tests'; a NaN p marks a test without a t (fewer than two
    pairs, or differences that do not vary): it stays in the family with p = 1. When both procedures
    serve one family, each gets the share of alpha that its number of tests is of the family's
    (Bonferroni between the two), so that the family-wise error rate stays below alpha: its p-values
    are divided by that share. Holm's simultaneous intervals are Bonferroni-t's. ``holm_only`` takes
    Holm for all of them. Raises StatsError for a wrong alternative.
    """
    check_alternative(alternative)
    total = len(samples)
    testable = np.array([_flippable(s) for s in samples], dtype=bool)
    sides = 2.0 if alternative == "two-sided" else 1.0
    smallest = np.array([sides / 2.0**s.n if s.n else np.inf for s in samples])
    flipped = testable & (smallest <= alpha) & (not holm_only)
    while flipped.any():
        # A test that cannot be tested at all is never rejected, so under max-T it costs nothing.
        share = (flipped | ~testable).sum() / total
        keep = flipped & (smallest <= alpha * share)
        if keep.sum() == flipped.sum():
            break
        flipped = keep
    by_max_t = flipped | ~testable if flipped.any() else flipped
    p_adjusted, critical = np.ones(total), np.full(total, math.nan)
    n_flips, exact = 0, True
    ours, theirs = np.flatnonzero(flipped).tolist(), np.flatnonzero(~by_max_t).tolist()
    if ours:
        share = by_max_t.sum() / total
        result = max_t(
            [samples[i] for i in ours],
            alternative,
            alpha=alpha * share,
            n_resamples=n_resamples,
            max_enumerated=max_enumerated,
            rng=rng,
        )
        p_adjusted[ours] = np.minimum(1.0, result.p_adjusted / share)
        critical[ours] = result.critical
        n_flips, exact = result.n_flips, result.exact
    if theirs:
        share = len(theirs) / total
        values = np.asarray(p, dtype=float)[theirs]
        p_adjusted[theirs] = np.minimum(1.0, holm(values) / share)
        for i in theirs:
            if not math.isnan(df[i]):
                critical[i] = t_quantile(1 - alpha / (sides * total), df[i])
    p_adjusted[np.isnan(np.asarray(p, dtype=float))] = 1.0
    method = tuple(MAX_T if at else HOLM for at in by_max_t)
    return Correction(p_adjusted, critical, method, n_flips, exact)


def _flippable(sample: Sample) -> bool:
    return bool(sample.values) and min(group.size for group in sample.values) >= 2
