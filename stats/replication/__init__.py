"""Claims over many cells: all baselines, how many cells, on average, and beyond these cells.

``replicate`` makes every statement from a table. Beneath it, each on plain arrays or samples:
``intersection`` (better than every baseline), ``conjunction`` (in at least k cells), ``average``
(these cells, a population of backbones, a further cell), ``reference`` (many arms against one),
``exploratory`` (false discovery rate).
"""
