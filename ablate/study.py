"""The study: what a YAML file and ``key=value`` overrides declare, validated.

``KEYS`` is the single list of keys; files, command line, help and error messages all use it.
"""

from __future__ import annotations

import importlib
import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate import parse
from ablate.adapters import ADAPTERS, find_adapter
from ablate.control_arms import CONTROLS
from ablate.errors import AblateError, nearest
from ablate.parse import Parser, Raw, Source
from ablate.spec import Hp
from talan.axes import AXES, Level
from talan.errors import TalanError

DEFAULT_STUDY = "default"
FACTORIAL, ONE_AT_A_TIME = "factorial", "one-at-a-time"
DESIGNS = (FACTORIAL, ONE_AT_A_TIME)
EXPLORE_SEEDS = range(1000)
"""Seeds of ``run``; searches and confirmations own other ranges, so that none is used twice."""


@dataclass(frozen=True)
class Key:
    """A setting: how its text is read, and one line of help."""

    parse: Parser
    help: str


def _seeds(raw: Raw, place: str) -> tuple[int, ...]:
    """``5`` is the count (0 to 4); ``0,3,7`` or a YAML list are the seeds themselves."""
    if isinstance(raw, str) and "," not in raw and not raw.startswith("["):
        count = parse.integer(raw, place, low=0)
        if count > len(EXPLORE_SEEDS):
            raise AblateError(f"{count} seeds; at most {len(EXPLORE_SEEDS)}", place=place)
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
        if seed not in EXPLORE_SEEDS:
            raise AblateError(
                f"seed {seed} is outside 0-{EXPLORE_SEEDS[-1]}",
                place=place,
                value=seed,
                hint="larger seeds are kept for searches (1000-1999) and confirmations (10000 on)",
            )
    if not seeds:
        raise AblateError("no seeds", place=place, value=raw)
    if len(seeds) == 1:
        raise AblateError(
            "with one seed no inference is possible",
            place=place,
            value=raw,
            hint="seed variance needs at least 2 seeds, an exact test at .05 needs 6",
        )
    return tuple(sorted(seeds))


def _count(raw: Raw, place: str) -> int:
    return parse.integer(raw, place, low=1)


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


def _axes(raw: Raw, place: str) -> tuple[str, ...]:
    axes = parse.names(raw, place)
    if axes == ("all",):
        return tuple(AXES)
    for axis in axes:
        find_axis(axis, place)
    return axes


def find_axis(axis: str, place: str) -> None:
    """Refuse an unknown axis."""
    if axis not in AXES:
        raise AblateError(
            f"unknown axis {axis!r}",
            place=place,
            value=axis,
            hint=nearest(axis, [*AXES, "all"]),
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


KEYS: dict[str, Key] = {
    "name": Key(parse.text, "the study's name in records (default: the axes, or the file's name)"),
    "question": Key(parse.text, "what the study answers, one line"),
    "axes": Key(_axes, f"axes to vary: {', '.join(AXES)}; all = each in turn"),
    "design": Key(_choice(*DESIGNS), "how the levels of several axes combine"),
    "adapters": Key(parse.names, "adapters, each a baseline and the mechanism's partner"),
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
    "train.rank": Key(_count, "rank of the adapter"),
    "train.alpha": Key(_positive, "alpha of the adapter"),
    "train.dropout": Key(_share, "dropout of the adapter"),
    "train.weight_decay": Key(_non_negative, "AdamW's weight decay"),
    "train.clip": Key(_positive, "gradient norm limit, adapter and block each"),
    "block.width": Key(_count, "inner width of the block"),
    "block.lr_multiplier": Key(_positive, "block's learning rate over the adapter's"),
    "block.conditioning": Key(_choice("causal", "prompt"), "what the memory may see"),
    **{f"levels.{axis}": Key(_levels(axis), f"levels of {axis} to compare") for axis in AXES},
    **{f"at.{axis}": Key(_level(axis), f"{axis} where it is not varied") for axis in AXES},
}

FALLBACKS: dict[str, Any] = {
    "name": "",
    "question": "",
    "design": "",
    "device": "auto",
    "precision": "fp32",
    "plugins": (),
    "controls": (),
    "alpha": 0.05,
}
"""What an absent key means; every other key must be set by the study or the default study."""


@dataclass(frozen=True)
class BlockSettings:
    """The block's settings that are no axes."""

    width: int
    lr_multiplier: float
    conditioning: str


@dataclass(frozen=True)
class Study:
    """A validated study. ``levels`` has an entry per varied axis, its reference level first;
    ``at`` has the level of every axis where it is not varied. ``sesoi`` is in points."""

    name: str
    question: str
    axes: tuple[str, ...]
    design: str
    levels: Mapping[str, tuple[Level, ...]]
    at: Mapping[str, Level]
    adapters: tuple[str, ...]
    controls: tuple[str, ...]
    backbones: tuple[str, ...]
    benchmarks: tuple[str, ...]
    seeds: tuple[int, ...]
    sesoi: float
    alpha: float
    hp: Hp
    mix: tuple[str, ...]
    block: BlockSettings
    device: str
    precision: str
    plugins: tuple[str, ...]


def load_study(overrides: Source, study: str = DEFAULT_STUDY) -> Study:
    """Read a shipped study by name or a file by path, lay overrides over it, validate.

    A study file stands on the default study: keys it leaves out are taken from there.
    """
    top = overlay_on_default(study)
    return build_study(parse.overlay(top, overrides), fallback_name=_fallback_name(study))


def overlay_on_default(study: str) -> Source:
    """The study's file over the default study."""
    base = parse.read_yaml(shipped(DEFAULT_STUDY), f"studies/{DEFAULT_STUDY}.yaml")
    if study == DEFAULT_STUDY:
        return base
    if study in shipped_studies():
        return parse.overlay(base, parse.read_yaml(shipped(study), f"studies/{study}.yaml"))
    path = Path(study)
    if path.suffix not in (".yaml", ".yml"):
        raise AblateError(
            f"unknown study {study!r}",
            place="study",
            value=study,
            hint=nearest(study, shipped_studies()) + ", or a path to a .yaml file",
        )
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise AblateError(
            f"cannot read {study}: {error.strerror}",
            place="study",
            value=study,
            hint=nearest(path.stem, shipped_studies()),
        ) from None
    except UnicodeDecodeError:
        raise AblateError(f"{study} is not a text file", place="study", value=study) from None
    return parse.overlay(base, parse.read_yaml(text, study))


def shipped_studies() -> list[str]:
    """Names of the studies that come with the package."""
    folder = importlib.resources.files("studies")
    return sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".yaml"))


