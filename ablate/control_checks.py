"""The two controls that are checks of their own: the A/A check, and the block alone.

The arm ``same`` trains with the block frozen at its start, an exact no-op: every item of it must
equal the baseline's, bit for bit. If it does not, arms of a pair differ by more than the mechanism
and no other comparison of the study can be trusted. The arm ``side`` trains the block alone and is
compared with the backbone as it is, whose scores are fixed numbers.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ablate.analyse import CELL, DRAW, PAIR, RNG_SEED, mean_over_seeds
from ablate.design.arms import SIDE
from ablate.failures.rescored import scored_at_unadapted, supported
from ablate.result import DIVERGED, DONE
from ablate.spec import UNADAPTED
from stats.contrast import versus

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ablate.analyse import Inference
    from ablate.collect import Tables
    from ablate.plan import Plan, PlannedRun
    from ablate.report.panel import Panel
    from stats.result import Comparison

SAME = "same"


@dataclass(frozen=True)
class SameScores:
    """How often the A/A arm of an adapter equals its baseline in every item.

    ``pairs`` counts those in which both have an outcome, ``differing`` names those among them in
    which outcomes or items differ: runs that are one computation diverge together or not at all.
    """

    adapter: str
    pairs: int
    differing: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether no pair differs."""
        return not self.differing

    def sentence(self) -> str:
        """What it means, in one sentence."""
        if not self.pairs:
            return f"A/A check of {self.adapter}: no pair has both outcomes: nothing is known."
        equal = self.pairs - len(self.differing)
        if self.holds:
            return (
                f"A/A check: with the block frozen at its start, {self.adapter} gave the "
                f"outcomes, scores and log-likelihoods of {self.adapter} alone, bit for bit, in "
                f"{self.pairs} of "
                f"{self.pairs} pairs."
            )
        return (
            f"A/A check FAILED: {self.adapter} with the block frozen at its start equals "
            f"{self.adapter} alone in {equal} of {self.pairs} pairs only. Arms of a pair differ by "
            "more than the mechanism; trust no other comparison before this is explained."
        )


def same_scores(plan: Plan, tables: Tables) -> tuple[SameScores, ...]:
    """The A/A check of every adapter that has the arm ``same``."""
    known = tables.results[tables.results["outcome"].isin([DONE, DIVERGED])]
    outcomes = dict(zip(known["run_key"], known["outcome"], strict=True))
    runs: dict[tuple[str, str], dict[tuple[str, int, int], PlannedRun]] = {}
    for run in plan.runs:
        if run.arm.is_baseline or run.arm.control == SAME:
            key = (run.arm.adapter, run.arm.control)
            runs.setdefault(key, {})[run.backbone, run.hp, run.seed] = run
    wanted = {run.key for places in runs.values() for run in places.values()}
    items = _items(tables.items, wanted)
    found = []
    for adapter in plan.study.adapters:
        checked = runs.get((adapter, SAME), {})
        if not checked:
            continue
        pairs, differing = 0, []
        for place, run in checked.items():
            other = runs[adapter, ""][place]
            ended = [outcomes.get(key) for key in (run.key, other.key)]
            if None in ended:
                continue
            pairs += 1
            done = ended == [DONE, DONE]
            if ended[0] != ended[1] or (done and items.get(run.key) != items.get(other.key)):
                backbone, hp, seed = place
                differing.append(f"{backbone}, draw {hp}, seed {seed}")
        found.append(SameScores(adapter, pairs, tuple(differing)))
    return tuple(found)


def _items(items: pd.DataFrame, keys: set[str]) -> dict[str, bytes]:
    """All outcomes of each run as bytes, benchmark by benchmark."""
    kept = items[items["run_key"].isin(keys)]
    return {
        str(key): b"".join(
            str(benchmark).encode() + _bytes(part["correct"]) + _bytes(part["loglik"])
            for benchmark, part in group.groupby("benchmark", observed=True, sort=True)
        )
        for key, group in kept.groupby("run_key", observed=True, sort=False)
    }


def _bytes(column: pd.Series) -> bytes:
    values: np.ndarray = column.to_numpy()
    return values.tobytes()


