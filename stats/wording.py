"""How numbers are written for reading. Rounding happens here and nowhere else."""

from __future__ import annotations

import math


def number(value: float, *, sign: bool = False) -> str:
    """At most six or seven characters that show the leading digits; "-" for NaN."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    size = abs(value)
    digits = 4 if size < 0.1 else 3 if size < 1 else 2 if size < 100 else 1 if size < 1000 else 0
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    while len(text) > 6 and digits > 0:
        digits -= 1
        text = f"{value:{'+' if sign else ''}.{digits}f}"
    return text


def amount(value: float, units: str) -> str:
    """A number with its unit, in the singular for one."""
    return f"{value:g} {units.removesuffix('s') if value == 1 else units}"


def p_value(p: float, *, equals: bool = False) -> str:
    """Three decimals, or "<.001"; "-" where there is none.

    ``equals`` writes the relation out, for prose: "= .031", "< .001".
    """
    if math.isnan(p):
        return "-"
    if p < 0.001:
        return "< .001" if equals else "<.001"
    return ("= " if equals else "") + f"{p:.3f}".removeprefix("0")


def plural(word: str, count: int = 2) -> str:
    """``config``, ``configs``; ``entry``, ``entries``."""
    if count == 1:
        return word
    if word[-1:] == "y" and word[-2:-1] not in ("a", "e", "i", "o", "u"):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")
