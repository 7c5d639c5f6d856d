"""A claim against every baseline: on average, then in groups of cells, then in cells."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stats.contrast import Contrast
from stats.errors import StatsError, nearest
from stats.gatekeeping.inheritance import inheritance
from stats.gatekeeping.result import ROOT, Gate, Gatekept, GatePart, GateVerdict
from stats.paired import check_level, paired_t
from stats.prepare import Prepared, Room, averaged, check_contrasts, in_cell
from stats.record import seed_of, versions
from stats.sample import Sample
from stats.sequential.confseq import confidence_sequence
from stats.sequential.eprocess import EFFECTS, e_process
from stats.signflip import N_RESAMPLES, check_resolution, sign_flips
from stats.table import Key, PairedTable, Scores

EVIDENCE = ("t", "e")
_ROOM = Room({}, None)  # limits play no part here


@dataclass(frozen=True)
class _Node:
    """A claim of the tree before it is tested."""

    gate: int
    name: str
    parent: int | None
    place: dict[str, str]
    cells: tuple[int, ...]
    is_cell: bool


def gatekeep(
    table: PairedTable,
    contrasts: Sequence[Contrast],
    *,
    subject: str = "the arm",
    says: tuple[str, str] = ("is better than", "is worse than"),
    sensitivity: PairedTable | None = None,
    alpha: float = 0.05,
    sesoi: float | None = None,
    evidence: str = "t",
    effects: Sequence[float] = EFFECTS,
    n_resamples: int = N_RESAMPLES,
    rng: int | np.random.Generator = 0,
) -> Gatekept:
    """Test "better in every contrast" (and "worse") down the tree of all cells, groups, cells.

    A claim joins its contrasts by intersection-union: its p is the largest of the one-sided ones,
    and nothing is paid for the number of contrasts. Claims of one direction are ordered on the
    tree and get their level by the inheritance procedure (see ``inheritance``), alpha / 2 for each
    direction, so that the error rate over all claims is at most ``alpha``, whatever the dependence.
    Groups are the columns that pairs and cells share (a backbone); a group of one cell, and a
    single group, are left out of the tree, for they would be tested twice.

    ``evidence`` "t": one-sided paired t tests, for pairs of a number that was fixed. "e": anytime
    p-values of the e-process of sign bets with ``effects`` (see ``sequential.eprocess``), for pairs
    that were added until something was decided; the average over groups is then taken within each
    pair index (the pair's columns that are no groups), so that one value per index remains.

    ``sensitivity`` is a second table of the same pairs in which, for example, failed runs have
    scores: a claim must then be shown in both, its p is the larger (again intersection-union).
    ``subject``, ``says`` and ``sesoi`` only serve the wording. Max-T is not used: the null
    distribution of the smallest of several t statistics depends on which contrast has no effect,
    which is not known; the inheritance procedure needs valid p-values and nothing else.

    Raises StatsError for unknown arms, contrasts of one name, none at all, values out of range, and
    contrasts that were run together in no cell.
    """
    check_level(alpha, "alpha")
    check_resolution(n_resamples, alpha)
    if evidence not in EVIDENCE:
        raise StatsError(
            f"'{evidence}' is no kind of evidence",
            place="evidence",
            value=evidence,
            hint=nearest(evidence, EVIDENCE),
        )
    if not contrasts:
        raise StatsError("there is no contrast", place="contrasts", value=[])
    scores = table.scores()
    check_contrasts(contrasts, scores, "contrasts")
    nodes = _tree(contrasts, table, scores)
    streams = np.random.default_rng(rng).spawn(2)
    tables = [table] if sensitivity is None else [table, sensitivity]
    done = [
        _evidence(each, contrasts, nodes, evidence, alpha, tuple(effects), n_resamples, stream)
        for each, stream in zip(tables, streams, strict=False)
    ]
    first, second = done[0], done[-1]
    joint = np.array(
        [
            [
                max(
                    (_known(p) for parts in done for p in (parts[k][i].p[side] for i in range(m))),
                    default=1.0,
                )
                for side in (0, 1)
            ]
            for k, m in ((k, len(contrasts)) for k in range(len(nodes)))
        ]
    )
    adjusted, opened = np.empty_like(joint), np.empty_like(joint)
    parents = [node.parent for node in nodes]
    for side in (0, 1):
        one_sided, from_level = inheritance(joint[:, side], parents)
        adjusted[:, side] = np.minimum(1.0, 2 * one_sided)
        opened[:, side] = np.minimum(1.0, 2 * from_level)
    gates = []
    for k, node in enumerate(nodes):
        parts = tuple(
            _part(contrast, one, two)
            for contrast, one, two in zip(contrasts, first[k], second[k], strict=True)
        )
        weakest = max(
            range(len(parts)),
            key=lambda i: max(_known(first[k][i].p[0]), _known(second[k][i].p[0])),
        )
        gates.append(
            Gate(
                gate=node.gate,
                name=node.name,
                parent="" if node.parent is None else nodes[node.parent].name,
                place=node.place,
                parts=parts,
                p_better=float(joint[k, 0]),
                p_worse=float(joint[k, 1]),
                adjusted_better=float(adjusted[k, 0]),
                adjusted_worse=float(adjusted[k, 1]),
                opened_better=float(opened[k, 0]),
                opened_worse=float(opened[k, 1]),
                deciding=parts[weakest].contrast,
                verdict=_verdict(first[k], parts, adjusted[k], opened[k], alpha),
            )
        )
    return Gatekept(
        subject=subject,
        says=says,
        contrasts=tuple(contrast.name for contrast in contrasts),
        estimand=_estimand(contrasts, table, evidence),
        method=_method(evidence, len(contrasts), sensitivity is not None, alpha),
        gates=tuple(gates),
        alpha=alpha,
        sesoi=sesoi,
        evidence=evidence,
        effects=tuple(effects) if evidence == "e" else (),
        sensitivity=sensitivity is not None,
        n_resamples=n_resamples,
        rng_seed=seed_of(rng),
        versions=versions(),
        units=table.units,
    )


def _tree(contrasts: Sequence[Contrast], table: PairedTable, scores: Scores) -> list[_Node]:
    """The claims, parents first."""
    shared = [
        c
        for c in range(len(scores.cells))
        if all(in_cell(contrast, c, scores, _ROOM) is not None for contrast in contrasts)
    ]
    if not shared:
        raise StatsError(
            "the contrasts were run together in no cell",
            place="contrasts",
            value=[contrast.name for contrast in contrasts],
        )
    groups: dict[Key, list[int]] = {}
    for c in shared:
        groups.setdefault(table.group_of(scores.cells[c], table.cell), []).append(c)
    nodes = [_Node(1, ROOT, None, {}, tuple(shared), len(shared) == 1)]
    if len(shared) == 1:
        return nodes
    for group, cells in groups.items():
        parent = 0
        if len(groups) > 1 and len(cells) > 1:
            parent = len(nodes)
            place = dict(zip(table.groups, group, strict=True))
            nodes.append(_Node(2, "/".join(group), 0, place, tuple(cells), False))
        for c in cells:
            place = dict(zip(table.cell, scores.cells[c], strict=True))
            nodes.append(_Node(3, "/".join(scores.cells[c]), parent, place, (c,), True))
    return nodes


@dataclass(frozen=True)
class _Tested:
    """A contrast at a node: its estimate, interval, one-sided p-values (better, worse), and the
    two-sided one of sign flips."""

    prepared: Prepared
    n: int
    delta: float
    se: float
    df: float
    low: float
    high: float
    p: tuple[float, float]
    flip: float


def _evidence(
    table: PairedTable,
    contrasts: Sequence[Contrast],
    nodes: Sequence[_Node],
    evidence: str,
    alpha: float,
    effects: tuple[float, ...],
    n_resamples: int,
    rng: np.random.Generator,
) -> list[list[_Tested]]:
    """Every contrast at every node, on one table."""
    scores = table.scores()
    check_contrasts(contrasts, scores, "sensitivity")
    prepared: list[list[Prepared]] = []
    for node in nodes:
        row = []
        for contrast in contrasts:
            test = (
                in_cell(contrast, node.cells[0], scores, _ROOM)
                if node.is_cell
                else averaged(contrast, list(node.cells), table, scores, _ROOM)
            )
            if test is None:
                raise StatsError(
                    "the second table lacks a cell of the first",
                    place="sensitivity",
                    value=node.name,
                )
            row.append(test)
        prepared.append(row)
    if evidence == "e":
        return [[_by_e(test, table, scores, alpha, effects) for test in row] for row in prepared]
    tested = [[_by_t(test, alpha) for test in row] for row in prepared]
    return _with_flips(tested, n_resamples, rng)


def _by_t(test: Prepared, alpha: float) -> _Tested:
    t = paired_t(test.sample, "two-sided", 1 - alpha)
    up, down = (paired_t(test.sample, side, 1 - alpha / 2).p for side in ("greater", "less"))
    return _Tested(test, t.n, t.mean, t.se, t.df, t.ci_low, t.ci_high, (up, down), math.nan)


def _with_flips(
    tested: list[list[_Tested]], n_resamples: int, rng: np.random.Generator
) -> list[list[_Tested]]:
    """The same with the sign-flip tests beside, samples of the same pairs flipped together."""
    able = [test.prepared.sample for row in tested for test in row if not math.isnan(test.p[0])]
    flips = iter(sign_flips(able, n_resamples=n_resamples, rng=rng))
    return [
        [
            test if math.isnan(test.p[0]) else dataclasses.replace(test, flip=next(flips).p)
            for test in row
        ]
        for row in tested
    ]


def _by_e(
    test: Prepared,
    table: PairedTable,
    scores: Scores,
    alpha: float,
    effects: tuple[float, ...],
) -> _Tested:
    sample = per_index(test.sample, table, scores)
    nan = math.nan
    if sample.n == 0:
        return _Tested(test, 0, nan, nan, nan, nan, nan, (nan, nan), nan)
    up, down = (
        float(e_process(sample, side, effects=effects).p[-1]) for side in ("greater", "less")
    )
    # Not intersected with earlier intervals: it then holds the mean that stands beside it.
    sequence = confidence_sequence(sample, "two-sided", 1 - alpha, effects=effects, running=False)
    mean = float(sample.values[0].mean())
    low, high = float(sequence.low[-1]), float(sequence.high[-1])
    return _Tested(test, sample.n, mean, nan, nan, low, high, (up, down), nan)


def per_index(sample: Sample, table: PairedTable, scores: Scores) -> Sample:
    """One value per pair index, in natural order: the mean over groups, where all have it."""
    own = [i for i, name in enumerate(table.pair) if name not in table.groups]
    by_index: dict[Key, list[float]] = {}
    order: dict[Key, int] = {}
    for values, pairs in zip(sample.values, sample.pairs, strict=True):
        for value, pair in zip(values, pairs, strict=True):
            key = tuple(scores.pairs[pair][i] for i in own)
            by_index.setdefault(key, []).append(float(value))
            order.setdefault(key, len(order))
    whole = [key for key, values in by_index.items() if len(values) == len(sample.values)]
    means = [float(np.mean(by_index[key])) for key in sorted(whole, key=order.__getitem__)]
    return Sample.of([means], magnitude=sample.magnitude)


def _part(contrast: Contrast, one: _Tested, two: _Tested) -> GatePart:
    return GatePart(
        contrast=contrast.name,
        arm=", ".join(contrast.arms),
        baseline=", ".join(contrast.baselines),
        n_pairs=one.n,
        n_broken=one.prepared.n_broken,
        delta=one.delta,
        se=one.se,
        df=one.df,
        low=one.low,
        high=one.high,
        p_better=one.p[0],
        p_worse=one.p[1],
        p_signflip=one.flip,
        sensitivity_delta=two.delta,
        sensitivity_low=two.low,
        sensitivity_high=two.high,
        sensitivity_better=two.p[0],
        sensitivity_worse=two.p[1],
    )


def _verdict(
    tested: Sequence[_Tested],
    parts: Sequence[GatePart],
    adjusted: np.ndarray,
    opened: np.ndarray,
    alpha: float,
) -> GateVerdict:
    if adjusted[0] <= alpha:
        return GateVerdict.BETTER
    if adjusted[1] <= alpha:
        return GateVerdict.WORSE
    if opened.min() > alpha:
        return GateVerdict.CLOSED
    if all(test.prepared.sample.is_zero for test in tested):
        return GateVerdict.IDENTICAL
    if any(math.isnan(part.p_better) for part in parts):
        return GateVerdict.UNDEFINED
    return GateVerdict.NOT_SHOWN


def _known(p: float) -> float:
    return 1.0 if math.isnan(p) else p


def _estimand(contrasts: Sequence[Contrast], table: PairedTable, evidence: str) -> str:
    names = ", ".join(contrast.name for contrast in contrasts)
    centre = "mean" if evidence == "t" else "centre of symmetry"
    then = f", then over {', '.join(table.groups)} with equal weights" if table.groups else ""
    smallest = "the smallest over the contrasts" if len(contrasts) > 1 else "the contrast"
    return (
        f"{smallest} ({names}) of the {centre} of paired differences, pairs varying: in a cell, "
        f"averaged over cells within the pair{then}"
    )


def _method(evidence: str, contrasts: int, sensitivity: bool, alpha: float) -> str:
    test = (
        "one-sided paired t tests"
        if evidence == "t"
        else "anytime-valid one-sided p-values of the e-process of sign bets"
    )
    joined = ", joined over contrasts by intersection-union" if contrasts > 1 else ""
    both = ", each claim shown with and without failed runs scored" if sensitivity else ""
    return (
        f"{test}{joined}{both}; claims ordered on the tree average, group, cell by the inheritance "
        f"procedure (Goeman and Finos 2012) at {alpha / 2:g} in each direction, familywise error "
        f"{alpha:g} over all; intervals are unadjusted"
    )