def shipped(name: str) -> str:
    """The text of a shipped study."""
    return (importlib.resources.files("studies") / f"{name}.yaml").read_text(encoding="utf-8")


def _fallback_name(study: str) -> str:
    return "" if study == DEFAULT_STUDY else Path(study).stem


def flatten(values: Mapping[str, Raw], prefix: str = "") -> dict[str, Raw]:
    """Nested mappings as dotted keys."""
    flat: dict[str, Raw] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def build_study(source: Source, fallback_name: str = "") -> Study:
    """Parse every key by its type, then check what concerns several keys."""
    raw = flatten(source.values)
    if isinstance(raw.get("plugins"), str | list):
        import_plugins(KEYS["plugins"].parse(raw["plugins"], source.place("plugins")))
    parse.check_keys(raw, KEYS, source)
    found = FALLBACKS | {key: KEYS[key].parse(raw[key], source.place(key)) for key in raw}
    for key in KEYS:
        if key not in found and not key.startswith(("at.", "levels.")):
            raise AblateError("the key is missing", place=f"study: {key}", hint=KEYS[key].help)
    for adapter in found["adapters"]:
        known = find_adapter(adapter, source.place("adapters"))
        if "matched" in found["controls"] and known.ranked is None:
            raise AblateError(
                f"the control 'matched' raises ranks, and {adapter} has none",
                place=source.place("controls"),
                value=adapter,
                hint="leave it out, or compare with lora, dora or rslora",
            )
    axes = found["axes"]
    for axis in axes:
        if f"at.{axis}" in raw:
            raise AblateError(
                f"{axis} is varied (axes=...) and fixed at once",
                place=source.place(f"at.{axis}"),
                hint="drop one of the two",
            )
        if len(found.get(f"levels.{axis}", ())) < 2:
            raise AblateError(
                "an axis needs at least two levels to compare",
                place=source.place(f"levels.{axis}"),
                hint=AXES[axis].help,
            )
    if "shuffled" in found["controls"] and found["train.batch"] < 2:
        raise AblateError(
            "the control 'shuffled' takes the memory of another row of the batch",
            place=source.place("train.batch"),
            value=found["train.batch"],
            hint="give train.batch=2 or more, or leave the control out",
        )
    whole = len(axes) == len(AXES)
    return Study(
        name=found["name"] or fallback_name or ("six-axes" if whole else "-".join(axes)),
        question=found["question"],
        axes=axes,
        design=found["design"] or (ONE_AT_A_TIME if whole else FACTORIAL),
        levels={axis: reference_first(axis, found[f"levels.{axis}"]) for axis in axes},
        at={axis: found.get(f"at.{axis}", AXES[axis].default) for axis in AXES},
        adapters=found["adapters"],
        controls=found["controls"],
        backbones=found["backbones"],
        benchmarks=found["benchmarks"],
        seeds=found["seeds"],
        sesoi=found["sesoi"],
        alpha=found["alpha"],
        hp=Hp(
            **{
                key: found[f"train.{key}"]
                for key in ("steps", "batch", "lr", "rank", "alpha", "dropout", "weight_decay")
            },
            clip=found["train.clip"],
        ),
        mix=found["train.mix"],
        block=BlockSettings(
            width=found["block.width"],
            lr_multiplier=found["block.lr_multiplier"],
            conditioning=found["block.conditioning"],
        ),
        device=found["device"],
        precision=found["precision"],
        plugins=tuple(found["plugins"]),
    )


def reference_first(axis: str, levels: tuple[Level, ...]) -> tuple[Level, ...]:
    """The levels with the reference in front: the axis's default where listed, else the first."""
    default = AXES[axis].default
    if default not in levels:
        return levels
    return (default, *(level for level in levels if level != default))


def import_plugins(modules: tuple[str, ...]) -> None:
    """Import the user's modules, so that they fill the registries."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise AblateError(
                f"cannot import {module!r}: {error}",
                place="plugins",
                value=module,
                hint=f"adapters known without it: {', '.join(ADAPTERS)}",
            ) from None
