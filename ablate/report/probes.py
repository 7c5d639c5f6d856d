"""The report's section on the inside of trained runs: text, tables, pictures, plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ablate.probing.answer import caption, sentences, text
from ablate.probing.figures import NAMES, direction_plot, growth_plot
from ablate.probing.prompts import N_PROMPTS
from ablate.probing.summary import BLOCK, HEIGHT, SHAPE_DISTANCE, Mean, Summary
from ablate.recipes import PROBE_RECIPE
from ablate.report.picture import Picture, make_picture
from talan.probe.definitions import MEASURES, VARIANTS

if TYPE_CHECKING:
    from ablate.probing.findings import ProbeFindings

TITLE = "Does the mechanism do what it says"


@dataclass(frozen=True)
class TextTable:
    """A table of texts; the first column names the rows."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def section(probes: ProbeFindings) -> dict[str, Any]:
    """What the page's partial template needs."""
    return {
        "title": TITLE,
        "groups": [
            {
                "title": heading(summary),
                "sentences": sentences(summary),
                "tables": [table for table in tables(summary) if table.rows],
            }
            for summary in probes.summaries
        ],
        "arms": [
            (arm, [s for s in probes.summaries if s.arm == arm])
            for arm in dict.fromkeys(s.arm for s in probes.summaries)
        ],
        "notes": probes.notes,
        "caption": caption(probes.summaries),
        "n_prompts": N_PROMPTS,
        "measures": MEASURES.values(),
        "comparisons": [("height", HEIGHT), ("difference in shape", SHAPE_DISTANCE)],
        "variants": [(NAMES.get(name, name), about) for name, about in VARIANTS.items()],
    }


def heading(summary: Summary) -> str:
    """Which arm on which backbone, over how many seeds."""
    seeds = f"{len(summary.seeds)} seed{'' if len(summary.seeds) == 1 else 's'}"
    return f"{summary.backbone}, {summary.label} ({seeds})"


def tables(summary: Summary) -> tuple[TextTable, TextTable, TextTable]:
    """Substitutions, stability across benchmarks, and the block's inside."""
    return substitutions(summary), stability(summary), inside(summary)


def substitutions(summary: Summary) -> TextTable:
    """The block beside what was put in its place, averaged over benchmarks."""
    rows = []
    for variant in summary.variants:
        curve = summary.curve("rel_diff", variant)
        over = summary.number("amplification_over_random", variant)
        rows.append(
            (
                NAMES[variant],
                text(curve[summary.site]),
                text(curve[-1]),
                text(summary.number("amplification", variant)),
                text(over),
                text(summary.number("kl", variant)),
            )
        )
    headers = (
        "in place of the block", "rel_diff at the site", "at the last state", "amplification",
        "over random", "KL, nats",
    )  # fmt: skip
    return TextTable("What is written, and what would be written instead", headers, tuple(rows))


def stability(summary: Summary) -> TextTable:
    """How alike the curves of two benchmarks are, for each variant."""
    rows = tuple(
        (
            NAMES[variant],
            text(summary.number("curve_correlation", variant)),
            text(summary.number("curve_correlation", variant, "worst")),
            text(summary.number("curve_deviation", variant, "worst")),
            text(summary.number("curve_deviation_relative", variant, "worst")),
        )
        for variant in summary.variants
        if summary.number("curve_deviation", variant).n
    )
    headers = (
        "in place of the block", "correlation, mean pair", "lowest pair", "largest deviation",
        "relative to the curves",
    )  # fmt: skip
    return TextTable("Stability of the curve over pairs of benchmarks", headers, rows)


def inside(summary: Summary) -> TextTable:
    """Use of the slots per benchmark, and the gate."""
    measures = ("slot_usage_entropy", "slot_attention_entropy", "compress_entropy")
    rows = [
        (benchmark, *(text(summary.number(name, BLOCK, benchmark)) for name in measures))
        for benchmark in summary.benchmarks
    ]
    for name in ("gate", "scale"):
        found = summary.number(name, "")
        if found.n:
            rows.append((f"{name}: {text(found)}", "", "", ""))
    headers = ("benchmark", "slot usage", "attention to slots", "attention in compress")
    return TextTable("Entropies inside the block, 0 to 1", headers, tuple(rows))


def probe_pictures(probes: ProbeFindings) -> tuple[Picture, ...]:
    """Two pictures per arm, a row of panels per backbone in each."""
    pictures: list[Picture] = []
    arms = dict.fromkeys(summary.arm for summary in probes.summaries)
    for number, arm in enumerate(arms):
        mine = [summary for summary in probes.summaries if summary.arm == arm]
        pictures += arm_pictures(mine, suffix="" if number == 0 else f"-{slug(mine[0].label)}")
    return tuple(pictures)


def arm_pictures(summaries: Sequence[Summary], suffix: str = "") -> list[Picture]:
    """The pictures of one arm; ``suffix`` ends the names of their files."""
    title = summaries[0].label
    return [
        make_picture(
            f"probe-growth{suffix}",
            growth_plot(summaries, title=title),
            "Curves of rel_diff over layers: per benchmark, and for the block beside a static "
            "memory, the memory of another sequence and random directions of equal size.",
            f"{caption(summaries)} They may leave the frame. The right panels average over "
            "benchmarks within the seed (geometric mean).",
        ),
        make_picture(
            f"probe-direction{suffix}",
            direction_plot(summaries, title=title),
            "The adapter's update beside the perturbation over layers: ratio of their sizes, and "
            "cosines, with those of random directions.",
            f"{caption(summaries)} Averages over benchmarks within the seed; undefined before the "
            "site.",
        ),
    ]


def slug(label: str) -> str:
    """A label as part of a file's name."""
    words = "".join(c if c.isalnum() or c in "=." else " " for c in label).split()
    return "-".join(words)


def probes_dict(probes: ProbeFindings | None) -> dict[str, Any] | None:
    """The section as plain data, unrounded."""
    if probes is None:
        return None
    return {
        "recipe": PROBE_RECIPE,
        "prompts_per_benchmark": N_PROMPTS,
        "notes": list(probes.notes),
        "measures": {name: measure.formula for name, measure in MEASURES.items()}
        | {"height": HEIGHT, "shape": SHAPE_DISTANCE},
        "summaries": [
            asdict(summary)
            | {"answers": [{"question": q, "answer": a} for q, a in sentences(summary)]}
            for summary in probes.summaries
        ],
    }


def metrics(summary: Summary) -> dict[str, float]:
    """Summary numbers of an arm on a backbone, for MLflow; limits are metrics of their own."""
    found: dict[str, Mean] = {
        "amplification": summary.number("amplification"),
        "amplification_over_random": summary.compared.get(
            "growth over random", summary.number("amplification_over_random")
        ),
        "rel_diff_last": summary.curve("rel_diff")[-1],
        "kl": summary.number("kl"),
        "curve_correlation": summary.number("curve_correlation"),
        "curve_correlation_static": summary.number("curve_correlation", "static"),
        "slot_usage_entropy": summary.number("slot_usage_entropy"),
        "gate": summary.number("gate", ""),
    }
    return {
        f"probe.{summary.backbone}/{name}{end}": value
        for name, mean in found.items()
        for end, value in (("", mean.mean), ("_low", mean.low), ("_high", mean.high))
    }
