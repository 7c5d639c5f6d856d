"""Gatekeeping: claims in order, each opened by the one before it, at one familywise error rate.

``gatekeep`` tests an average over all cells, then groups of cells (backbones), then cells;
``inheritance`` is the procedure on a tree that it rests on; ``small_studies`` tells what studies of
fewer pairs would have claimed from the same data.
"""
