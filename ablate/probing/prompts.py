"""Which prompts a probe shows to a run, and the digest that names them.

The first ``N_PROMPTS`` test items of each benchmark, in its own order, without their answers. They
are only looked at: nothing is trained, chosen or tuned on what they show.
"""

from __future__ import annotations

from collections.abc import Sequence

from ablate.spec import Part, content_key

N_PROMPTS = 32
"""Prompts of each benchmark."""


def prompts_digest(benchmarks: Sequence[Part]) -> str:
    """The identity of the prompts of a probe: which benchmarks, in which order, how many each."""
    return content_key([N_PROMPTS, [[part.benchmark, part.digest] for part in benchmarks]])
