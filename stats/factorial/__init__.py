"""Factorial designs: what a fraction can estimate, its tests, and the sizes of its effects.

``fraction`` makes two-level fractions and ``alias`` tells which terms a design confounds. ``gates``
tests main effects and interactions of paired runs as two families, ``heterogeneity`` whether they
differ between backbones and benchmarks, ``level_means`` gives marginal means against the baseline.
``effect_sizes`` turns F tests into shares of variance with intervals; ``many_to_one`` compares
levels with a reference level. Models with several strata are in ``stats.mixed``.
"""
