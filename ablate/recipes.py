"""Versions of our own arithmetic that enter the identity of runs."""

TRAIN_RECIPE = 1
"""Raised when the training loop's or the scoring's arithmetic changes."""

PROBE_RECIPE = 1
"""Raised when what a probe measures of a run, or on which prompts, changes."""
