"""The measures taken from sums over tokens: per layer, per benchmark, per pair of benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from talan.probe.definitions import defines
from talan.probe.sums import CHANGE, COSINE, COSINES, SHARE, SHARES, STREAM, UPDATE, Sums


def ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient, NaN where the denominator is 0."""
    return torch.where(denominator == 0, torch.nan, numerator / denominator)


@defines("rel_diff")
def rel_diff(sums: Sums) -> Tensor:
    """Values (L + 1,)."""
    return ratio(_layers(sums)[:, CHANGE], _layers(sums)[:, STREAM]).sqrt()


@defines("rel_diff_tokens")
def rel_diff_tokens(sums: Sums) -> Tensor:
    """Values (L + 1,)."""
    return ratio(_layers(sums)[:, SHARE], _layers(sums)[:, SHARES])


@defines("update_ratio")
def update_ratio(sums: Sums) -> Tensor:
    """Values (L + 1,)."""
    return ratio(_layers(sums)[:, UPDATE], _layers(sums)[:, CHANGE]).sqrt()


@defines("cosine_tokens")
def cosine_tokens(sums: Sums) -> Tensor:
    """Values (L + 1,)."""
    return ratio(_layers(sums)[:, COSINE], _layers(sums)[:, COSINES])


@defines("cosine_mean")
def cosine_mean(sums: Sums) -> Tensor:
    """Values (L + 1,)."""
    assert sums.changes is not None
    assert sums.updates is not None
    sizes = sums.changes.norm(dim=-1) * sums.updates.norm(dim=-1)
    return ratio((sums.changes * sums.updates).sum(-1), sizes)


LAYERWISE: dict[str, Callable[[Sums], Tensor]] = {
    each.__name__: each
    for each in (rel_diff, rel_diff_tokens, update_ratio, cosine_tokens, cosine_mean)
}
"""The measures per layer by name; those after the first two need an adapter's update."""

NEEDS_ADAPTER = ("update_ratio", "cosine_tokens", "cosine_mean")


@defines("amplification")
def amplification(curve: Tensor, site: int) -> float:
    """Of a rel_diff curve (L + 1,)."""
    return float(ratio(curve[-1], curve[site]))


@defines("amplification_over_random")
def amplification_over_random(value: float, draws: Sequence[float]) -> float:
    """Of an amplification and those of the random draws."""
    return float(
        ratio(
            torch.tensor(value, dtype=torch.float64),
            torch.tensor(draws, dtype=torch.float64).mean(),
        )
    )


@defines("kl")
def kl(sums: Sums) -> float:
    """Of one variant on one benchmark."""
    return float(sums.divergence / sums.prompts) if sums.prompts else float("nan")


@defines("curve_correlation")
def curve_correlation(first: Tensor, second: Tensor) -> float:
    """Of two curves (n,) from the site on."""
    if len(first) < 3:
        return float("nan")
    a, b = first - first.mean(), second - second.mean()
    return float(ratio((a * b).sum(), a.norm() * b.norm()))


@defines("curve_deviation")
def curve_deviation(first: Tensor, second: Tensor) -> float:
    """Of two curves (n,) from the site on."""
    return float((first - second).abs().max())


@defines("curve_deviation_relative")
def curve_deviation_relative(first: Tensor, second: Tensor) -> float:
    """Of two curves (n,) from the site on."""
    height = (first + second) / 2
    seen = height != 0
    if not bool(seen.any()):
        return float("nan")
    return float(((first - second).abs()[seen] / height[seen]).max())


PAIRWISE: dict[str, Callable[[Tensor, Tensor], float]] = {
    each.__name__: each for each in (curve_correlation, curve_deviation, curve_deviation_relative)
}
"""The measures of a pair of benchmarks by name."""


def _layers(sums: Sums) -> Tensor:
    assert sums.layers is not None
    return sums.layers
