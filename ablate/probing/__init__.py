"""Probes of trained runs: which, on which prompts, what came out, and what it says.

The measures themselves are ``talan.probe``'s; their definitions are in ``talan.probe.MEASURES``.
"""
