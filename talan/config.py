"""The configuration of one block, and which configurations are the same mechanism."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from talan.axes import AXES, Level, resolve_insertion
from talan.errors import TalanError, nearest

CONDITIONINGS: tuple[str, ...] = ("causal", "prompt")
CONTROLS: tuple[str, ...] = ("static", "shuffled", "random")

# Versions of what every block shares. Raise one when the same configuration, seed and data
# would train to another result.
BLOCK_RECIPE = 2
CONTROL_RECIPES: dict[str, int] = {"static": 1, "shuffled": 1, "random": 1}


@dataclass(frozen=True)
class TalanConfig:
    """One point in the space of mechanisms; every field is checked when it is built.

    The six axes are described in `talan.axes.AXES`. `conditioning` is `causal` (token t sees
    the tokens up to t) or `prompt` (the memory is made of the prompt and written from its last
    token on). `width` is the block's inner width r. `control` replaces one part of the
    mechanism (see docs/talan.md) or is None. `TalanError` for anything else.
    """

    insertion: str | int | float = "early"
    memory: int = 16
    mixer: str = "mlp"
    writeback: str = "gate"
    scope: str = "joint"
    gradient_scale: float = 1.0
    conditioning: str = "causal"
    width: int = 16
    control: str | None = None

    def __post_init__(self) -> None:
        for name, axis in AXES.items():
            object.__setattr__(self, name, axis.check(getattr(self, name)))
        if self.conditioning not in CONDITIONINGS:
            raise TalanError(
                f"{self.conditioning!r} is no conditioning",
                place="conditioning",
                value=self.conditioning,
                hint=nearest(self.conditioning, CONDITIONINGS),
            )
        if self.control is not None and self.control not in CONTROLS:
            raise TalanError(
                f"{self.control!r} is no control",
                place="control",
                value=self.control,
                hint=nearest(self.control, CONTROLS),
            )
        if isinstance(self.width, bool) or not isinstance(self.width, int) or self.width < 1:
            raise TalanError(
                f"{self.width!r} is no inner width",
                place="width",
                value=self.width,
                hint="give an integer >= 1, such as 16",
            )

    def levels(self) -> dict[str, Level]:
        """Return the level of each axis."""
        return {name: cast(Level, getattr(self, name)) for name in AXES}

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain values, fit for JSON; `from_dict` is the inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TalanConfig:
        """Build a configuration; missing fields take their defaults, unknown ones are errors."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                raise TalanError(
                    f"{name!r} is no field of a configuration",
                    place="TalanConfig",
                    value=name,
                    hint=nearest(name, known),
                )
        return cls(**values)


def canonical(
    config: TalanConfig, n_layers: int, trainable_below: bool | None = None
) -> TalanConfig:
    """Return the one configuration that stands for all that train identically to `config`.

    The insertion becomes a layer index. A gradient scale becomes 1 where it is inert: nothing
    trainable lies below the site, the adapter is frozen (scope `side`), or the block does not
    read the stream at all (a `static` memory of one slot under a rule that ignores the stream).
    `trainable_below` says whether parameters that influence the stream at the site train; None
    means an adapter in every layer over frozen embeddings, that is, whenever the site is not
    layer 0. The tie between configurations is exact: their runs are bit-identical.
    """
    site = resolve_insertion(config.insertion, n_layers)
    below = site > 0 if trainable_below is None else trainable_below
    reads = not (
        config.control == "static" and config.memory == 1 and config.writeback in ("gate", "add")
    )
    inert = not below or not reads or config.scope == "side"
    return dataclasses.replace(
        config, insertion=site, gradient_scale=1.0 if inert else config.gradient_scale
    )


def recipes(config: TalanConfig) -> dict[str, int]:
    """Return the version of each implementation that `config` uses, for the identity of runs."""
    versions = {"block": BLOCK_RECIPE}
    for axis in ("mixer", "writeback"):
        versions[axis] = AXES[axis].recipes[getattr(config, axis)]
    if config.control is not None:
        versions["control"] = CONTROL_RECIPES[config.control]
    return versions
