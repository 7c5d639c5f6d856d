"""Equivalence: whether a difference is small enough not to matter.

``tost`` (two one-sided tests), ``regions`` (below, within or above a margin), ``noninferiority``
(no worse than a margin, also over several benchmarks at once), ``analysis`` (a whole table).

A test of no difference that does not reject shows nothing of this kind.
"""
