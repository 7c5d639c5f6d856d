"""What failed runs do to verdicts: rates by arm, and the families again with failures scored."""

from ablate.failures.panel import panel
from ablate.failures.rescored import (
    Rescored,
    rates,
    rescore,
    scored_at_unadapted,
    supported,
    supported_effects,
    surviving,
)

__all__ = [
    "Rescored",
    "panel",
    "rates",
    "rescore",
    "scored_at_unadapted",
    "supported",
    "supported_effects",
    "surviving",
]
