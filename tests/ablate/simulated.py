"""Findings of simulated studies: a known truth, seeded noise, runs that fail where told."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ablate.report import ArmInfo, Findings
from stats.compare import Comparison, compare
from stats.contrast import Contrast, mean_versus, versus
from stats.table import PairedTable

CONTROL_ARMS = ("control=static", "control=shuffled", "control=random", "matched", "reseed")
AXES = {"insertion": ("early", "embedding", "middle"), "memory": ("16", "1", "4")}


def simulate(
    *,
    axes: Mapping[str, Sequence[str]] | None = None,
    backbones: Sequence[str] = ("llama-tiny", "qwen3-tiny"),
    benchmarks: Sequence[str] = ("arithmetic", "algebra", "code", "recall"),
    retention: Sequence[str] = ("retention",),
    seeds: int = 6,
    n_items: int = 500,
    gain: Mapping[tuple[str, str], float] | None = None,
    lost: Mapping[tuple[str, str, int], str] | None = None,
    exploratory: Sequence[str] = (),
    noise: float = 1.5,
    title: str = "insertion-memory",
    flat: str = "",
    rng: int = 0,
    controls: bool = False,
    n_resamples: int = 2000,
) -> Findings:
    """A full factorial of ``axes`` beside ``lora``, with its comparison computed by ``stats``.

    ``gain`` adds points to the arms whose name holds the first key, on the benchmark that is the
    second; ``lost`` makes a (part of an arm's name, backbone, seed) diverge or fail. ``noise`` is
    the SD of an arm's own noise in points. On benchmark ``flat`` every arm equals the baseline.
    ``controls`` adds the control arms that the mechanism is compared with; they gain nothing.
    """
    axes = {name: tuple(levels) for name, levels in (axes or AXES).items()}
    generator = np.random.default_rng(rng)
    arms = [ArmInfo("lora", "lora", "lora", "", {})]
    for levels in itertools.product(*axes.values()):
        at = dict(zip(axes, levels, strict=True))
        name = "lora+talan/" + "/".join(f"{axis}={level}" for axis, level in at.items())
        arms.append(ArmInfo(name, " · ".join(levels), "lora", "lora", at))
    if controls:
        for control in CONTROL_ARMS:
            arms.append(
                ArmInfo(f"lora/{control}", control.removeprefix("control="), "lora", "lora", {})
            )
    rows, costs, items = [], [], []
    for backbone, seed in itertools.product(backbones, range(seeds)):
        pair_noise = {b: generator.normal(0, 3) for b in (*benchmarks, *retention)}
        for arm in arms:
            outcome = _outcome(lost or {}, arm.name, backbone, seed)
            key = hashlib.sha256(f"{arm.name}/{backbone}/{seed}".encode()).hexdigest()[:32]
            costs.append(_cost(key, arm, backbone, seed, generator))
            for i, benchmark in enumerate((*benchmarks, *retention)):
                own = 0.0 if benchmark == flat else generator.normal(0, noise)
                extra = sum(
                    points
                    for (part, where), points in (gain or {}).items()
                    if arm.is_mechanism and part in arm.name and where == benchmark
                )
                mean = (35 + 9 * i + pair_noise[benchmark] + own + extra) / 100
                n_correct = int(np.clip(round(mean * n_items), 0, n_items))
                correct = np.arange(n_items) < n_correct
                good = outcome == "done"
                rows.append(
                    {
                        "run_key": key,
                        "arm": arm.name,
                        "adapter": arm.adapter,
                        **{axis: arm.levels.get(axis, "") for axis in axes},
                        "backbone": backbone,
                        "hp": 0,
                        "seed": seed,
                        "benchmark": benchmark,
                        "n_items": n_items if good else 0,
                        "outcome": outcome,
                        "score": n_correct / n_items if good else np.nan,
                        "loglik": -float(generator.gamma(2.0)) if good else np.nan,
                    }
                )
                if good:
                    items.append((key, benchmark, correct))
    results = pd.DataFrame(rows)
    families = _contrasts(arms, axes)
    tested = [] if not controls else _controls(arms)
    return Findings(
        title=title,
        question="Which levels of the named axes help, in which cells, beyond seed noise?",
        command="python -m ablate run axes=insertion,memory",
        axes=axes,
        arms=tuple(arms),
        backbones=tuple(backbones),
        benchmarks=tuple(benchmarks),
        retention=tuple(retention),
        seeds=tuple(range(seeds)),
        sesoi=1.0,
        alpha=0.05,
        notes=("early and middle are the same layer on no backbone",),
        exploratory=tuple(exploratory),
        results=results,
        costs=pd.DataFrame(costs),
        items=pd.DataFrame(
            {
                "run_key": np.repeat([key for key, _, _ in items], n_items),
                "benchmark": np.repeat([name for _, name, _ in items], n_items),
                "item": np.tile(np.arange(n_items), len(items)),
                "correct": np.concatenate([correct for _, _, correct in items]),
                "loglik": generator.normal(-2, 1, n_items * len(items)).astype(np.float32),
            }
        ),
        unadapted=pd.DataFrame(
            [
                {"backbone": backbone, "benchmark": benchmark, "score": 0.08}
                for backbone, benchmark in itertools.product(backbones, (*benchmarks, *retention))
            ]
        ),
        main=_compare(results, benchmarks, families, n_resamples),
        retention_comparison=_compare(results, retention, families, n_resamples)
        if retention
        else None,
        failures=_failures(results),
        provenance={"device": "cpu", "torch": "2.13.0", "reported": "2026-01-01 00:00 UTC"},
        controls=_compare(results, benchmarks, ([], tested), n_resamples) if controls else None,
    )


def _outcome(lost: Mapping[tuple[str, str, int], str], arm: str, backbone: str, seed: int) -> str:
    found = [o for (part, b, s), o in lost.items() if part in arm and (b, s) == (backbone, seed)]
    return found[0] if found else "done"


def _cost(
    key: str, arm: ArmInfo, backbone: str, seed: int, generator: np.random.Generator
) -> dict[str, object]:
    return {
        "run_key": key,
        "arm": arm.name,
        "backbone": backbone,
        "hp": 0,
        "seed": seed,
        "settings": "rank 8",
        "attempts": 1,
        "train_seconds": float(generator.uniform(1, 2)),
        "eval_seconds": 0.5,
        "peak_mb": 700.0,
        "adapter_parameters": 4096,
        "block_parameters": 2560 if arm.is_mechanism else 0,
    }


def _contrasts(
    arms: Sequence[ArmInfo], axes: Mapping[str, Sequence[str]]
) -> tuple[list[Contrast], list[Contrast]]:
    points = [arm for arm in arms if arm.is_mechanism]
    names = [arm.name for arm in points]
    primary = [mean_versus("mechanism present", names, ["lora"], group="mechanism")]
    for axis, (reference, *others) in axes.items():
        for level in others:
            at, ref = (
                [arm.name for arm in points if arm.levels[axis] == wanted]
                for wanted in (level, reference)
            )
            primary.append(mean_versus(f"{axis}: {level} vs {reference}", at, ref, group=axis))
    return [versus(name, "lora") for name in names], primary


def _controls(arms: Sequence[ArmInfo]) -> list[Contrast]:
    reference = next(arm for arm in arms if arm.is_mechanism)
    return [
        Contrast(f"mechanism vs {arm.label}", {reference.name: 1.0, arm.name: -1.0}, "control")
        for arm in arms
        if arm.control
    ]


def _compare(
    results: pd.DataFrame,
    benchmarks: Sequence[str],
    families: tuple[list[Contrast], list[Contrast]],
    n_resamples: int,
) -> Comparison:
    frame = results[results["benchmark"].isin(list(benchmarks))]
    table = PairedTable.from_frame(
        frame, pair=("backbone", "hp", "seed"), percent=True, allow_failed=True
    )
    cells, primary = families
    return compare(table, cells=cells, primary=primary, sesoi=1.0, n_resamples=n_resamples)


def _failures(results: pd.DataFrame) -> pd.DataFrame:
    runs = results.drop_duplicates("run_key")
    rows = []
    for arm, group in runs.groupby("arm", sort=False):
        states = group["outcome"].tolist()
        bad = sorted({state for state in states if state != "done"})
        rows.append(
            {
                "arm": arm,
                "runs": len(states),
                "done": states.count("done"),
                "diverged": states.count("diverged"),
                "failed": states.count("failed"),
                "reasons": "; ".join(f"{state}: loss was NaN at step 3" for state in bad),
            }
        )
    return pd.DataFrame(rows)
