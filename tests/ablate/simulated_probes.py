"""Probe rows with a known truth: curves that grow by given factors, seeded noise between seeds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ablate.probing.findings import ProbeFindings
from ablate.probing.summary import summarise
from ablate.probing.table import PLACE
from talan.probe.result import COLUMNS

GROWTH = {"block": 1.5, "static": 1.5, "shuffled": 1.5, "random": 1.2}
HEIGHTS = {"block": 0.01, "static": 0.004, "shuffled": 0.01, "random": 0.01}


def simulate_rows(
    *,
    arm: str = "lora+talan/memory=16",
    backbone: str = "qwen3-tiny",
    seeds: Sequence[int] = range(6),
    benchmarks: Sequence[str] = ("arithmetic", "code"),
    site: int = 1,
    layers: int = 4,
    growth: Mapping[str, float] = GROWTH,
    heights: Mapping[str, float] = HEIGHTS,
    bend: Mapping[str, float] | None = None,
    noise: float = 0.05,
    draws: int = 3,
    adapter: bool = True,
) -> pd.DataFrame:
    """The tidy table of one arm on one backbone.

    rel_diff of variant v is ``heights[v] * growth[v] ** (l - site)`` from the site on, times a
    factor of the seed, times ``1 + bend[benchmark]`` at the state after the site; the correlation
    over benchmarks is computed from the curves.
    """
    rng = np.random.default_rng(0)
    rows: list[tuple[object, ...]] = []
    for seed in seeds:
        place = (f"{seed:032x}", arm, backbone, seed, site, layers)
        factor = math.exp(rng.normal(0, noise))
        tilt = rng.normal(0, noise / 3)
        curves = {}
        for (variant, rate), benchmark in itertools.product(growth.items(), benchmarks):
            for draw in range(draws if variant == "random" else 1):
                own = rate * math.exp(tilt if variant == "block" else 0.0)
                states = np.arange(layers + 1)
                curve = np.where(states < site, 0.0, heights[variant] * own ** (states - site))
                curve = curve * factor
                curve[site + 1] *= 1 + (bend or {}).get(benchmark, 0.0)
                curves[variant, benchmark, draw] = curve
        grown = {
            key: curve[layers] / curve[site] if curve[site] else math.nan
            for key, curve in curves.items()
        }
        for (variant, benchmark, draw), curve in curves.items():
            add = _adder(rows, place, variant, draw)
            random = np.mean([grown["random", benchmark, i] for i in range(draws)])
            for layer in range(layers + 1):
                known = adapter and layer >= site
                add(benchmark, "rel_diff", curve[layer], layer)
                add(benchmark, "update_ratio", 80.0 if known else math.nan, layer)
                for measure in ("cosine_tokens", "cosine_mean"):
                    add(benchmark, measure, rng.normal(0, 0.01) if known else math.nan, layer)
            add(benchmark, "amplification", grown[variant, benchmark, draw])
            if variant != "random":
                add(
                    benchmark, "amplification_over_random", grown[variant, benchmark, draw] / random
                )
            add(benchmark, "kl", 0.001 * factor)
            if variant == "block":
                for measure in ("slot_usage_entropy", "slot_attention_entropy"):
                    add(benchmark, measure, 0.9 + rng.normal(0, 0.01))
        for first, second in itertools.combinations(benchmarks, 2):
            for variant, draw in {(v, d) for v, _, d in curves}:
                a, b = curves[variant, first, draw][site:], curves[variant, second, draw][site:]
                add = _adder(rows, place, variant, draw)
                flat = min(np.ptp(a), np.ptp(b)) == 0
                correlation = math.nan if flat else np.corrcoef(a, b)[0, 1]
                add(first, "curve_correlation", correlation, None, second)
                add(first, "curve_deviation", np.abs(a - b).max(), None, second)
                relative = (2 * np.abs(a - b) / (a + b)).max() if a.all() else math.nan
                add(first, "curve_deviation_relative", relative, None, second)
        _adder(rows, place, "", 0)("", "gate", 0.5 + rng.normal(0, 0.01))
    frame = pd.DataFrame(rows, columns=[*PLACE, *COLUMNS])
    return frame.astype({"layer": "Int64", "value": float})


def _adder(rows, place, variant, draw):
    def add(benchmark, measure, value, layer=None, other=""):
        rows.append((*place, benchmark, other, layer, measure, variant, draw, value))

    return add


def simulate_probes(**given) -> ProbeFindings:
    """Findings of one arm on two backbones."""
    frames = [simulate_rows(backbone=name, **given) for name in ("llama-tiny", "qwen3-tiny")]
    summaries = tuple(summarise(frame, "16") for frame in frames)
    return ProbeFindings(pd.concat(frames), summaries, ("1 run was not probed yet: a note.",))
