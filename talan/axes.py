"""The six axes of the mechanism and their levels: the single source of truth.

Nothing here imports torch, so a command line can list, parse and check levels at once.
"""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass, field
from typing import Literal

from talan.errors import TalanError, nearest

Level = str | int | float
Kind = Literal["name", "layer", "count", "factor"]


@dataclass(frozen=True)
class Axis:
    """One factor of the mechanism.

    `levels` are the shipped levels, the default first. `kind` says what else is accepted:
    `name` nothing, `layer` also a layer index >= 0 or a fraction of depth in (0, 1), `count` any
    integer >= 1, `factor` any finite number >= 0. `extra` holds levels that plugins registered.
    `recipes` gives, for a level whose implementation is versioned, the version that enters the
    identity of a run.
    """

    name: str
    levels: tuple[Level, ...]
    help: str
    kind: Kind = "name"
    recipes: dict[str, int] = field(default_factory=dict)
    extra: tuple[Level, ...] = ()

    @property
    def default(self) -> Level:
        """The first level."""
        return self.levels[0]

    def parse(self, text: str) -> Level:
        """Return the level that `text` spells; `TalanError` if it spells none."""
        text = text.strip()
        if text in (*self.levels, *self.extra):
            return text
        if self.kind in ("layer", "count") and re.fullmatch(r"\d+", text):
            return self.check(int(text))
        if self.kind == "factor" or (self.kind == "layer" and "." in text):
            try:
                number = float(text)
            except ValueError:
                raise self._unknown(text) from None
            return self.check(number)
        raise self._unknown(text)

    def check(self, level: object) -> Level:
        """Return `level` in its normal form (factors as float); `TalanError` if it is none."""
        if isinstance(level, str):
            if level in (*self.levels, *self.extra):
                return level
        elif isinstance(level, bool):
            pass
        elif self.kind in ("layer", "count") and isinstance(level, int):
            if level >= (1 if self.kind == "count" else 0):
                return level
        elif self.kind == "layer" and isinstance(level, float):
            if 0 < level < 1:
                return level
        elif self.kind == "factor" and isinstance(level, (int, float)):
            factor = float(level)
            if math.isfinite(factor) and factor >= 0:
                return factor + 0.0  # -0.0 and 0.0 must not be two levels
        raise self._unknown(level)

    def text(self, level: Level) -> str:
        """Return the spelling that `parse` reads back to `level`."""
        return repr(level).removesuffix(".0") if isinstance(level, float) else str(level)

    def _unknown(self, level: object) -> TalanError:
        wanted = {
            "name": "",
            "layer": ", or a layer index >= 0, or a fraction of depth such as 0.25",
            "count": ", or any integer >= 1",
            "factor": ", or any finite number >= 0",
        }[self.kind]
        known = [self.text(each) for each in (*self.levels, *self.extra)]
        return TalanError(
            f"{level!r} is not a level of this axis",
            place=self.name,
            value=level,
            hint=nearest(level, known) + wanted,
        )


AXES: dict[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis(
            "insertion",
            ("early", "embedding", "middle", "late"),
            "the decoder layer whose input stream the block reads and writes",
            kind="layer",
        ),
        Axis(
            "memory",
            (16, 1, 4, 64),
            "the number of slots the sequence is compressed into (1 is a pooled vector)",
            kind="count",
        ),
        Axis(
            "mixer",
            ("mlp", "none", "attention"),
            "how the slots exchange information before they are read",
            recipes={"mlp": 1, "none": 1, "attention": 1},
        ),
        Axis(
            "writeback",
            ("gate", "add", "bounded", "orthogonal"),
            "the rule that writes the perturbation into the stream",
            recipes={"gate": 1, "add": 1, "bounded": 1, "orthogonal": 1},
        ),
        Axis(
            "scope",
            ("joint", "readout", "side", "adapter"),
            "what trains: all, all but compress and mixer, the block alone, the adapter alone",
        ),
        Axis(
            "gradient_scale",
            (1.0, 0.0, 0.1, 10.0),
            "the factor on the gradient that leaves the block through the stream it reads",
            kind="factor",
        ),
    )
}


def declare_level(axis: str, name: str, recipe: int) -> None:
    """Make `name` an accepted level of `axis` (for plugins); declaring it again updates it.

    The shipped levels stay what a study varies by default: a declared one has to be named.
    """
    known = AXES[axis]
    extra = known.extra if name in (*known.levels, *known.extra) else (*known.extra, name)
    AXES[axis] = dataclasses.replace(known, extra=extra, recipes={**known.recipes, name: recipe})


def resolve_insertion(level: Level, n_layers: int) -> int:
    """Return the decoder layer index, 0 to `n_layers - 1`, that an insertion level names.

    Site k is the stream that enters decoder layer k. A fraction f of depth is site
    max(1, round(f L)): what is meant to lie inside the model never falls on the embedding. The
    fractions 0.15, 0.5 and 0.75 of the named levels are chosen; `round` is Python's (halves to
    even), and a result past the last layer of a very shallow model is moved to that layer.
    `TalanError` for an unknown level or an index that the model does not have.
    """
    level = AXES["insertion"].check(level)
    if isinstance(level, int):
        if level >= n_layers:
            raise TalanError(
                f"layer {level} does not exist in a model of {n_layers} layers",
                place="insertion",
                value=level,
                hint=f"choose 0 to {n_layers - 1}",
            )
        return level
    if isinstance(level, float):
        return min(max(1, round(level * n_layers)), n_layers - 1)
    site = {
        "embedding": 0,
        "early": max(1, round(0.15 * n_layers)),
        "middle": round(0.5 * n_layers),
        "late": round(0.75 * n_layers),
    }[str(level)]
    return min(site, n_layers - 1)
