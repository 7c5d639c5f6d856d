"""Gates: claims on error rates, coverage and recovery, held against simulations.

``gate`` is what a gate is and how it is run. The gates themselves are registered by subject:
``single`` (one test), ``intervals``, ``families``, ``cells`` (averages and counts over cells),
``equivalence``, ``adding_seeds``, ``mixed``, ``spreads``, ``items``, ``described``, ``planned``.
``draws`` are the data they share, ``exact`` the expected values that follow from theory.

The tests run every gate at its short size. ``python -m tests.stats.gates`` runs them at their long
size and prints a table; ``--write docs/method.md`` puts it where the method is described.
"""
