"""lme4's formula syntax, as text: ``y ~ x * z + (1 | g) + (1 + x | h) + (1 | a:b)``.

The fixed part is left to formulaic; here the random terms are cut out of the text and expanded:
``(x || h)`` into ``(1 | h) + (0 + x | h)``, ``(1 | a/b)`` into ``(1 | a) + (1 | a:b)`` (Bates,
Maechler, Bolker and Walker 2015, Journal of Statistical Software 67(1), table 2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stats.errors import StatsError

_NAME = re.compile(r"`[^`]+`|[A-Za-z_][A-Za-z0-9_.]*")
_OPERATORS = ("+", "*", ":", "-", "/")
_GROUP = re.compile(rf"\s*({_NAME.pattern})\s*([:/]|$)")


@dataclass(frozen=True)
class RandomTerm:
    """One random term: covariates (a one-sided formula's text) that vary over a group's levels.

    ``groups`` are the columns whose combinations are the levels; ``label`` joins them with ":".
    """

    covariates: str
    groups: tuple[str, ...]

    @property
    def label(self) -> str:
        """``a:b``."""
        return ":".join(self.groups)

    def __str__(self) -> str:
        groups = (name if _NAME.fullmatch(name) else f"`{name}`" for name in self.groups)
        return f"({self.covariates} | {':'.join(groups)})"


@dataclass(frozen=True)
class MixedFormula:
    """A parsed formula: response and fixed part as text, random terms expanded."""

    text: str
    response: str
    fixed: str
    random: tuple[RandomTerm, ...]

    def __str__(self) -> str:
        return f"{self.response} ~ {' + '.join([self.fixed, *map(str, self.random)])}"


def parse(text: str) -> MixedFormula:
    """Parse a formula. Raises StatsError with the position for whatever is malformed."""
    flat = " ".join(text.split())
    _check_brackets(flat)
    tildes = [i for i, character in enumerate(flat) if character == "~"]
    if len(tildes) != 1:
        what = "there is no '~'" if not tildes else "there is more than one '~'"
        raise _malformed(what, flat, tildes[1] if tildes else len(flat), "write response ~ terms")
    response, right = flat[: tildes[0]].strip(), flat[tildes[0] + 1 :]
    if not response:
        raise _malformed("the response is missing", flat, tildes[0], "write response ~ terms")
    if not right.strip():
        raise _malformed("nothing follows '~'", flat, len(flat), "write response ~ terms")
    offset = tildes[0] + 1
    random: list[RandomTerm] = []
    kept, end = "", 0
    for start, stop in _bracketed(right):
        inner = right[start + 1 : stop]
        bar = _top_level(inner, "|")
        if bar < 0:
            continue
        before = right[end:start]
        if before.strip() and not before.rstrip().endswith("+"):
            raise _malformed(
                "a random term can only be added", flat, offset + start, "join it with '+'"
            )
        after = right[stop + 1 :].lstrip()
        if after and after[0] not in "+-":
            raise _malformed(
                "a random term can only be added", flat, offset + stop + 1, "join it with '+'"
            )
        random += _random_terms(inner, bar, flat, offset + start + 1)
        _check_bar(before, flat, offset + end)
        joined = before.rstrip().removesuffix("+").rstrip()
        if joined.endswith(_OPERATORS):
            at = offset + end + len(joined) - 1
            raise _malformed("a term is missing here", flat, at, "name it, or take a sign away")
        kept += joined
        end = stop + 1
    _check_bar(right[end:], flat, offset + end)
    kept += right[end:]
    kept = kept.strip()
    if end and kept == "+":
        kept = "1 +"  # nothing but random terms, and a '+' behind them
    kept = kept.removeprefix("+").strip() or "1"
    if kept.endswith(_OPERATORS):
        raise _malformed("the formula ends too early", flat, len(flat), "name a term")
    seen: set[RandomTerm] = set()
    for term in random:
        if term in seen:
            raise StatsError(
                f"the random term {term} is there twice", place=f"formula '{flat}'", value=str(term)
            )
        seen.add(term)
    return MixedFormula(flat, response, kept, tuple(random))


def _check_bar(text: str, flat: str, at: int) -> None:
    if "|" in text:
        raise _malformed(
            "a '|' that is not directly in one pair of brackets", flat, at + text.index("|"),
            "write random terms as (1 | group)",
        )  # fmt: skip


def _random_terms(inner: str, bar: int, flat: str, at: int) -> list[RandomTerm]:
    left, right = inner[:bar].strip(), inner[bar + 1 :]
    apart = right.startswith("|")
    right = right[1:] if apart else right
    if not left:
        raise _malformed("nothing stands before '|'", flat, at, "write (1 | group)")
    if "|" in right:
        second = at + len(inner) - len(right) + right.index("|")
        raise _malformed("a second '|'", flat, second, "one bar per random term")
    groups = _groups(right, flat, at + len(inner) - len(right))
    parts = [left]
    if apart:
        terms = [part.strip() for part in left.split("+")]
        if any(re.search(r"[*:/^-]", part) for part in terms):
            raise _malformed("'||' needs terms joined by '+'", flat, at, "write them out")
        slopes = [part for part in terms if part not in ("0", "1")]
        parts = ([] if "0" in terms else ["1"]) + [f"0 + {part}" for part in slopes]
    return [RandomTerm(part, group) for part in parts for group in groups]


def _groups(text: str, flat: str, at: int) -> list[tuple[str, ...]]:
    """``a/b`` to (a), (a, b); ``a:b`` to (a, b)."""
    out: list[tuple[str, ...]] = []
    current: tuple[str, ...] = ()
    position = 0
    while True:
        match = _GROUP.match(text, position)
        if match is None:
            position += len(text[position:]) - len(text[position:].lstrip())
            raise _malformed(
                f"'{text.strip()}' is not a grouping",
                flat,
                at + position,
                "use columns joined by ':' (combinations) or '/' (nested), e.g. (1 | a:b)",
            )
        current = (*current, match[1].strip("`"))
        if match[2] in ("/", ""):
            out.append(current)
        position = match.end()
        if match[2] == "":
            return out


def _bracketed(text: str) -> list[tuple[int, int]]:
    """The outermost pairs of brackets: positions of "(" and ")"."""
    out, depth, start = [], 0, 0
    for i, character in enumerate(text):
        if character == "(":
            start = i if depth == 0 else start
            depth += 1
        elif character == ")":
            depth -= 1
            if depth == 0:
                out.append((start, i))
    return out


def _top_level(text: str, wanted: str) -> int:
    depth = 0
    for i, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0 and character == wanted:
            return i
    return -1


def _check_brackets(text: str) -> None:
    open_at: list[int] = []
    for i, character in enumerate(text):
        if character == "(":
            open_at.append(i)
        elif character == ")":
            if not open_at:
                raise _malformed("a ')' without its '('", text, i, "")
            open_at.pop()
    if open_at:
        raise _malformed("a '(' without its ')'", text, open_at[-1], "")


def _malformed(what: str, text: str, at: int, hint: str) -> StatsError:
    return StatsError(what, place=f"formula '{text}', position {at + 1}", value=text, hint=hint)
