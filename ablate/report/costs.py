"""What the arms cost: trainable parameters, time, memory; and where the cells stand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ablate.report.rows import ABSENT, count, plain
from stats.report.section import Table

if TYPE_CHECKING:
    import pandas as pd

    from ablate.report.findings import Findings

NEEDED = ("hp", "settings", "train_seconds", "adapter_parameters", "block_parameters")


def overhead(findings: Findings) -> str:
    """One sentence: the block's parameters beside its adapter's, and its training time.

    Medians over runs; empty where the costs do not tell. Nothing is said of time where arms differ
    in shared hyperparameters, as the winners of searches do: the difference is not the block's.
    """
    frame = findings.costs
    if frame.empty or not set(NEEDED) <= set(frame.columns):
        return ""
    blocks = [info.name for info in findings.arms if info.is_mechanism]
    bases = [info.name for info in findings.arms if not info.baseline]
    with_block, without = (frame[frame["arm"].isin(names)] for names in (blocks, bases))
    if with_block.empty or without.empty:
        return ""
    shares = with_block["block_parameters"] / with_block["adapter_parameters"]
    share = float(shares.median())
    own = _range(with_block, "block_parameters")
    text = f"The block has {own} trainable parameters"
    if math.isfinite(share):
        text += f", {100 * share:.0f} % of its adapter's"
    times = [
        float(part["train_seconds"].median())
        for part in (with_block, without)
        if part["train_seconds"].notna().any()
    ]
    alike = bool((frame.groupby("hp")["settings"].nunique() == 1).all())
    if alike and len(times) == 2 and times[1] > 0:
        text += f"; a run trains {times[0] / times[1]:.2f} times as long as without it"
    return f"{text} (medians)."


def cost_table(findings: Findings) -> Table | None:
    """Medians of seconds and memory per arm, and trainable parameters; None without records."""
    frame = findings.costs
    rows = []
    for info in findings.arms:
        mine = frame[frame["arm"] == info.name]
        if mine.empty:
            continue
        rows.append(
            (
                info.label,
                count(len(mine)),
                _median(mine, "train_seconds", 1),
                _median(mine, "eval_seconds", 1),
                _median(mine, "peak_mb", 0),
                _range(mine, "adapter_parameters"),
                _range(mine, "block_parameters"),
            )
        )
    if not rows:
        return None
    return Table.of(
        "What an arm costs",
        ("arm", "runs", "train, s", "score, s", "peak, MB", "adapter par.", "block par."),
        rows,
        "Medians over runs; ranges of trainable parameters where backbones differ.",
    )


def standing_table(findings: Findings) -> Table:
    """Where each cell stands: unadapted and baseline scores, so that room can be judged."""
    before = {
        (row["backbone"], row["benchmark"]): row["score"]
        for row in findings.unadapted.to_dict("records")
    }
    baselines = [info for info in findings.arms if not info.baseline]
    names = {info.name for info in baselines}
    after = findings.results[findings.results["arm"].isin(names)]
    grouped = after.groupby(["backbone", "arm", "benchmark"], sort=False)["score"]
    scores = {key: (group.mean() * 100, group.std() * 100) for key, group in grouped}
    rows = []
    for backbone in findings.backbones:
        for benchmark in (*findings.benchmarks, *findings.retention):
            for info in baselines:
                mean, sd = scores.get((backbone, info.name, benchmark), (math.nan, math.nan))
                rows.append(
                    (
                        f"{backbone} × {benchmark}",
                        info.label,
                        plain(before.get((backbone, benchmark), math.nan) * 100),
                        plain(mean),
                        plain(sd),
                    )
                )
    return Table.of(
        "Where the cells stand",
        ("cell", "baseline", "unadapted", "adapted", "SD"),
        rows,
        "Score in points before adaptation and after the baseline's; mean and SD over runs.",
    )


def _median(frame: pd.DataFrame, column: str, digits: int) -> str:
    return plain(float(frame[column].median()), digits) if column in frame else ABSENT


def _range(frame: Any, column: str) -> str:
    if column not in frame or frame[column].isna().all():
        return ABSENT
    low, high = frame[column].min(), frame[column].max()
    return count(low) if low == high else f"{count(low)} to {count(high)}"
