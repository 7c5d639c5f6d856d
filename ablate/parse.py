"""Text to typed values, by the declared type of the key.

YAML files and ``key=value`` arguments go through the same parsers: every scalar arrives as the
text that the user wrote, so ``off`` stays a name and ``010`` is the number ten.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ablate.errors import AblateError, nearest

Raw = str | list["Raw"] | dict[str, "Raw"]

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
"""By unit of a duration."""


@dataclass(frozen=True)
class Source:
    """Raw settings with the place of each dotted key, for error messages."""

    values: dict[str, Raw]
    places: dict[str, str]

    def place(self, key: str) -> str:
        """Where ``key`` was set."""
        return self.places.get(key, key)


def read_yaml(text: str, name: str) -> Source:
    """Parse a YAML mapping; every scalar stays text, every key remembers its line.

    Raises:
        AblateError: malformed (with line), empty, not a mapping, or a key twice.
    """
    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f" in line {mark.line + 1}" if mark else ""
        raise AblateError(
            f"not valid YAML{line}: {error.problem or error.context}", place=name
        ) from None
    except yaml.YAMLError as error:
        raise AblateError(f"not valid YAML: {error}", place=name) from None
    if node is None:
        raise AblateError("the file is empty", place=name, hint="a study needs at least 'axes:'")
    if not isinstance(node, yaml.MappingNode):
        raise AblateError("the file is not a mapping of keys to values", place=name)
    places: dict[str, str] = {}
    return Source(_mapping(node, "", name, places), places)


def _mapping(
    node: yaml.MappingNode, prefix: str, name: str, places: dict[str, str]
) -> dict[str, Raw]:
    found: dict[str, Raw] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        dotted = f"{prefix}{key}"
        place = f"{name}, line {key_node.start_mark.line + 1}: {dotted}"
        if key in found:
            raise AblateError("the key is given twice", place=place)
        places[dotted] = place
        found[key] = _value(value_node, f"{dotted}.", name, places)
    return found


def _value(node: yaml.Node, prefix: str, name: str, places: dict[str, str]) -> Raw:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, prefix, name, places)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, prefix, name, places) for item in node.value]
    return str(node.value)


def read_overrides(arguments: Sequence[str]) -> Source:
    """Parse ``key=value`` arguments; dotted keys nest, a key given twice is an error."""
    values: dict[str, Raw] = {}
    places: dict[str, str] = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals or not key:
            raise AblateError(
                f"{argument!r} is not key=value",
                place="command line",
                value=argument,
                hint="write for example axes=insertion,memory",
            )
        if key in places:
            raise AblateError("the key is given twice", place=f"command line: {key}")
        places[key] = f"command line: {key}"
        target = values
        *parents, last = key.split(".")
        for parent in parents:
            inner = target.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise AblateError(f"{parent!r} has no keys below it", place=places[key])
            target = inner
        target[last] = text
    return Source(values, places)


def overlay(base: Source, top: Source) -> Source:
    """``top`` over ``base``, key by key; a mapping merges, anything else replaces."""

    def merge(a: Raw | None, b: Raw) -> Raw:
        if isinstance(a, dict) and isinstance(b, dict):
            return a | {key: merge(a.get(key), value) for key, value in b.items()}
        return b

    merged = merge(base.values, top.values)
    assert isinstance(merged, dict)
    return Source(merged, base.places | top.places)


def check_keys(
    found: Iterable[str], known: Iterable[str], source: Source, prefix: str = ""
) -> None:
    """Refuse the first unknown key, naming the nearest known one."""
    names = list(known)
    for key in found:
        if key not in names:
            dotted = f"{prefix}{key}"
            raise AblateError(
                f"unknown key {dotted!r}",
                place=source.place(dotted),
                value=key,
                hint=nearest(key, names),
            )


def text(raw: Raw, place: str) -> str:
    """One word or sentence."""
    if not isinstance(raw, str):
        raise AblateError("one value is expected, not a list or mapping", place=place, value=raw)
    return raw


def integer(raw: Raw, place: str, *, low: int | None = None) -> int:
    """A whole number, at least ``low``."""
    try:
        value = int(text(raw, place))
    except ValueError:
        if isinstance(raw, str):
            raise AblateError(f"{raw!r} is not a whole number", place=place, value=raw) from None
        raise
    if low is not None and value < low:
        raise AblateError(f"{value} is below {low}", place=place, value=value)
    return value


def number(raw: Raw, place: str, *, low: float | None = None, above: float | None = None) -> float:
    """A finite number, at least ``low`` and greater than ``above``."""
    try:
        value = float(text(raw, place))
    except ValueError:
        if isinstance(raw, str):
            raise AblateError(f"{raw!r} is not a number", place=place, value=raw) from None
        raise
    if not math.isfinite(value):
        raise AblateError(f"{raw!r} is not finite", place=place, value=raw)
    if low is not None and value < low:
        raise AblateError(f"{raw} is below {low:g}", place=place, value=raw)
    if above is not None and value <= above:
        raise AblateError(f"{raw} is not above {above:g}", place=place, value=raw)
    return value


def duration(raw: Raw, place: str) -> float:
    """``2h``, ``90m``, ``1h30m`` as seconds.

    Raises:
        AblateError: no such text, or nothing.
    """
    given = text(raw, place).strip()
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", given)
    if not parts or "".join(number + unit for number, unit in parts) != given:
        raise AblateError(
            f"{given!r} is no duration", place=place, value=given, hint="write 90m, 2h or 1h30m"
        )
    seconds = sum(float(number) * SECONDS[unit] for number, unit in parts)
    if seconds <= 0:
        raise AblateError("no time at all", place=place, value=given)
    return seconds


def names(raw: Raw, place: str, *, allow_empty: bool = False) -> tuple[str, ...]:
    """A list of distinct words: a YAML list, or text with commas."""
    parts = raw if isinstance(raw, list) else text(raw, place).strip("[]").split(",")
    found = tuple(text(part, place).strip() for part in parts)
    found = tuple(part for part in found if part)
    if not found and not allow_empty:
        raise AblateError("the list is empty", place=place, value=raw)
    for i, name in enumerate(found):
        if name in found[:i]:
            raise AblateError(f"{name!r} is listed twice", place=place, value=name)
    return found


def one_of(raw: Raw, place: str, known: Sequence[str]) -> str:
    """One of ``known``."""
    value = text(raw, place)
    if value not in known:
        raise AblateError(
            f"unknown value {value!r}", place=place, value=value, hint=nearest(value, known)
        )
    return value


Parser = Callable[[Raw, str], Any]
