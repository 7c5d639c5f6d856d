"""The registry of worlds, and the text that names one: ``null``, ``null:7``."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ablate.errors import AblateError, nearest
from ablate.streams import stream_seed
from ablate.worlds.planted import Planted
from ablate.worlds.world import World

Plant = Callable[[np.random.Generator], Planted]


@dataclass(frozen=True)
class Kind:
    """A kind of world: what it plants, given random numbers, and one line of help.

    ``recipe`` enters the identity of runs; it is raised when the same number of this kind would
    give other outcomes.
    """

    name: str
    help: str
    recipe: int
    plant: Plant


WORLDS: dict[str, Kind] = {}
"""The kinds of worlds by name. A plugin adds its own through :func:`world`."""

_NAMED = re.compile(r"(?P<name>[a-z][a-z0-9-]*)(:(?P<seed>\d+))?(/(?P<recipe>\d+))?")


def world(name: str, help: str, *, recipe: int = 1) -> Callable[[Plant], Plant]:
    """Register the decorated function, which plants a world's effects, as a kind of world.

    Raises:
        AblateError: another kind has that name.
    """

    def add(plant: Plant) -> Plant:
        if name in WORLDS:
            raise AblateError(
                f"world {name!r} is registered twice", place="world", value=name, hint="rename one"
            )
        WORLDS[name] = Kind(name, help, recipe, plant)
        return plant

    return add


def world_key(raw: object, place: str = "world") -> str:
    """The identity of the world that ``null`` or ``null:7`` names: ``null:7/1``.

    The number tells the worlds of a kind apart (0 unless given); the last one is the recipe.
    ``no`` and an empty text name none: "".

    Raises:
        AblateError: an unknown kind, a number that is none, a recipe that is no longer known.
    """
    text = str(raw).strip()
    if text in ("", "no", "none"):
        return ""
    match = _NAMED.fullmatch(text)
    name = match["name"] if match else text.partition(":")[0]
    if name not in WORLDS:
        raise AblateError(
            f"unknown world {name!r}", place=place, value=raw, hint=nearest(name, WORLDS)
        )
    if match is None:
        raise AblateError(
            f"{text!r} names no world",
            place=place,
            value=raw,
            hint=f"write {name}, or {name}:7 for the seventh of that kind",
        )
    recipe = WORLDS[name].recipe
    if match["recipe"] is not None and int(match["recipe"]) != recipe:
        raise AblateError(
            f"world {name!r} has recipe {recipe} now, not {match['recipe']}",
            place=place,
            value=raw,
            hint=f"write {name}:{match['seed'] or 0}, which is another world than it was",
        )
    return f"{name}:{int(match['seed'] or 0)}/{recipe}"


@functools.lru_cache(maxsize=64)
def find_world(text: str) -> World:
    """The world that a text or an identity names.

    Raises:
        AblateError: as :func:`world_key`, and where no world is named.
    """
    key = world_key(text)
    if not key:
        raise AblateError("no world is named", place="world", value=text, hint=nearest("", WORLDS))
    name = key.partition(":")[0]
    generator = np.random.default_rng(stream_seed({"world": key}, "planted"))
    return World(key, WORLDS[name].plant(generator))


def banner(text: str) -> str:
    """The sentence that every report of a world carries."""
    key = world_key(text)
    name = key.partition(":")[0]
    return (
        f"Synthetic world {key.partition('/')[0]}: no model was trained. All outcomes are drawn "
        f"from a known model ({WORLDS[name].help}); nothing here says anything about a real model."
    )
