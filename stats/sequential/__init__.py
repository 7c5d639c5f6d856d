"""Honest ways to add seeds: rules under which looking at the results so far costs nothing.

``plan`` is the door: a ``SequentialPlan`` is written down before the first run and says at each
number of pairs what may be concluded. Beneath it, ``eprocess`` is evidence that may be looked at
after every pair, ``confseq`` its intervals, ``eholm`` its correction over cells, and ``group`` the
boundaries of two or three planned looks.
"""
