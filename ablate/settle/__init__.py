"""Settling a claim: a plan written down before its first run, paired runs, gatekept verdicts.

``plan_file`` is what a plan says, ``register`` keeps it from changing, ``refuse`` keeps what was
seen before out of it, ``command`` carries it out, ``analysis`` and ``panel`` say what came out.
"""
