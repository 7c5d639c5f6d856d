"""The rows of the table of costs, as text, Markdown and JSON, and the machine they come from."""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from studies.benchmarks.measurement import MIN_PAIRS, Goal, Interval


@dataclass(frozen=True)
class Row:
    """One line: a baseline, the same with TALAN, their ratio, and its goal.

    Of the part `share` the ratio is the share of the backbone. Lines of detail are indented.
    """

    shape: str
    part: str
    what: str
    plain: float | None
    talan: float
    unit: str
    ratio: Interval | float
    goal: Goal | None = None

    @property
    def verdict(self) -> str:
        """What the goal says of the ratio; empty without a goal."""
        return "" if self.goal is None else self.goal.judge(self.ratio)


DURATIONS = (("", 1.0), ("m", 1e-3), ("µ", 1e-6))
SIZES = (("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0))


def amount(value: float | None, unit: str) -> str:
    """A value with three significant digits and a prefix: seconds, bytes or a count."""
    if value is None:
        return ""
    scale = DURATIONS if unit == "s" else SIZES
    prefix, factor = next((each for each in scale if value >= each[1]), scale[-1])
    return f"{value / factor:.4g} {prefix}{unit}".rstrip()


def cells(row: Row) -> list[str]:
    """What the columns of `HEADINGS` say of a row."""
    ratio = row.ratio
    middle = ratio.median if isinstance(ratio, Interval) else ratio
    shown = f"{100 * middle:.3f} %" if row.part == "share" else f"{middle:.4f}"
    between = pairs = ""
    if isinstance(ratio, Interval):
        between, pairs = f"{ratio.low:.4f}-{ratio.high:.4f}", str(ratio.n)
    goal = ""
    if row.goal is not None:
        limit = f"{100 * row.goal.limit:g} %" if row.part == "share" else f"{row.goal.limit:g}"
        goal = f"<= {limit} {row.verdict}"
    elif isinstance(ratio, Interval) and ratio.n < MIN_PAIRS:
        goal = f"({100 * ratio.confidence:.0f} % only)"
    elif row.what.strip() == "bypassed" and isinstance(ratio, Interval) and ratio.high < 1:
        goal = "below 1: biased"  # hooks cannot make a model faster
    plain, other = amount(row.plain, row.unit), amount(row.talan, row.unit)
    return [row.what, plain, other, shown, between, pairs, goal]


HEADINGS = ["", "LoRA", "+ TALAN", "ratio", "95 % interval", "n", "goal"]


def line(row: Row | None) -> str:
    """A row of the text table, or its headings; at most 100 columns."""
    found = HEADINGS if row is None else cells(row)
    widths = (35, 8, 8, 8, 14, 3, 18)
    what, *middle, goal = found
    parts = [f"{each:>{width}}" for each, width in zip(middle, widths[1:-1], strict=True)]
    return " ".join([f"{what:<{widths[0]}}", *parts, goal]).rstrip()


def markdown(rows: Sequence[Row], about: dict[str, Any], missing: Sequence[str]) -> str:
    """A Markdown table of `rows`, the machine and the command above it, what is missing below."""
    lines = [
        f"Measured by `{about['command']}` on {about['machine']}, {about['device']}; backbone "
        f"{about['dtype']}, LoRA {about['lora dtype']}; torch {about['torch']}, transformers "
        f"{about['transformers']}, peft {about['peft']}.",
    ]
    for shape in dict.fromkeys(row.shape for row in rows):
        lines += ["", f"| {shape} | " + " | ".join(HEADINGS[1:]) + " |"]
        lines.append("|---|" + "---:|" * 5 + "---|")
        for row in rows:
            if row.shape == shape:
                what, *others = cells(row)
                indent = "&nbsp;&nbsp;" if what.startswith(" ") else ""
                lines.append(f"| {indent}{what.strip()} | " + " | ".join(others) + " |")
    lines += ["", *(f"- {each}" for each in missing)] if missing else []
    return "\n".join(lines) + "\n"


def plain_values(row: Row) -> dict[str, Any]:
    """A row as values fit for JSON."""
    return {**dataclasses.asdict(row), "verdict": row.verdict}


def environment(device: torch.device) -> dict[str, Any]:
    """What the numbers depend on besides the options."""
    gpu = torch.cuda.get_device_name() if device.type == "cuda" else None
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores",
        "device": gpu or f"CPU, {torch.get_num_threads()} thread",
        "load average": os.getloadavg()[0],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "peft": version("peft"),
    }


def _processor() -> str:
    """The processor's name, where the system tells it."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    names = [each.partition(":")[2].strip() for each in lines if each.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
