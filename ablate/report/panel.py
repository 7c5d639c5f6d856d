"""How one analysis reaches the report: a panel in one of its sections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ablate.report.picture import Picture
from stats.report.section import Table
from stats.verdict import Verdict

SECTIONS = {
    "real": "Is it real",
    "mechanism": "Is it the mechanism",
    "axes": "Which axes",
    "cost": "Does it cost anything",
    "inside": "Does the mechanism do what it says",
    "settle": "What would settle it",
}
"""The questions of a report, in its order."""


@dataclass(frozen=True)
class Panel:
    """One analysis as a report shows it, on the terminal, in HTML, LaTeX and JSON.

    ``section`` is a key of ``SECTIONS``. ``headline`` is one sentence for the first screen ("" for
    none), ``word`` a word or two that answer the section's question before it ("Yes", "Not shown"),
    ``verdict`` what both rest on (None: no mark beside it), and ``sentences`` say the rest;
    all are generated from a result object. Of a section's headlines with a verdict the worst
    comes first on the first screen and gives word and mark, and one without a verdict is shown
    where there is no other; one that ``qualifies`` follows the answer and does not take its place.
    ``notes`` tell assumptions and what is not said. ``data`` holds plain values for
    ``report.json``.
    """

    section: str
    title: str
    headline: str = ""
    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    notes: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    verdict: Verdict | None = None
    word: str = ""
    qualifies: bool = False
