"""What a settling study says, as panels of the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablate.report.panel import Panel

if TYPE_CHECKING:
    from ablate.analyse import Inference
    from ablate.collect import Tables
    from ablate.plan import Plan
    from ablate.settle.register import Registration


def settle_panels(
    plan: Plan, tables: Tables, inference: Inference, registration: Registration, seen: str
) -> Sequence[Panel]:
    """Panels."""
    return (
        Panel(
            "real",
            "The registered plan",
            sentences=(f"Plan {registration.digest}", seen),
            data={"plan": registration.digest},
        ),
    )
