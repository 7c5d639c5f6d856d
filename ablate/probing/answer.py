"""What the probes say, in sentences generated from the numbers that the tables show."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ablate.probing.summary import RANDOM, SHUFFLED, STATIC, Mean, Summary

ABSENT = "–"
NOT_SHOWN, NOT_MEASURED = "Not shown.", "Not measured."
NOTHING = Mean(math.nan, math.nan, math.nan, 0)
QUESTIONS = (
    "Does it start at its site?",
    "Does it grow with depth?",
    "More than a random direction of equal size?",
    "Does the shape depend on the sequence?",
    "Is the shape stable across benchmarks?",
    "How do adapter and perturbation relate?",
)
"""What each sentence of :func:`sentences` answers, in order."""


def sentences(summary: Summary) -> tuple[tuple[str, str], ...]:
    """A question and its answer each; intervals are 95 % t intervals over seeds, unadjusted."""
    answers = (_start(summary), _growth(summary), _random(summary), _sequence(summary),
               _stability(summary), _adapter(summary))  # fmt: skip
    return tuple(zip(QUESTIONS, answers, strict=True))


def _start(summary: Summary) -> str:
    curve = summary.curve("rel_diff")
    where = f"state {summary.site} of {summary.layers}"
    if not summary.starts:
        return (
            f"Not everywhere. At its site, {where}, rel_diff is 0 in some seed or on some "
            "benchmark: the block changes nothing there."
        )
    size = f"there it is {text(curve[summary.site])}"
    if summary.site == 0:
        return f"Yes. Its site is {where}, with nothing before it; {size}."
    if summary.silent_before:
        return (
            f"Yes. rel_diff is exactly 0 before {where}, in every seed and on every benchmark; "
            f"{size}."
        )
    return f"No. rel_diff is not 0 before {where}."


def _growth(summary: Summary) -> str:
    found, growth = summary.number("amplification"), summary.growth
    return (
        f"{side(found, 1.0, 'Yes.', 'No, it shrinks.', NOT_SHOWN)} From the site to the last state "
        f"rel_diff changes by a factor of {text(found)}; {growth.monotone} of {growth.curves} "
        "curves (one per seed and benchmark) rise at every layer."
    )


def _random(summary: Summary) -> str:
    found = summary.compared.get(f"growth over {RANDOM}", NOTHING)
    if not found.n:
        return NOT_MEASURED
    return (
        f"{side(found, 1.0, 'Yes.', 'No, less.', NOT_SHOWN)} It grows {text(found)} times as much "
        "as random directions of equal size, which change by a factor of "
        f"{text(summary.number('amplification', RANDOM))} (paired within seeds)."
    )


def _sequence(summary: Summary) -> str:
    parts = []
    for variant, what in (
        (STATIC, "With a static memory (the mean slots)"),
        (SHUFFLED, "with the memory of another sequence"),
        (RANDOM, "with a random direction of equal size"),
    ):
        shape = summary.compared.get(f"shape to {variant}", NOTHING)
        height = summary.compared.get(f"height of {variant}", NOTHING)
        if shape.n:
            parts.append(
                f"{what} the curve is {text(height)} times as high and its shape differs by "
                f"{percent(shape)}"
            )
    if not parts:
        return NOT_MEASURED
    answer = f"{capital('; '.join(parts))}."
    between = summary.compared.get("shape between benchmarks", NOTHING)
    ratio = summary.compared.get(f"shape to {STATIC} over between benchmarks", NOTHING)
    if not (between.n and ratio.n):
        return answer
    verdict = side(
        ratio, 1.0,
        "More than on the benchmark: a static memory changes the shape more than another "
        "benchmark does.",
        "Less than on the benchmark: a static memory changes the shape less than another "
        "benchmark does.",
        "Not shown: a static memory may change the shape more or less than another benchmark does.",
    )  # fmt: skip
    return f"{verdict} {answer} Two benchmarks differ by {percent(between)} in shape."


def _stability(summary: Summary) -> str:
    mine = summary.number("curve_correlation")
    if not mine.n:
        return f"{NOT_MEASURED} It takes two benchmarks, and three states from the site on."
    others = "".join(
        f", with a {variant} memory at {text(summary.number('curve_correlation', variant))}"
        for variant in (STATIC, SHUFFLED)
        if summary.number("curve_correlation", variant).n
    )
    answer = f"Over pairs of benchmarks the block's curves correlate at {text(mine)}{others}."
    gap = summary.compared.get(f"stability minus {STATIC}", NOTHING)
    if not gap.n:
        return answer
    verdict = side(
        gap, 0.0,
        "The block is stabler than a static memory",
        "A static memory is the stabler one, so stability is no sign of conditioning",
        "It is not shown to be stabler than a static memory, so stability is no sign of "
        "conditioning",
    )  # fmt: skip
    return f"{answer} {verdict} (difference {text(gap)})."


def _adapter(summary: Summary) -> str:
    ratio = [point for point in summary.curve("update_ratio") if point.n]
    cosine = [point for point in summary.curve("cosine_tokens") if point.n]
    if not ratio or not cosine:
        return f"{NOT_MEASURED} There is no adapter to switch off."
    sizes = sorted(point.mean for point in ratio)
    ends = sorted(point.mean for point in cosine)
    spread = [p.mean for p in summary.curve("cosine_tokens", RANDOM) if p.n]
    beside = (
        f"; random directions: {number(min(spread))} to {number(max(spread))}" if spread else ""
    )
    return (
        f"The adapter's update is {number(sizes[0])} to {number(sizes[-1])} times as large as the "
        f"perturbation, by layer; their cosine per token is {number(ends[0])} to "
        f"{number(ends[-1])}{beside}."
    )


def side(found: Mean, at: float, above: str, below: str, between: str) -> str:
    """Which words the interval supports: wholly above ``at``, wholly below, or neither."""
    return above if found.low > at else below if found.high < at else between


def capital(sentence: str) -> str:
    """The sentence with its first letter a capital."""
    return sentence[:1].upper() + sentence[1:]


def text(found: Mean) -> str:
    """``1.42 [1.31, 1.53]``; the mean alone without an interval."""
    if not found.n:
        return ABSENT
    if not found.has_interval:
        return number(found.mean)
    return f"{number(found.mean)} [{number(found.low)}, {number(found.high)}]"


def percent(found: Mean) -> str:
    """``3.1 % [2.0, 4.2]``."""
    if not found.n:
        return ABSENT
    ends = f" [{100 * found.low:.1f}, {100 * found.high:.1f}]" if found.has_interval else ""
    return f"{100 * found.mean:.1f} %{ends}"


def number(value: float) -> str:
    """Three significant digits, without an exponent where that is readable."""
    if not math.isfinite(value):
        return ABSENT
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1000 or size < 1e-4:
        return f"{value:.2e}" if size >= 1e6 or size < 1e-4 else f"{value:.0f}"
    digits = max(0, 2 - math.floor(math.log10(size)))
    return f"{value:.{digits}f}"


def caption(summaries: Sequence[Summary]) -> str:
    """How many seeds the bands and intervals are over."""
    counts = sorted({len(summary.seeds) for summary in summaries})
    if counts == [1]:
        return "One seed: no intervals, and nothing is shown of other seeds."
    return f"Bands: 95 % t intervals over {' or '.join(map(str, counts))} seeds, unadjusted."
