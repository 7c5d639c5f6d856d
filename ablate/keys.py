"""The keys of a study: how the text of each is read, and a line of help.

``KEYS`` is the single list of keys; files, command line, help and error messages all use it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ablate import parse
from ablate.adapters import ADAPTERS
from ablate.control_arms import CONTROLS
from ablate.design.fraction import RESOLUTIONS
from ablate.design.registry import DESIGNS
from ablate.errors import AblateError, nearest
from ablate.parse import Parser, Raw
from ablate.phases import CONFIRM, EXPLORE
from ablate.space import NAMES, SAMPLERS, Dimension, parse_dimension
from talan.axes import AXES, Level
from talan.errors import TalanError

LONGEST_NAME = 100
"""Characters of a study's name, which names folders."""


@dataclass(frozen=True)
class Key:
    """A setting: how its text is read, and one line of help."""

    parse: Parser
    help: str


def _seeds(raw: Raw, place: str) -> tuple[int, ...]:
    """``5`` is the count (0 to 4); ``0,3,7`` or a YAML list are the seeds themselves."""
    if isinstance(raw, str) and "," not in raw and not raw.startswith("["):
        count = parse.integer(raw, place, low=0)
        if count > len(EXPLORE):
            raise AblateError(
                f"{count} seeds are more than {len(EXPLORE)}",
                place=place,
                value=count,
                hint="larger seeds are kept for searches and confirmations",
            )
        seeds = tuple(range(count))
    else:
        parts = raw if isinstance(raw, list) else str(raw).strip("[]").split(",")
        texts = [str(part).strip() for part in parts if str(part).strip()]
        seeds = tuple(parse.integer(part, place, low=0) for part in texts)
    for i, seed in enumerate(seeds):
        if seed in seeds[:i]:
            raise AblateError(
                f"seed {seed} is listed twice",
                place=place,
                value=seed,
                hint="a repeated run is no new evidence",
            )
        if seed not in EXPLORE:
            raise AblateError(
                f"seed {seed} is outside 0-{EXPLORE[-1]}",
                place=place,
                value=seed,
                hint="larger seeds are kept for searches (1000-1999) and confirmations (10000 on)",
            )
    if not seeds:
        raise AblateError("no seeds", place=place, value=raw, hint="6 allow an exact test at .05")
    if len(seeds) == 1:
        raise AblateError(
            "with one seed no inference is possible",
            place=place,
            value=raw,
            hint="seed variance needs at least 2 seeds, an exact test at .05 needs 6",
        )
    return tuple(sorted(seeds))


def _name(raw: Raw, place: str) -> str:
    """A name that can be a folder's; an empty one leaves it to the study."""
    name = parse.text(raw, place).strip()
    if name and not any(c.isalnum() for c in name):
        raise AblateError(
            f"{name!r} has neither a letter nor a digit",
            place=place,
            value=name,
            hint="reports lie in a folder of that name",
        )
    if len(name) > LONGEST_NAME:
        raise AblateError(
            f"a name of {len(name)} characters; at most {LONGEST_NAME}",
            place=place,
            value=name,
            hint="reports lie in a folder of that name",
        )
    return name


def _count(raw: Raw, place: str) -> int:
    return parse.integer(raw, place, low=1)


def _confirm_seed(raw: Raw, place: str) -> int:
    seed = parse.integer(raw, place, low=0)
    if seed not in CONFIRM:
        raise AblateError(
            f"seed {seed} is outside {CONFIRM[0]}-{CONFIRM[-1]}",
            place=place,
            value=seed,
            hint="smaller seeds are kept for runs and searches",
        )
    return seed


def _whole(raw: Raw, place: str) -> int:
    return parse.integer(raw, place, low=0)


def _replicates(raw: Raw, place: str) -> int:
    count = parse.integer(raw, place, low=1)
    if count < 2:
        raise AblateError(
            "with one seed a draw, the mechanism's interplay with hyperparameters is confounded "
            "with seed noise",
            place=place,
            value=count,
            hint="give hp.seeds=2 or more",
        )
    return count


