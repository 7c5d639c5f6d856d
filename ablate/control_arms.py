"""The control arms: what each keeps of the mechanism, and what a gain over it therefore shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ControlArm:
    """A control.

    ``has_block``: whether a block is attached. ``block``: which of talan's controls it is, None for
    the mechanism itself. ``scope``: the trainability scope that makes it a control ("" for the
    design's own). ``compared``: whether the mechanism is tested against it; the others are checks
    of their own.
    """

    has_block: bool
    help: str
    block: str | None = None
    scope: str = ""
    compared: bool = True


CONTROLS: dict[str, ControlArm] = {
    "static": ControlArm(True, "learned vectors in place of a memory of the sequence", "static"),
    "shuffled": ControlArm(True, "the memory of another sequence", "shuffled"),
    "random": ControlArm(True, "a frozen random way out behind a trained scale", "random"),
    "matched": ControlArm(False, "the adapter with as many more parameters as the block has"),
    "reseed": ControlArm(False, "the baseline with another draw of its adapter: a noisy null"),
    "side": ControlArm(
        True, "the block alone, the adapter frozen at its start", scope="side", compared=False
    ),
    "same": ControlArm(
        True, "the block frozen at its start: must equal the baseline", scope="adapter",
        compared=False,
    ),
}  # fmt: skip
"""By name. ``static``, ``shuffled`` and ``random`` are configurations of the block
(docs/talan.md), ``matched`` and ``reseed`` adapters. ``side`` is one arm for all adapters, compared
with the unadapted backbone; ``same`` is the built-in A/A check: compared bit for bit, and left out
of inference."""
