"""Tuned against tuned: each arm at its own best setting, compared on fresh seeds and test items.

``tuned_versus_tuned`` compares confirmed winners of searches; ``search_curve`` draws what a search
of a given budget finds.
"""

from stats.tuned.analysis import tuned_versus_tuned
from stats.tuned.budget import search_curve
from stats.tuned.result import Effort, Shrinkage, Tuned

__all__ = ["Effort", "Shrinkage", "Tuned", "search_curve", "tuned_versus_tuned"]
