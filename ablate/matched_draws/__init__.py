"""Protocol A: arms at the same hyperparameters, drawn from one declared space.

``panel`` is its part of the report; the numbers are from ``stats.matched_draws``.
"""

from ablate.matched_draws.panel import panel

__all__ = ["panel"]
