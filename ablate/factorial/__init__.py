"""Which axes move the score: main effects, interactions and level means of a factorial study."""

from ablate.factorial.panel import panel

__all__ = ["panel"]
