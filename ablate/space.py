"""The space of hyperparameters that a study declares, and points drawn from it.

A draw is a pure function of (space, sampler, index): draw 7 is the same whether 10 or 100 are made,
so more draws extend a study. Draws are independent and identically distributed ("iid"), which the t
test over draws needs. The scrambled Sobol sequence ("sobol") covers the space more evenly; a t
interval over its points is conservative.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ablate.errors import AblateError
from ablate.spec import Hp, canonical_json

if TYPE_CHECKING:
    from ablate.study import BlockSettings

Value = float | int

SHARED = ("lr", "rank", "alpha", "dropout", "steps", "weight_decay", "batch")
"""Hyperparameters of every arm, in the order in which a draw consumes random numbers."""

BLOCK_ONLY = ("width", "lr_multiplier")
"""Hyperparameters of the block; a baseline's run does not have them."""

NAMES = (*SHARED, *BLOCK_ONLY)
WHOLE = frozenset({"rank", "steps", "batch", "width"})
"""Hyperparameters that are whole numbers."""

LOGARITHMIC = frozenset({"lr", "lr_multiplier", "alpha"})
"""Hyperparameters whose ranges are uniform in the logarithm."""

SAMPLERS = ("iid", "sobol")
MAX_DRAWS = 200
"""Draws of a study; seed s of draw k is s x 200 + k, and there are 1000 seeds to explore with."""

KEY = 20260606
"""Of the generator of draws: an arbitrary constant that must never change."""


