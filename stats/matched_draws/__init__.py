"""Matched draws: arms compared at the same hyperparameters, drawn from one declared space.

``analysis.matched_draws`` is the whole of it: the effect averaged over the space, how it varies
over the space (the interplay of mechanism and hyperparameters), where it changes its sign and which
hyperparameters go along with it. ``components.decomposition`` sets the sources beside each other.
The draw is the unit: seeds and backbones of one draw share its hyperparameters.
"""
