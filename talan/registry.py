"""The mixers and writeback rules by name; a plugin adds its own with the same decorators.

An implementation is a module built as `factory(shape, generator)`. What it must honour is
written at `talan.mixers` and `talan.writeback`, and tested by one contract test class each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from talan.axes import AXES, declare_level
from talan.errors import TalanError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Shape:
    """The sizes of a block: stream width d, inner width r, number of slots M."""

    stream: int
    inner: int
    slots: int


Factory = Callable[[Shape, "torch.Generator"], "torch.nn.Module"]
Decorator = Callable[[Factory], Factory]

MIXERS: dict[str, Factory] = {}
WRITEBACKS: dict[str, Factory] = {}


def mixer(name: str, *, recipe: int | None = None) -> Decorator:
    """Register a mixer as level `name`; see `writeback` for `recipe`."""
    return _register(MIXERS, "mixer", name, recipe)


def writeback(name: str, *, recipe: int | None = None) -> Decorator:
    """Register a writeback rule as level `name`.

    `recipe` is the version that enters the identity of runs. Shipped levels declare theirs in
    `talan.axes`, where it can be read without torch, and leave it out here.
    """
    return _register(WRITEBACKS, "writeback", name, recipe)


def _register(table: dict[str, Factory], axis: str, name: str, recipe: int | None) -> Decorator:
    if recipe is not None:
        declare_level(axis, name, recipe)
    elif name not in AXES[axis].recipes:
        raise TalanError(
            f"{name!r} declares no recipe version",
            place=axis,
            value=name,
            hint=f'write @{axis}("{name}", recipe=1)',
        )

    def decorate(factory: Factory) -> Factory:
        table[name] = factory
        return factory

    return decorate