@dataclass(frozen=True)
class Between:
    """Uniform between two limits, in the logarithm if ``log``; whole numbers if ``whole``."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def at(self, u: float) -> Value:
        """The value below which a share ``u`` (in [0, 1)) of the range lies."""
        low, high = self.low, self.high
        if self.whole:
            # each whole number owns the interval around it
            low, high = low - 0.5, high + 0.5
        if self.log:
            value = math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
        else:
            value = low + u * (high - low)
        if self.whole:
            return int(min(max(round(value), self.low), self.high))
        # six digits are more than any study resolves, and read well in tables
        return float(f"{value:.6g}")

    @property
    def varies(self) -> bool:
        """Whether it has more than one value."""
        return self.low < self.high

    def text(self) -> str:
        """The spelling that :func:`parse_dimension` reads."""
        return f"{self.low:g}..{self.high:g}"


@dataclass(frozen=True)
class OneOf:
    """One of several values, equally likely."""

    values: tuple[Value, ...]

    def at(self, u: float) -> Value:
        """The value below which a share ``u`` (in [0, 1)) of the values lies."""
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    @property
    def varies(self) -> bool:
        """Whether it has more than one value."""
        return len(self.values) > 1

    def text(self) -> str:
        """The spelling that :func:`parse_dimension` reads."""
        return ",".join(f"{value:g}" for value in self.values)


Dimension = Between | OneOf


@dataclass(frozen=True)
class Space:
    """What varies, by name, in the order of ``NAMES``."""

    dimensions: Mapping[str, Dimension]

    @property
    def digest(self) -> str:
        """Identity of the space."""
        data = {name: d.text() for name, d in self.dimensions.items()}
        return hashlib.blake2b(canonical_json(data).encode(), digest_size=16).hexdigest()

    @property
    def varied(self) -> tuple[str, ...]:
        """The names that have more than one value."""
        return tuple(name for name, d in self.dimensions.items() if d.varies)

    def draw(self, index: int, sampler: str = SAMPLERS[0]) -> dict[str, Value]:
        """Point ``index`` (from 0) of the space, by name.

        A draw takes a random number for every name, in every space: to change or drop the range of
        one leaves the values of the others as they are, and finished runs are found again.
        """
        numbers = _iid(index) if sampler == "iid" else _sobol(index)
        by_name = dict(zip(NAMES, numbers, strict=True))
        return {name: d.at(by_name[name]) for name, d in self.dimensions.items()}

    def describe(self) -> str:
        """The space for people: ``lr 0.001..0.01, rank 4,8,16``."""
        return ", ".join(f"{name} {d.text()}" for name, d in self.dimensions.items())


def apply(values: Mapping[str, Any], hp: Hp, block: BlockSettings) -> tuple[Hp, BlockSettings]:
    """``hp`` and ``block`` with the values of a draw in place of their own."""
    shared = {name: values[name] for name in SHARED if name in values}
    own = {name: values[name] for name in BLOCK_ONLY if name in values}
    return dataclasses.replace(hp, **shared), dataclasses.replace(block, **own)


def parse_dimension(name: str, raw: object, place: str) -> Dimension:
    """``1e-3..1e-2`` as a range, ``4,8,16`` or ``8`` as a choice.

    Raises:
        AblateError: no number, an empty or reversed range, a value that the hyperparameter cannot
            have, a value listed twice.
    """
    if isinstance(raw, str) and ".." in raw:
        low_text, _, high_text = raw.partition("..")
        low, high = (_number(name, text, place) for text in (low_text, high_text))
        if low >= high:
            what = "empty" if low == high else "reversed"
            raise AblateError(
                f"the range {raw} is {what}",
                place=place,
                value=raw,
                hint=f"write low..high, such as {min(low, high):g}..{2 * max(low, high) or 1:g}",
            )
        if name in LOGARITHMIC and low <= 0:
            raise AblateError(
                f"{low:g} is not above 0, and {name} is drawn uniformly in the logarithm",
                place=place,
                value=raw,
            )
        return Between(low, high, log=name in LOGARITHMIC, whole=name in WHOLE)
    parts = raw if isinstance(raw, list) else str(raw).strip("[]").split(",")
    values = tuple(_number(name, str(part), place) for part in parts if str(part).strip())
    if not values:
        raise AblateError("the range is empty", place=place, value=raw, hint="write 1e-3..1e-2")
    for i, value in enumerate(values):
        if value in values[:i]:
            raise AblateError(f"{value:g} is listed twice", place=place, value=value)
    return OneOf(values)


def _number(name: str, text: str, place: str) -> Value:
    try:
        value = float(text)
    except ValueError:
        raise AblateError(
            f"{text.strip()!r} is not a number",
            place=place,
            value=text,
            hint="write low..high or values with commas",
        ) from None
    smallest = 1.0 if name in WHOLE else 0.0
    if not math.isfinite(value) or value < smallest:
        raise AblateError(
            f"{text.strip()} is no value of {name}",
            place=place,
            value=text,
            hint=f"give {'whole numbers from 1' if name in WHOLE else 'numbers from 0'} on",
        )
    if name == "dropout" and value >= 1:
        raise AblateError(f"{text.strip()} is not below 1", place=place, value=text)
    if name in LOGARITHMIC and value == 0:
        raise AblateError(f"{name} must be above 0", place=place, value=text)
    if name in WHOLE:
        if value != int(value):
            raise AblateError(f"{text.strip()} is not a whole number", place=place, value=text)
        return int(value)
    return value


def make_space(found: Mapping[str, Dimension]) -> Space:
    """A space of named dimensions, in the order of ``NAMES``."""
    return Space({name: found[name] for name in NAMES if name in found})


def _iid(index: int) -> list[float]:
    """Uniform numbers by a counter: Philox with the index in its counter."""
    import numpy as np

    generator = np.random.Generator(np.random.Philox(key=KEY, counter=[0, 0, 0, index]))
    return [float(u) for u in generator.random(len(NAMES))]


def _sobol(index: int) -> list[float]:
    """Point ``index`` of a scrambled Sobol sequence."""
    import numpy as np
    from scipy.stats import qmc

    sequence = qmc.Sobol(len(NAMES), scramble=True, rng=np.random.default_rng(KEY))
    if index:
        sequence.fast_forward(index)
    return [float(u) for u in sequence.random(1)[0]]
