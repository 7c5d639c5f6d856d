"""The study: what a YAML file and ``key=value`` overrides declare, validated."""

from __future__ import annotations

import importlib
import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate import parse
from ablate.adapters import ADAPTERS, find_adapter
from ablate.design.registry import default_design
from ablate.errors import AblateError, nearest
from ablate.keys import KEYS
from ablate.parse import Raw, Source
from ablate.phases import EXPLORE
from ablate.space import MAX_DRAWS, NAMES, Space, make_space
from ablate.spec import Hp
from talan.axes import AXES, Level

DEFAULT_STUDY = "default"

FALLBACKS: dict[str, Any] = {
    "name": "",
    "question": "",
    "design": "",
    "fraction.resolution": 0,
    "fraction.points": 0,
    "fraction.terms": (),
    "device": "auto",
    "precision": "fp32",
    "plugins": (),
    "controls": (),
    "alpha": 0.05,
    "world": "",
}
"""What an absent key means; every other key must be set by the study or the default study."""


@dataclass(frozen=True)
class BlockSettings:
    """The block's settings that are no axes."""

    width: int
    lr_multiplier: float
    conditioning: str


@dataclass(frozen=True)
class FractionSettings:
    """What a design that runs part of all combinations was asked for; 0 and () leave it to it."""

    resolution: int = 0
    points: int = 0
    terms: tuple[str, ...] = ()


@dataclass(frozen=True)
class DrawSettings:
    """Matched draws: how many (0: the fixed values), seeds of each, and the sampler."""

    count: int
    seeds: int
    sampler: str


@dataclass(frozen=True)
class SearchSettings:
    """A search per arm: ``trials`` on ``seeds`` training seeds, ``replicates`` times; ``round``
    trials are asked for at once; the winners are compared on ``confirm`` fresh seeds."""

    trials: int
    seeds: int
    replicates: int
    sampler: str
    race: bool
    round: int
    confirm: int


@dataclass(frozen=True)
class SettleSettings:
    """A settling study: ``pairs`` of each cell, or up to ``budget``, ``look`` at a time, where it
    is sequential. ``first`` is its first seed."""

    pairs: int
    stopping: str
    budget: int
    look: int
    first: int


@dataclass(frozen=True)
class Study:
    """A validated study. ``levels`` has an entry per varied axis, its reference level first;
    ``at`` has the level of every axis where it is not varied; without ``axes`` the mechanism is at
    one point. ``hp`` and ``block`` are the fixed values; with ``draws`` the names of ``space`` are
    drawn, and ``seeds`` are those of each draw. ``sesoi`` and ``retention_margin`` are in points.
    ``world`` names a synthetic world in place of training."""

    name: str
    question: str
    axes: tuple[str, ...]
    design: str
    fraction: FractionSettings
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
    draws: DrawSettings
    space: Space
    search: SearchSettings
    settle: SettleSettings
    retention_margin: float
    world: str
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
        optional = key.startswith(("at.", "levels.")) or key.removeprefix("hp.") in NAMES
        if key not in found and not optional:
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
    if "side" in found["controls"] and not find_adapter(found["adapters"][0]).starts_as_backbone:
        first = found["adapters"][0]
        raise AblateError(
            f"the control 'side' freezes the first adapter at its start, and {first} does not start"
            " as the backbone",
            place=source.place("controls"),
            value=first,
            hint="leave it out, or name another adapter first",
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
                value=found.get(f"levels.{axis}"),
                hint=_levels_hint(axis, found.get(f"levels.{axis}", ())),
            )
    if "shuffled" in found["controls"] and found["train.batch"] < 2:
        raise AblateError(
            "the control 'shuffled' takes the memory of another row of the batch",
            place=source.place("train.batch"),
            value=found["train.batch"],
            hint="give train.batch=2 or more, or leave the control out",
        )
    whole = len(axes) == len(AXES)
    draws = DrawSettings(found["hp.draws"], found["hp.seeds"], found["hp.sampler"])
    space = make_space({name: found[f"hp.{name}"] for name in NAMES if f"hp.{name}" in found})
    if draws.count:
        _check_draws(draws, space, source)
    return Study(
        name=_in_world(
            found["name"] or fallback_name or _own_name(axes, found["design"], draws),
            found["world"],
        ),
        question=found["question"],
        axes=axes,
        design=found["design"] or default_design(whole),
        fraction=FractionSettings(
            **{key: found[f"fraction.{key}"] for key in FractionSettings.__dataclass_fields__}
        ),
        levels={axis: reference_first(axis, found[f"levels.{axis}"]) for axis in axes},
        at={axis: found.get(f"at.{axis}", AXES[axis].default) for axis in AXES},
        adapters=found["adapters"],
        controls=found["controls"],
        backbones=found["backbones"],
        benchmarks=found["benchmarks"],
        seeds=tuple(range(draws.seeds)) if draws.count else found["seeds"],
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
        draws=draws,
        space=space,
        search=SearchSettings(
            **{key: found[f"search.{key}"] for key in SearchSettings.__dataclass_fields__}
        ),
        settle=SettleSettings(
            **{key: found[f"settle.{key}"] for key in SettleSettings.__dataclass_fields__}
        ),
        retention_margin=found["retention.margin"],
        world=found["world"],
        device=found["device"],
        precision=found["precision"],
        plugins=tuple(found["plugins"]),
    )


def _levels_hint(axis: str, levels: tuple[Level, ...]) -> str:
    """What to write for an axis with fewer than two levels."""
    text = AXES[axis].text
    names = [text(level) for level in levels]
    names += [name for name in map(text, AXES[axis].levels) if name not in names]
    fixed = f", or fix it: leave {axis} out of axes= and give at.{axis}={names[0]}"
    return f"add one, such as levels.{axis}={','.join(names[:2])}{fixed}"


def _check_draws(draws: DrawSettings, space: Space, source: Source) -> None:
    if draws.count < 2:
        raise AblateError(
            "one draw tells nothing about the space",
            place=source.place("hp.draws"),
            value=draws.count,
            hint="20 or more say how the mechanism's effect varies over it",
        )
    most = len(EXPLORE) // MAX_DRAWS
    for key, value, limit in (("draws", draws.count, MAX_DRAWS), ("seeds", draws.seeds, most)):
        if value > limit:
            raise AblateError(
                f"{value} are more than {limit}",
                place=source.place(f"hp.{key}"),
                value=value,
                hint=f"up to {MAX_DRAWS} draws of up to {most} seeds have seeds of their own",
            )
    if not space.varied:
        raise AblateError(
            "no hyperparameter varies, so that all draws are the same",
            place=source.place("hp.draws"),
            value=draws.count,
            hint="give a range, such as hp.lr=1e-3..1e-2",
        )


def _in_world(name: str, world: str) -> str:
    """The name of a study, told apart from the same study without a world in all records."""
    return f"{name}-in-{world.partition('/')[0].replace(':', '-')}" if world else name


def _own_name(axes: tuple[str, ...], design: str, draws: DrawSettings) -> str:
    """The name of a study that gives none: what it varies."""
    base = "six-axes" if len(axes) == len(AXES) else "-".join(axes) or "mechanism"
    if design not in ("", default_design(len(axes) == len(AXES))):
        base += f"-{design}"
    return base + ("-draws" if draws.count else "")


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
