"""What the columns of a table stand for: told by options, else guessed, and every guess said.

Two kinds of table are known. Paired runs have a column of arms and one of seeds; repeated runs have
one run per entry and occasion, and no seeds. What the names do not tell, the shape of the table
does: which combinations of columns are unique, and which levels occur again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from stats.errors import StatsError, nearest
from stats.report.shape import Shape

if TYPE_CHECKING:
    import pandas as pd

SCORES = ("score", "accuracy", "acc", "value", "metric_value")
ARMS = ("arm", "method", "variant", "system", "treatment", "algorithm", "adapter", "condition")
SEEDS = ("seed", "replicate", "repeat", "rep", "fold", "trial")
BACKBONES = ("backbone", "base_model", "model", "llm", "architecture")
BENCHMARKS = ("benchmark", "task", "dataset", "eval", "metric")
DRAWS = ("hp", "draw", "hp_draw", "hyperparameters")
ENTRIES = ("entry", "config", "configuration", "method", "model", "system", "name", "experiment")
OCCASIONS = (
    "occasion", "campaign", "date", "release", "version", "day", "week", "month", "session",
    "batch", "commit",
)  # fmt: skip
BASELINES = ("lora", "baseline", "base", "control", "reference")
"""Names by which columns, and the baseline arm, are recognised; compared without case."""


@dataclass(frozen=True)
class PairedRoles:
    """The columns of paired runs; "" or () where there is none. ``guesses`` are sentences.

    ``baselines`` are arms: the first is the baseline of everything that needs a single one.
    ``seed`` are the columns of ``pair`` that are neither ``backbone`` nor ``hp``.
    """

    arm: str
    baselines: tuple[str, ...]
    backbone: str
    benchmark: str
    hp: str
    seed: tuple[str, ...]
    pair: tuple[str, ...]
    cell: tuple[str, ...]
    axes: tuple[str, ...]
    score: str
    percent: bool
    guesses: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class RepeatedRoles:
    """The columns of repeated single runs. ``guesses`` are sentences."""

    entry: str
    occasion: str
    score: str
    percent: bool
    guesses: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Given:
    """What the user said of the columns; "" and () where nothing was. ``percent`` None: guess."""

    arm: str = ""
    baselines: tuple[str, ...] = ()
    pair: tuple[str, ...] = ()
    cell: tuple[str, ...] = ()
    score: str = ""
    entry: str = ""
    occasion: str = ""
    axes: tuple[str, ...] = ()
    percent: bool | None = None
    sesoi: float | None = None


def find_roles(frame: pd.DataFrame, given: Given) -> PairedRoles | RepeatedRoles:
    """The roles of a table's columns.

    --entry or --occasion ask for repeated runs, --arm, --pair, --cell or --baseline for paired
    ones; else a column of seeds makes a table one of paired runs. Raises StatsError for columns
    that do not exist, choices that the table does not settle, a table of neither kind, and a SESOI
    whose unit is not told.
    """
    columns = Shape.of(frame)
    for name in (given.arm, *given.pair, *given.cell, given.score, given.entry, given.occasion,
                 *given.axes):  # fmt: skip
        if name and name not in columns.names:
            raise StatsError(
                f"there is no column '{name}'", place="table", value=name,
                hint=nearest(name, columns.names),
            )  # fmt: skip
    repeated = bool(given.entry or given.occasion)
    paired = bool(given.arm or given.pair or given.cell or given.baselines)
    if repeated and paired:
        raise StatsError(
            "--entry and --occasion are for repeated single runs, --arm, --baseline, --pair and "
            "--cell for paired runs",
            place="options",
            hint="give the ones or the others",
        )
    if not repeated and (paired or columns.called(SEEDS)):
        return _paired(columns, given)
    return _repeated(columns, given)


def _score(columns: Shape, given: Given, guesses: list[str]) -> str:
    if given.score:
        return given.score
    name = columns.called(SCORES)
    if name:
        return name
    candidates = columns.fractional or tuple(
        n for n in columns.numeric if n.lower() not in (*SEEDS, *BACKBONES, *DRAWS)
    )
    if len(candidates) == 1:
        guesses.append(f"'{candidates[0]}' is the score: the only column of such numbers.")
        return candidates[0]
    if not candidates:
        raise StatsError(
            f"no column holds scores; found {columns.listing()}", place="table",
            hint="one column of numbers is needed, named by --score",
        )  # fmt: skip
    raise StatsError(
        f"several columns may be the score: {', '.join(candidates)}", place="table",
        value=list(candidates), hint=f"say which: --score {candidates[0]}",
    )  # fmt: skip


def _percent(columns: Shape, score: str, given: Given, guesses: list[str]) -> bool:
    """Whether scores are fractions to be reported in points."""
    if given.percent is not None:
        return given.percent
    if score not in columns.numeric:
        return False
    values = columns.frame[score].dropna()
    if not (values.between(0, 1).all() and (values > 0).any()):
        return False
    if given.sesoi is not None:
        raise StatsError(
            f"all of '{score}' lies between 0 and 1, so that the unit of --sesoi {given.sesoi:g} "
            "is not clear",
            place="--sesoi",
            value=given.sesoi,
            hint="say --percent (fractions, reported in points, and so is the SESOI) or "
            "--no-percent",
        )
    guesses.append(
        f"All of '{score}' lies between 0 and 1: read as fractions and reported in points, x 100 "
        "(--no-percent leaves them as they are)."
    )
    return True


def _paired(columns: Shape, given: Given) -> PairedRoles:
    guesses: list[str] = []
    score = _score(columns, given, guesses)
    taken = [score, *given.axes]
    arm = given.arm or columns.called(ARMS, taken)
    benchmark = columns.called(BENCHMARKS, [*taken, arm])
    hp = columns.called(DRAWS, [*taken, arm])
    seed = columns.called(SEEDS, [*taken, arm])
    if not arm:
        arm = _arm_by_shape(columns, [*taken, benchmark, hp, seed], guesses)
    elif not given.arm and arm.lower() != "arm":
        guesses.append(f"'{arm}' is the arm, by its name.")
    backbone = columns.called(BACKBONES, [*taken, arm, benchmark])
    pair = given.pair or tuple(name for name in (backbone, hp, seed) if name)
    cell = given.cell or tuple(name for name in (backbone, benchmark) if name)
    if given.cell:
        backbone = next((name for name in cell if name in pair), "")
        benchmark = next((name for name in cell if name != backbone), "")
    if not pair:
        raise StatsError(
            f"no column identifies a pair of runs; found {columns.listing()}", place="table",
            hint="name the columns of the seed by --pair",
        )  # fmt: skip
    hp = hp if hp in pair else ""
    backbone = backbone if backbone in pair else ""
    if not given.pair:
        guesses.append(f"A pair is one combination of {', '.join(pair)} (--pair).")
    if not given.cell:
        guesses.append(
            f"A cell is one {' x '.join(cell)} (--cell)." if cell else "There is one cell (--cell)."
        )
    used = [score, arm, *pair, *cell]
    axes = given.axes or tuple(
        name for name in columns.names
        if name not in used and name not in columns.fractional and columns.within(name, arm)
        and 1 < len(columns.levels(name)) < len(columns.levels(arm))
    )  # fmt: skip
    if axes and not given.axes:
        guesses.append(f"Axes of the arms, as they do not vary within one: {', '.join(axes)}.")
    baselines = _baselines(columns, arm, given, guesses)
    percent = _percent(columns, score, given, guesses)
    others = tuple(name for name in pair if name not in (backbone, hp))
    return PairedRoles(
        arm, baselines, backbone, benchmark, hp, others, pair, cell, axes, score, percent,
        tuple(guesses),
    )  # fmt: skip


def _arm_by_shape(columns: Shape, taken: Sequence[str], guesses: list[str]) -> str:
    """The only text column left; a model is taken for the arm where nothing else can be it."""
    free = [
        name for name in columns.names
        if name not in taken and name not in columns.fractional and len(columns.levels(name)) > 1
    ]  # fmt: skip
    free = [name for name in free if name.lower() not in BACKBONES] or free
    if len(free) == 1:
        guesses.append(f"'{free[0]}' is the arm: the only column left.")
        return free[0]
    raise StatsError(
        f"which column names the arm is not clear; found {columns.listing()}", place="table",
        value=free, hint="say --arm",
    )  # fmt: skip


def _baselines(columns: Shape, arm: str, given: Given, guesses: list[str]) -> tuple[str, ...]:
    arms = columns.levels(arm)
    for name in given.baselines:
        if name not in arms:
            raise StatsError(
                f"there is no arm '{name}'", place=f"column '{arm}'", value=name,
                hint=nearest(name, arms),
            )  # fmt: skip
    if given.baselines:
        if len(set(arms) - set(given.baselines)) == 0:
            raise StatsError("every arm is a baseline", place="--baseline", value=given.baselines)
        return given.baselines
    found = [name for known in BASELINES for name in arms if name.lower() == known]
    if len(found) != 1:
        shown = ", ".join(arms[:12]) + (", ..." if len(arms) > 12 else "")
        raise StatsError(
            f"which arm is the baseline is not clear; the arms are {shown}",
            place=f"column '{arm}'", value=arms, hint="say --baseline",
        )  # fmt: skip
    guesses.append(f"'{found[0]}' is the baseline, by its name (--baseline).")
    return (found[0],)


def _repeated(columns: Shape, given: Given) -> RepeatedRoles:
    guesses: list[str] = []
    score = _score(columns, given, guesses)
    occasion = given.occasion or columns.called(OCCASIONS, [score, given.entry])
    entry = given.entry or columns.called(ENTRIES, [score, occasion])
    free = [
        name for name in columns.names
        if name not in (score, entry, occasion) and name not in columns.fractional
        and len(columns.levels(name)) > 1
    ]  # fmt: skip
    if not entry and not occasion:
        entry, occasion = _by_repeats(columns, free)
    elif not entry or not occasion:
        other = _fitting(columns, free, entry or occasion)
        entry, occasion = entry or other, occasion or other
    _check_repeated(columns, entry, occasion)
    if not given.entry:
        guesses.append(
            f"'{entry}' is what is compared: {columns.again(entry, occasion)} of its "
            f"{len(columns.levels(entry))} levels occur on several of '{occasion}' (--entry)."
        )
    if not given.occasion:
        guesses.append(
            f"'{occasion}' is the occasion of a run ({len(columns.levels(occasion))} levels, "
            "--occasion)."
        )
    percent = _percent(columns, score, given, guesses)
    return RepeatedRoles(entry, occasion, score, percent, tuple(guesses))


def _by_repeats(columns: Shape, free: Sequence[str]) -> tuple[str, str]:
    """The two columns that identify rows; the one with more repeated levels is the entry."""
    pairs = [
        (a, b) for i, a in enumerate(free) for b in free[i + 1 :] if columns.unique((a, b))
    ]  # fmt: skip
    if len(pairs) == 1:
        a, b = pairs[0]
        at_a, at_b = columns.again(a, b), columns.again(b, a)
        if at_a != at_b:
            return (a, b) if at_a > at_b else (b, a)
    _neither(columns, [" and ".join(pair) for pair in pairs])


def _fitting(columns: Shape, free: Sequence[str], known: str) -> str:
    """The only column that together with ``known`` identifies rows and repeats its levels."""
    fitting = [n for n in free if columns.unique((known, n)) and columns.again(known, n)]
    if len(fitting) != 1:
        _neither(columns, fitting)
    return fitting[0]


def _check_repeated(columns: Shape, entry: str, occasion: str) -> None:
    if not columns.again(entry, occasion) and columns.unique((entry, occasion)):
        _neither(columns, [])


def _neither(columns: Shape, candidates: Sequence[str]) -> NoReturn:
    """Raise the error for a table of neither kind."""
    several = f"; candidates: {', '.join(candidates)}" if candidates else ""
    raise StatsError(
        f"the columns make neither paired runs nor repeated single runs: {columns.listing()}"
        f"{several}",
        place="table",
        value=list(columns.names),
        hint="paired runs need an arm, a seed and a score (--arm, --pair, --score); repeated "
        "runs an entry that was run on several occasions (--entry, --occasion, --score)",
    )
