"""Write a report's files into a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.errors import AblateError
from ablate.probing.table import KEYS
from ablate.report.answer import level_contrasts
from ablate.report.costs import overhead
from ablate.report.figures import make_pictures
from ablate.report.files import items_parquet, json_bytes, tidy_csv, write_bytes
from ablate.report.findings import Findings
from ablate.report.latex import tables_tex
from ablate.report.methods import methods_text
from ablate.report.page import render
from ablate.report.panel import SECTIONS
from ablate.report.probes import probes_dict
from ablate.report.screen import first_screen
from ablate.report.settle import settling, settling_dict

REPORT_VERSION = 3
"""Raised when the shape of ``report.json`` changes."""


@dataclass(frozen=True)
class ReportFiles:
    """Where the files of a report lie."""

    html: Path
    json: Path
    results: Path
    costs: Path
    items: Path
    tables: Path
    methods: Path
    probes: Path | None
    pictures: tuple[Path, ...]

    def all(self) -> tuple[Path, ...]:
        """Every file, the page first."""
        data = (self.results, self.costs, self.items, self.probes)
        texts = (self.html, self.json, self.tables, self.methods)
        return (*texts, *(path for path in data if path), *self.pictures)


def write_report(findings: Findings, folder: Path) -> ReportFiles:
    """Write the page, the tables and the figures; each file appears whole or not at all.

    The page comes last, so that it never speaks of files that are not there. Raises AblateError
    when the folder cannot be written.
    """
    pictures = make_pictures(findings)
    shown = (*pictures, *(p for panel in findings.panels for p in panel.pictures))
    files = ReportFiles(
        html=folder / "report.html",
        json=folder / "report.json",
        results=folder / "results.csv",
        costs=folder / "costs.csv",
        items=folder / "items.parquet",
        tables=folder / "tables.tex",
        methods=folder / "methods.md",
        probes=None if findings.probes is None else folder / "probes.csv",
        pictures=tuple(folder / f"{picture.name}.png" for picture in shown),
    )
    contents: dict[Path, bytes] = {
        files.results: tidy_csv(findings.results),
        files.costs: tidy_csv(findings.costs, ("backbone", "arm", "seed")),
        files.items: items_parquet(findings.items),
        files.json: json_bytes(report_dict(findings)),
        files.tables: tables_tex(findings).encode("utf-8"),
        files.methods: methods_text(findings).encode("utf-8"),
        **{path: picture.png for path, picture in zip(files.pictures, shown, strict=True)},
    }
    if findings.probes is not None and files.probes is not None:
        contents[files.probes] = tidy_csv(findings.probes.table, KEYS)
    contents[files.html] = render(findings, pictures).encode("utf-8")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, data in contents.items():
            write_bytes(path, data)
    except OSError as error:
        raise AblateError(
            f"cannot write the report: {error.strerror}",
            place=str(folder),
            value=folder,
            hint="choose a folder you may write to",
        ) from error
    return files


def report_dict(findings: Findings) -> dict[str, Any]:
    """The report as plain data: first screen, design, a part per section, provenance."""
    own = _own(findings)
    return {
        "version": REPORT_VERSION,
        "title": findings.title,
        "question": findings.question,
        "command": findings.command,
        "exploratory": list(findings.exploratory),
        "answers": [
            {
                "section": line.section,
                "question": line.question,
                "word": line.word,
                "sentence": line.text,
                "verdict": None if line.verdict is None else str(line.verdict),
                "next": line.command or None,
            }
            for line in first_screen(findings)
        ],
        "design": _design(findings),
        "sections": {
            key: {"title": title, **own[key], "panels": _panels(findings, key)}
            for key, title in SECTIONS.items()
        },
        "provenance": dict(findings.provenance),
    }


def _own(findings: Findings) -> dict[str, dict[str, Any]]:
    """What each section holds beside its panels."""
    retention = findings.retention_comparison
    return {
        "real": {
            "main": findings.main.to_dict(),
            "failures": findings.failures.to_dict("records"),
        },
        "mechanism": {
            "controls": None if findings.controls is None else findings.controls.to_dict(),
        },
        "axes": {
            "contrasts": [effect.name for effect in level_contrasts(findings.main.primary)],
        },
        "cost": {
            "retention": None if retention is None else retention.to_dict(),
            "overhead": overhead(findings),
        },
        "inside": {"probes": probes_dict(findings.probes)},
        "settle": settling_dict(settling(findings)),
    }


def _panels(findings: Findings, section: str) -> list[dict[str, Any]]:
    return [
        {
            "title": panel.title,
            "word": panel.word,
            "headline": panel.headline,
            "verdict": None if panel.verdict is None else str(panel.verdict),
            "sentences": list(panel.sentences),
            "notes": list(panel.notes),
            "data": dict(panel.data),
        }
        for panel in findings.panels
        if panel.section == section
    ]


def _design(findings: Findings) -> dict[str, Any]:
    return {
        "axes": {axis: list(levels) for axis, levels in findings.axes.items()},
        "arms": [
            {
                "name": info.name,
                "label": info.label,
                "adapter": info.adapter,
                "baseline": info.baseline,
                "levels": dict(info.levels),
            }
            for info in findings.arms
        ],
        "backbones": list(findings.backbones),
        "benchmarks": list(findings.benchmarks),
        "retention": list(findings.retention),
        "seeds": list(findings.seeds),
        "pair": list(findings.pair),
        "sesoi": findings.sesoi,
        "alpha": findings.alpha,
        "notes": list(findings.notes),
        "methods": list(findings.methods),
        "unadapted": findings.unadapted.to_dict("records"),
    }
