"""The whole held against synthetic worlds: what was planted is found, what was not is not.

Each campaign carries a study through many worlds of one kind, by the functions that ``python -m
ablate`` is made of (plan, ledger, executor, tables, inference, panels), and holds claims on error
rates and coverage against what came out. ``carry`` is that way, ``campaign`` the machinery, the
other modules hold the campaigns by subject.

The tests run every campaign over few worlds. ``python -m tests.worlds`` runs them over many and
prints a table.
"""