def _yes_no(raw: Raw, place: str) -> bool:
    return parse.one_of(raw, place, ("yes", "no")) == "yes"


def _dimension(name: str) -> Parser:
    def read(raw: Raw, place: str) -> Dimension:
        return parse_dimension(name, raw, place)

    return read


def _positive(raw: Raw, place: str) -> float:
    return parse.number(raw, place, above=0)


def _non_negative(raw: Raw, place: str) -> float:
    return parse.number(raw, place, low=0)


def _share(raw: Raw, place: str) -> float:
    value = parse.number(raw, place, low=0)
    if value >= 1:
        raise AblateError(f"{value} is not below 1", place=place, value=raw)
    return value


def _alpha(raw: Raw, place: str) -> float:
    value = _share(raw, place)
    if value == 0:
        raise AblateError("0 would never let anything be found", place=place, value=raw)
    return value


def _design(raw: Raw, place: str) -> str:
    return parse.one_of(raw, place, tuple(DESIGNS))  # plugins may have added to them


def _resolution(raw: Raw, place: str) -> int:
    return int(parse.one_of(raw, place, tuple(map(str, RESOLUTIONS))))


def _axes(raw: Raw, place: str) -> tuple[str, ...]:
    axes = parse.names(raw, place)
    if axes == ("all",):
        return tuple(AXES)
    if axes == ("none",):
        return ()
    for axis in axes:
        if axis in ("all", "none"):
            raise AblateError(
                f"{axis!r} stands alone", place=place, value=raw, hint=f"write axes={axis}"
            )
        find_axis(axis, place)
    return axes


def find_axis(axis: str, place: str) -> None:
    """Refuse an unknown axis."""
    if axis not in AXES:
        raise AblateError(
            f"unknown axis {axis!r}",
            place=place,
            value=axis,
            hint=nearest(axis, [*AXES, "all", "none"]),
        )


def _level(axis: str) -> Parser:
    def read(raw: Raw, place: str) -> Level:
        try:
            return AXES[axis].parse(parse.text(raw, place))
        except TalanError as error:
            raise AblateError(error.message, place=place, value=raw, hint=error.hint) from None

    return read


def _levels(axis: str) -> Parser:
    def read(raw: Raw, place: str) -> tuple[Level, ...]:
        levels = tuple(_level(axis)(text, place) for text in parse.names(raw, place))
        for i, level in enumerate(levels):
            if level in levels[:i]:
                raise AblateError(f"level {level} is listed twice", place=place, value=level)
        return levels

    return read


def _controls(raw: Raw, place: str) -> tuple[str, ...]:
    """Names, or ``yes`` for all and ``no`` for none."""
    controls = parse.names(raw, place)
    if controls in (("yes",), ("all",)):
        return tuple(CONTROLS)
    if controls in (("no",), ("none",)):
        return ()
    for control in controls:
        parse.one_of(control, place, (*CONTROLS, "yes", "no"))
    return tuple(name for name in CONTROLS if name in controls)


def _choice(*known: str) -> Parser:
    return lambda raw, place: parse.one_of(raw, place, known)


def _world(raw: Raw, place: str) -> str:
    """The identity of the world that is named (see ``ablate.worlds``)."""
    from ablate.worlds import WORLDS, world_key

    if not parse.text(raw, place).strip():
        raise AblateError(
            "no world is named",
            place=place,
            value=raw,
            hint=f"{nearest('', WORLDS)}; world=no trains models",
        )
    return world_key(raw, place)


