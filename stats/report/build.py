"""``report``: from a results table to everything that its columns allow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stats.errors import StatsError
from stats.record import plain, versions
from stats.report.progress import working_on
from stats.report.roles import Given, PairedRoles, RepeatedRoles, find_roles
from stats.report.section import Answer, Section
from stats.report.study import Options, PairedStudy, RepeatedStudy

if TYPE_CHECKING:
    import pandas as pd

KINDS = {"paired": "paired runs", "repeated": "repeated single runs"}


@dataclass(frozen=True)
class Report:
    """A page before it is drawn: what the table is, and its sections.

    ``kind`` is "paired" or "repeated"; ``columns`` says which column plays which part, ``guesses``
    which of these were not told, ``provenance`` how it was computed.
    """

    title: str
    kind: str
    lead: str
    sections: tuple[Section, ...]
    columns: tuple[tuple[str, str], ...]
    guesses: tuple[str, ...]
    provenance: tuple[tuple[str, str], ...]
    versions: dict[str, str] = field(default_factory=versions)

    def html(self) -> str:
        """The page as one self-contained HTML file."""
        from stats.report.page import render

        return render(self)

    def answers(self) -> tuple[tuple[Section, Answer], ...]:
        """Every section's answers, in order."""
        return tuple((section, answer) for section in self.sections for answer in section.answers)

    def summary(self) -> str:
        """The answers as text for a terminal, at most 100 columns wide."""
        from stats.layout import wrap

        lines = [*wrap(self.title), *wrap(self.lead)]
        for section in self.sections:
            lines += ["", section.title]
            for answer in section.answers:
                mark = f"{answer.mark:<2} " if answer.mark else ""
                lines += wrap(f"- {mark}{answer.text}", hanging="  ")
            if not section.answers:
                lines += [
                    line for note in section.notes for line in wrap(f"- {note}", hanging="  ")
                ]
        if self.guesses:
            lines += ["", "Taken for granted"]
            lines += [line for text in self.guesses for line in wrap(f"- {text}", hanging="  ")]
        return "\n".join(lines) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: every section's answers and results; figures are left out."""
        return {
            "title": self.title,
            "kind": self.kind,
            "columns": dict(self.columns),
            "guesses": list(self.guesses),
            "sections": [
                {
                    "title": s.title,
                    "answers": [a.text for a in s.answers],
                    "notes": list(s.notes),
                    "results": plain(s.results),
                }
                for s in self.sections
            ],
            "provenance": dict(self.provenance),
            "versions": self.versions,
        }


def report(
    frame: pd.DataFrame,
    given: Given | None = None,
    options: Options | None = None,
    *,
    items: pd.DataFrame | None = None,
    title: str = "",
    source: str = "",
    command: str = "",
) -> Report:
    """Everything that a results table allows (see ``registry`` for the sections).

    ``given`` is what is known of the columns, the rest is guessed and said. ``items`` is a table
    with one row per arm, pair, cell and item. ``source`` names the table, ``command`` how it was
    called, for the page. A section that the data do not allow says why in its place; the first one
    must be possible. Raises StatsError for what ``roles.find_roles`` and the first section raise.
    """
    from stats.report.registry import PAIRED, REPEATED

    given, options = given or Given(), options or Options()
    roles = find_roles(frame, given)
    study: PairedStudy | RepeatedStudy
    if isinstance(roles, PairedRoles):
        study, parts = PairedStudy(frame, roles, options, items), PAIRED
    else:
        if items is not None:
            raise StatsError(
                "outcomes of items belong to paired runs, not to repeated single ones",
                place="--items", hint="leave them out",
            )  # fmt: skip
        if options.sesoi is not None:
            raise StatsError(
                "a smallest effect of interest belongs to paired runs, not to repeated single ones",
                place="--sesoi", value=options.sesoi, hint="leave it out",
            )  # fmt: skip
        study, parts = RepeatedStudy(frame, roles, options), REPEATED
    sections = []
    for part in parts:
        if not part.applies(study):
            continue
        with working_on(part.title):
            try:
                sections.append(part.make(study))
            except StatsError as error:
                if not sections:
                    raise
                sections.append(Section(part.title, notes=(f"Not computed: {error}.",)))
    kind = "paired" if isinstance(roles, PairedRoles) else "repeated"
    return Report(
        title=title or f"{source or 'A table'}: {KINDS[kind]}",
        kind=kind,
        lead=_lead(study),
        sections=tuple(sections),
        columns=_columns(roles),
        guesses=roles.guesses,
        provenance=_provenance(options, source, command, len(frame)),
    )


def _lead(study: PairedStudy | RepeatedStudy) -> str:
    """What is on the page, in one line."""
    if isinstance(study, RepeatedStudy):
        from stats.wording import plural

        f = study.floor
        apart = f"; {sum(a.runs for a in f.apart)} set apart" if f.apart else ""
        return (
            f"{len(study.frame)} single runs of {f.n_entries} {plural(f.entry)} on "
            f"{f.n_occasions + sum(len(a.occasions) for a in f.apart)} {plural(f.occasion)}{apart} "
            f"· {f.units}"
        )
    scores = study.table.scores()
    sesoi = study.options.sesoi
    parts = [
        f"{len(scores.arms)} arms",
        f"{len(scores.pairs)} pairs",
        f"{len(scores.cells)} cell{'s' if len(scores.cells) > 1 else ''}",
        f"{len(study.frame)} rows",
        study.table.units,
    ]
    if sesoi is not None:
        parts.append(f"smallest effect of interest {sesoi:g}")
    return " · ".join([*parts, f"α = {study.options.alpha:g}"])


def _columns(roles: PairedRoles | RepeatedRoles) -> tuple[tuple[str, str], ...]:
    units = "fractions, reported in points" if roles.percent else "reported as they are"
    if isinstance(roles, RepeatedRoles):
        return (
            ("entry", roles.entry),
            ("occasion", roles.occasion),
            ("score", f"{roles.score} ({units})"),
        )
    found = [
        ("arm", roles.arm),
        ("baseline", ", ".join(roles.baselines)),
        ("pair", ", ".join(roles.pair)),
        ("cell", " × ".join(roles.cell)),
        ("hyperparameter draw", roles.hp),
        ("axes", ", ".join(roles.axes)),
        ("score", f"{roles.score} ({units})"),
    ]
    return tuple((name, value) for name, value in found if value)


def _provenance(
    options: Options, source: str, command: str, rows: int
) -> tuple[tuple[str, str], ...]:
    found = [
        ("table", f"{source} ({rows} rows)" if source else f"{rows} rows"),
        ("command", command),
        ("random seed", str(options.seed)),
        ("resamples", str(options.n_resamples)),
        ("levels", f"α = {options.alpha:g}; intervals {options.confidence_level:.0%}"),
        ("versions", ", ".join(f"{name} {value}" for name, value in versions().items())),
    ]
    return tuple((name, value) for name, value in found if value)
