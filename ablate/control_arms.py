"""The control arms: what each keeps of the mechanism, and what a gain over it therefore shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ControlArm:
    """A control: whether it has a block, and what it is."""

    has_block: bool
    help: str


CONTROLS: dict[str, ControlArm] = {
    "static": ControlArm(True, "learned vectors in place of a memory of the sequence"),
    "shuffled": ControlArm(True, "the memory of another sequence"),
    "random": ControlArm(True, "a frozen random way out behind a trained scale"),
    "matched": ControlArm(False, "the adapter with as many more parameters as the block has"),
    "reseed": ControlArm(False, "the baseline with another draw of its adapter: a noisy null"),
}
"""By name. The first three are configurations of the block (docs/talan.md), the others adapters."""
