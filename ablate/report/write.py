"""Write a report's files into a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.errors import AblateError
from ablate.probing.table import KEYS
from ablate.report.figures import make_pictures
from ablate.report.files import items_parquet, json_bytes, tidy_csv, write_bytes
from ablate.report.findings import Findings
from ablate.report.page import render
from ablate.report.probes import probes_dict

REPORT_VERSION = 2
"""Raised when the shape of ``report.json`` changes."""


@dataclass(frozen=True)
class ReportFiles:
    """Where the files of a report lie."""

    html: Path
    json: Path
    results: Path
    costs: Path
    items: Path
    probes: Path | None
    pictures: tuple[Path, ...]

    def all(self) -> tuple[Path, ...]:
        """Every file, the page first."""
        tables = (self.results, self.costs, self.items, self.probes)
        return (self.html, self.json, *(path for path in tables if path), *self.pictures)


def write_report(findings: Findings, folder: Path) -> ReportFiles:
    """Write the page, the tables and the figures; each file appears whole or not at all.

    The page comes last, so that it never speaks of files that are not there. Raises AblateError
    when the folder cannot be written.
    """
    pictures = make_pictures(findings)
    files = ReportFiles(
        html=folder / "report.html",
        json=folder / "report.json",
        results=folder / "results.csv",
        costs=folder / "costs.csv",
        items=folder / "items.parquet",
        probes=None if findings.probes is None else folder / "probes.csv",
        pictures=tuple(folder / f"{picture.name}.png" for picture in pictures),
    )
    contents: dict[Path, bytes] = {
        files.results: tidy_csv(findings.results),
        files.costs: tidy_csv(findings.costs, ("backbone", "arm", "seed")),
        files.items: items_parquet(findings.items),
        files.json: json_bytes(report_dict(findings)),
        **{path: picture.png for path, picture in zip(files.pictures, pictures, strict=True)},
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
    """The report as plain data: design, inference, failures, provenance."""
    retention = findings.retention_comparison
    return {
        "version": REPORT_VERSION,
        "title": findings.title,
        "question": findings.question,
        "command": findings.command,
        "exploratory": list(findings.exploratory),
        "design": {
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
            "sesoi": findings.sesoi,
            "alpha": findings.alpha,
            "notes": list(findings.notes),
        },
        "main": findings.main.to_dict(),
        "controls": None if findings.controls is None else findings.controls.to_dict(),
        "retention": None if retention is None else retention.to_dict(),
        "unadapted": findings.unadapted.to_dict("records"),
        "failures": findings.failures.to_dict("records"),
        "probes": probes_dict(findings.probes),
        "provenance": dict(findings.provenance),
    }
