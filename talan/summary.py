"""How many parameters adapter, block and backbone have, and how many of them train."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from talan.attachment import handles
from talan.checkpoint.fingerprint import base_model, original_modules


@dataclass(frozen=True)
class Part:
    """Parameters of one part of a model, in numbers: all, and those that train."""

    total: int
    trainable: int


@dataclass(frozen=True)
class ParameterCounts:
    """Parameters of a model by part.

    `adapter` is all that PEFT added, of every adapter; `block` all side paths; `backbone` the rest.
    `side_paths` are the names of the side paths, `active` the one that acts, or None.
    """

    adapter: Part
    block: Part
    backbone: Part
    side_paths: tuple[str, ...]
    active: str | None

    @property
    def total(self) -> int:
        """All parameters."""
        return self.adapter.total + self.block.total + self.backbone.total

    @property
    def trainable(self) -> int:
        """All parameters that train."""
        return self.adapter.trainable + self.block.trainable + self.backbone.trainable

    def __str__(self) -> str:
        parts = (
            f"{name} {_count(part, self.backbone.total)}"
            for name, part in (("adapter", self.adapter), ("block", self.block))
            if part.total
        )
        backbone = f"backbone {self.backbone.total:,} ({_state(self.backbone)})"
        names = ", ".join(self.side_paths)
        if not self.side_paths:
            path = "no side path"
        elif self.active is None:
            path = f"side paths {names}, none active"
        elif len(self.side_paths) == 1:
            path = f"side path {self.active} active"
        else:
            path = f"side path {self.active} active (of {names})"
        return (
            f"parameters: {', '.join((*parts, backbone))}\n"
            f"trainable: {self.trainable:,} of {self.total:,} "
            f"({self.trainable / self.total:.3%}); {path}"
        )


def count_parameters(model: nn.Module) -> ParameterCounts:
    """Count the parameters of `model` by part; a tied or shared one counts once.

    `TalanError` if `model` is no decoder.
    """
    known = handles(model)
    block = {each for handle in known.values() for each in handle.parameters()}
    original = {
        each
        for _, module in original_modules(base_model(model), "")
        for each in module.parameters(recurse=False)
    }
    backbone = original - block
    adapter = set(model.parameters()) - block - backbone
    return ParameterCounts(
        adapter=_part(adapter),
        block=_part(block),
        backbone=_part(backbone),
        side_paths=tuple(known),
        active=next((name for name, handle in known.items() if handle.active), None),
    )


def print_trainable(model: nn.Module) -> None:
    """Print two lines: the parameters of adapter, block and backbone, and what trains.

    In the first line, shares are of the backbone's parameters. `TalanError` if `model` is no
    decoder.
    """
    print(count_parameters(model))


def _part(parameters: set[nn.Parameter]) -> Part:
    return Part(
        total=sum(each.numel() for each in parameters),
        trainable=sum(each.numel() for each in parameters if each.requires_grad),
    )


def _count(part: Part, backbone: int) -> str:
    return f"{part.total:,} ({part.total / backbone:.3%}, {_state(part)})"


def _state(part: Part) -> str:
    if part.trainable == part.total:
        return "trains"
    return "frozen" if not part.trainable else f"{part.trainable:,} train"
