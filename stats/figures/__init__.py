"""Figures: one module per subject, each function returning a new matplotlib Figure."""
