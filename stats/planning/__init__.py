"""Planning: what a number of pairs can detect, and how many pairs a question needs.

One subject a module: ``power`` (paired t), ``tost_power`` (equivalence), ``family_power`` (a family
corrected by max-T, simulated), ``detectable`` (a table over numbers of pairs), ``pilot`` (spreads
from a pilot study), ``allocation`` (seeds against items, backbones against seeds).

Plans rest on the spread of paired differences and on the smallest effect of interest. The
difference that a pilot found is never used.
"""