def side_alone(plan: Plan, tables: Tables) -> Comparison | None:
    """The block alone against the unadapted backbone, averaged over main cells and in each.

    A verdict stands only if it holds with diverged runs scored as the unadapted backbone too. None
    without the arm, or where no two of its pairs have scores.
    """
    from stats.errors import StatsError

    arm = next((arm.name for arm in plan.design.arms if arm.control == SIDE), None)
    if arm is None:
        return None
    ours = tables.results["arm"] == arm
    try:
        found = _against_unadapted(plan, tables, tables.results[ours], arm)
    except StatsError:
        return None
    if not (tables.results.loc[ours, "outcome"] == DIVERGED).any():
        return found
    scored = scored_at_unadapted(plan, tables)[ours]
    return supported(found, _against_unadapted(plan, tables, scored, arm))


def _against_unadapted(plan: Plan, tables: Tables, results: pd.DataFrame, arm: str) -> Comparison:
    """An arm's main cells against the fixed scores of the backbone."""
    import pandas as pd

    from stats.compare import compare
    from stats.table import PairedTable

    main = results["benchmark"].isin(list(plan.main or plan.retention))
    frame = pd.DataFrame(results.loc[main, ["arm", *PAIR, "benchmark", "score"]])
    drawn = bool(plan.study.draws.count)
    if drawn:
        frame = mean_over_seeds(frame)
    before = tables.unadapted.set_index(["backbone", "benchmark"])["score"].to_dict()
    fixed = frame.assign(
        arm=UNADAPTED,
        score=[
            before.get(cell, float("nan"))
            for cell in zip(frame["backbone"], frame["benchmark"], strict=True)
        ],
    )
    table = PairedTable.from_frame(
        pd.concat([frame, fixed]),
        arm="arm",
        pair=DRAW if drawn else PAIR,
        cell=CELL,
        score="score",
        percent=True,
        allow_failed=True,
    )
    contrast = versus(arm, UNADAPTED)
    return compare(
        table,
        cells=[contrast],
        primary=[contrast],
        sesoi=plan.study.sesoi,
        alpha=plan.study.alpha,
        rng=RNG_SEED,
    )


def panel(plan: Plan, tables: Tables, inference: Inference) -> Panel | None:
    """Both checks, for the section on the mechanism; None where neither arm was run."""
    from ablate.report.panel import Panel
    from stats.report.section import Table, interval, signed

    same, side = same_scores(plan, tables), side_alone(plan, tables)
    if not same and side is None:
        return None
    sentences = [check.sentence() for check in same]
    failed = [sentence for check, sentence in zip(same, sentences, strict=True) if not check.holds]
    grids = []
    if side is not None:
        (effect,) = side.primary
        label = next(arm.label for arm in plan.design.arms if arm.control == SIDE)
        sentences.append(
            f"The block alone, without a trained adapter, changes the unadapted backbone by "
            f"{signed(effect.delta)} points {interval(effect.ci_low, effect.ci_high)} "
            f"({effect.n_pairs} pairs; {side.confidence_level:.0%} interval of the t test against "
            "a fixed score)."
        )
        rows = [
            (
                " × ".join((e.cell or {}).values()) or "average",
                e.mean_baseline,
                e.mean_arm,
                signed(e.delta),
                interval(e.ci_low, e.ci_high),
                e.p_adjusted,
                str(e.verdict),
            )
            for e in (effect, *side.cells)
        ]
        head = ("cell", "unadapted", "block alone", "difference", "95 % CI", "p adj", "verdict")
        note = "points; the average is a test of its own, the cells are a family"
        grids.append(Table.of(f"{label} against the unadapted backbone", head, rows, note))
    return Panel(
        section="mechanism",
        title="Checks: the block at rest, and alone",
        headline=" ".join(failed),
        qualifies=True,
        sentences=tuple(sentence for sentence in sentences if sentence not in failed),
        tables=tuple(grids),
        data={
            "same": [asdict(check) for check in same],
            "side": None if side is None else side.to_dict(),
        },
    )