KEYS: dict[str, Key] = {
    "name": Key(_name, "the study's name in records (default: the axes, or the file's name)"),
    "question": Key(parse.text, "what the study answers, one line"),
    "axes": Key(
        _axes, f"axes to vary: {', '.join(AXES)}; all = the six; none = the mechanism at one point"
    ),
    "design": Key(_design, f"how levels combine: {', '.join(DESIGNS)}"),
    "fraction.resolution": Key(_resolution, "least resolution of design=fraction: 4, 5 or 6"),
    "fraction.points": Key(_count, "points of design=d-optimal"),
    "fraction.terms": Key(
        parse.names,
        "interactions that a two-level design must tell: all it can, main for none, or such as "
        "mixer:scope",
    ),
    "adapters": Key(
        parse.names,
        f"adapters, each a baseline and the mechanism's partner: {', '.join(ADAPTERS)}",
    ),
    "controls": Key(_controls, f"control arms: {', '.join(CONTROLS)}; yes = all, no = none"),
    "backbones": Key(parse.names, "embedded names, local folders or hub ids"),
    "benchmarks": Key(parse.names, "benchmarks that are scored"),
    "seeds": Key(_seeds, "5 = seeds 0 to 4; 0,3,7 = these"),
    "sesoi": Key(_positive, "smallest effect of interest, in points"),
    "alpha": Key(_alpha, "error rate of each family"),
    "device": Key(_choice("auto", "cpu", "cuda"), "where runs train"),
    "precision": Key(_choice("fp32", "bf16"), "arithmetic of the forward pass"),
    "plugins": Key(parse.names, "modules to import first; they may register adapters and so on"),
    "train.mix": Key(parse.names, "benchmarks that are trained on, in equal shares"),
    "train.steps": Key(_count, "optimiser steps"),
    "train.batch": Key(_count, "rows per step"),
    "train.lr": Key(_positive, "learning rate at the start; it decays linearly to zero"),
    "train.rank": Key(_count, "rank of the adapter; of prompt and prefix the virtual tokens"),
    "train.alpha": Key(_positive, "alpha of the adapter"),
    "train.dropout": Key(_share, "dropout of the adapter"),
    "train.weight_decay": Key(_non_negative, "AdamW's weight decay"),
    "train.clip": Key(_positive, "gradient norm limit, adapter and block each"),
    "block.width": Key(_count, "inner width of the block"),
    "block.lr_multiplier": Key(_positive, "block's learning rate over the adapter's"),
    "block.conditioning": Key(_choice("causal", "prompt"), "what the memory may see"),
    "hp.draws": Key(_whole, "draws of hyperparameters that all arms share; 0 = the train.* values"),
    "hp.seeds": Key(_replicates, "seeds of each draw"),
    "hp.sampler": Key(_choice(*SAMPLERS), "iid, or sobol (its intervals are conservative)"),
    **{
        f"hp.{name}": Key(_dimension(name), f"range of {name}: low..high, or values with commas")
        for name in NAMES
    },
    "search.trials": Key(_count, "trials of each arm's search"),
    "search.seeds": Key(_count, "training seeds of a trial, on each backbone"),
    "search.replicates": Key(_count, "searches of each arm; 5 or more show what tuning varies"),
    "search.sampler": Key(parse.text, "Optuna's sampler: tpe, random, ..."),
    "search.race": Key(_yes_no, "stop trials that lose against the best (Wilcoxon): yes or no"),
    "search.round": Key(_count, "trials that are asked for at once"),
    "search.confirm": Key(_count, "fresh seeds on which the winners are compared"),
    "settle.pairs": Key(_count, "pairs of each cell"),
    "settle.stopping": Key(_choice("fixed", "sequential"), "all pairs at once, or until decided"),
    "settle.budget": Key(_count, "most pairs of a sequential study"),
    "settle.look": Key(_count, "pairs that a sequential study adds before each look"),
    "settle.first": Key(_confirm_seed, "the first seed; 10000 unless seeds from there are used"),
    "world": Key(_world, "a synthetic world in place of training, to check the analysis: null:7"),
    "retention.margin": Key(_positive, "points of retention that may be lost"),
    **{f"levels.{axis}": Key(_levels(axis), f"levels of {axis} to compare") for axis in AXES},
    **{f"at.{axis}": Key(_level(axis), f"{axis} where it is not varied") for axis in AXES},
}
