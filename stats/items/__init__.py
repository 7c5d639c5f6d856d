"""Inference from per-item outcomes: what holds for these items, and what for items like them."""
