"""Factorial designs: what a fraction can estimate, and the sizes and comparisons of its effects.

``fraction`` makes two-level fractions and ``alias`` tells which terms a design confounds;
``effect_sizes`` turns F tests into shares of variance with intervals; ``many_to_one`` compares
levels with a reference level. The models themselves are in ``stats.mixed``.
"""
