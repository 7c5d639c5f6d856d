"""Variance decomposition: what the mechanism does, what hyperparameters do, what seeds do.

``stats.decompose.analysis.decompose(results)`` is the one call. In the order of the data: ``roles``
(columns to factors), ``model`` (the formula, chosen from the design), ``finite`` (spreads of fixed
effects), ``items`` (components within benchmark scores), ``analysis``, ``text``.
"""
